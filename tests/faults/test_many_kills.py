"""`kill -9` of a process that writes 20 answers at once: 200 times, at random instants.

Real processes on one database, a real server on loopback that speaks 100 tokens a
second to each of the 20, and a signal that no program can catch. What is lost is
measured in milliseconds of the answer; for as long as the machine gave no time to a
process that only counts, it gave none to Tina either, and that is not held against her.
"""

import json
import multiprocessing
import random
import re
import statistics
import time
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.lowlevel
import pytest

import tina
from tests.faults.speakers import ANSWERS, beat, speak
from tina.domain.messages import Message, MessageStatus, Role
from tina.testing.server import (
    Delivery,
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    paced,
    playback_thread,
)

KILLS = 200
PARTS = 4
"""Run side by side, each on a database of its own."""
TOKENS = 60
TOKENS_PER_SECOND = 100
LONGEST_S = 0.8
SEED = 20_261_123
GIVE_UP_S = 30.0

STALL_WINDOW_S = 0.2

LOST_P95_MS = 50.0
LOST_MAX_MS = 100.0

_PROMPT = re.compile(rb"Tell tale (\d+) of (\d+)\.")


class Seen(NamedTuple):
    """What the next opening found after one kill."""

    lost_ms: list[float]
    whole: int
    cut: int


def tokens_of(number: int, place: int) -> list[str]:
    """What is answered; no two answers share a word."""
    return [f"{number}.{place}.{count} " for count in range(TOKENS)]


def place_of(request: ReceivedRequest) -> tuple[int, int]:
    found = _PROMPT.search(request.body)
    assert found is not None
    return int(found[1]), int(found[2])


def answer(request: ReceivedRequest) -> Recording:
    return chat_recording(tokens_of(*place_of(request)), pause=paced(TOKENS_PER_SECOND))


@pytest.fixture
def server() -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        yield server


@pytest.fixture
def processes() -> Iterator[ForkServerContext]:
    """Processes that have Tina imported already, but share nothing with the test."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["tests.faults.speakers", "aiohttp", "tina.providers.remote"]
    )
    yield context
    # What its own tests do: there is no public way to end the two.
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]


@pytest.fixture
def beats(
    processes: ForkServerContext,
) -> Iterator[Connection]:
    """Tells when the machine gave a process no time, and how long."""
    ours, theirs = processes.Pipe(duplex=False)
    process = processes.Process(target=beat, args=(theirs,))
    process.start()
    theirs.close()
    yield ours
    process.kill()
    process.join(GIVE_UP_S)
    process.close()
    ours.close()


def stall_ms(beats: Connection, killed_s: float) -> float:
    """How long the machine stood still, at worst, just before the kill."""
    worst_s = 0.0
    while beats.poll(0.02):
        at_s, late_s = beats.recv()
        if killed_s - STALL_WINDOW_S <= at_s <= killed_s + late_s:
            worst_s = max(worst_s, late_s)
    return worst_s * 1000


def wait_for_first_tokens(server: PlaybackServer, begun: int) -> None:
    give_up_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up_s:
        deliveries = server.deliveries[begun:]
        if any(len(delivery.sent) > 1 for delivery in deliveries):
            return
        time.sleep(0.002)
    pytest.fail("no token was delivered")


def kill_one(
    processes: ForkServerContext,
    server: PlaybackServer,
    home: Path,
    number: int,
    after_s: float,
) -> tuple[float, dict[int, Delivery]]:
    """When it was killed, and what had been delivered by then to each answer."""
    begun = len(server.deliveries)
    environment = {"OPENAI_BASE_URL": server.base_url}
    process = processes.Process(target=speak, args=(str(home), environment, number))
    process.start()
    wait_for_first_tokens(server, begun)
    time.sleep(after_s)
    killed_s = time.monotonic()
    process.kill()
    process.join(GIVE_UP_S)
    process.close()
    delivered = {
        place_of(delivery.request)[1]: delivery
        for delivery in server.deliveries[begun:]
    }
    return killed_s, delivered


async def look_after(
    home: Path,
    number: int,
    killed_s: float,
    delivered: dict[int, Delivery],
    settled: dict[str, Message],
) -> Seen:
    """Open the database as the next process would; note what is settled now."""
    seen, places = Seen([], 0, 0), set[int]()
    async with tina.open(home) as app:
        assert await app.check_database() == ()
        # At once, but for what a machine that stands still leaves to the next look.
        with anyio.fail_after(GIVE_UP_S):
            while await app.open_turns():
                await anyio.lowlevel.checkpoint()
        for conversation in await app.conversations.list(limit=ANSWERS):
            title = _PROMPT.search(conversation.title.encode())
            assert title is not None
            if int(title[1]) != number:
                continue
            messages = await app.conversations.messages(conversation.id)
            settled |= {message.id: message for message in messages}
            if not messages:  # killed before it asked; nothing had left
                assert int(title[2]) not in delivered
                continue
            place = int(title[2])
            places.add(place)
            prompt, said = messages
            assert (prompt.role, prompt.text) == (Role.USER, conversation.title)
            assert said.status in {MessageStatus.COMPLETE, MessageStatus.INTERRUPTED}
            tokens = tokens_of(number, place)
            is_whole = said.text == "".join(tokens)
            assert "".join(tokens).startswith(said.text), (
                "an exact prefix, nothing else"
            )
            assert (said.status is MessageStatus.COMPLETE) <= is_whole
            seen = seen._replace(
                whole=seen.whole + (said.status is MessageStatus.COMPLETE),
                cut=seen.cut + (said.status is MessageStatus.INTERRUPTED),
            )
            if place in delivered:
                seen.lost_ms.append(lost_ms(delivered[place], said.text, killed_s))
    assert delivered.keys() <= places, "what was answered was stored before"
    return seen


def lost_ms(delivery: Delivery, stored: str, killed_s: float) -> float:
    """The age, at the kill, of the oldest delivered token that is not stored."""
    stored_tokens = len(stored.split())
    tokens_sent = [
        at_s
        for at_s, chunk in delivery.sent[1:]  # the first chunk has no text
        if b'"content"' in chunk and at_s <= killed_s
    ]
    if stored_tokens >= len(tokens_sent):
        return 0.0
    return (killed_s - tokens_sent[stored_tokens]) * 1000


async def read_all(home: Path) -> dict[str, Message]:
    async with tina.open(home) as app:
        return {
            message.id: message
            for conversation in await app.conversations.list(limit=None)
            for message in await app.conversations.messages(conversation.id)
        }


@pytest.mark.requirement("death:kill:many-answers")
@pytest.mark.parametrize("part", range(PARTS))
def test_twenty_answers_survive_the_death_of_their_process(
    part: int,
    processes: ForkServerContext,
    server: PlaybackServer,
    beats: Connection,
    environment: Path,
) -> None:
    draw = random.Random(SEED + part)
    settled: dict[str, Message] = {}
    lost: list[float] = []
    whole = cut = 0
    longest_ms = 0.0

    for number in range(KILLS // PARTS):
        after_s = draw.uniform(0.0, LONGEST_S)
        killed_s, delivered = kill_one(processes, server, environment, number, after_s)
        seen = anyio.run(look_after, environment, number, killed_s, delivered, settled)
        stalled_ms = stall_ms(beats, killed_s)
        lost += [max(0.0, lost_ms - stalled_ms) for lost_ms in seen.lost_ms]
        longest_ms = max([longest_ms, *seen.lost_ms])
        whole += seen.whole
        cut += seen.cut

    p95 = statistics.quantiles(lost, n=20)[-1]
    figures = {
        "answers": len(lost),
        "whole": whole,
        "cut": cut,
        "lost_p50_ms": round(statistics.median(lost)),
        "lost_p95_ms": round(p95),
        "lost_max_ms": round(max(lost)),
        "lost_max_with_stalls_ms": round(longest_ms),
    }
    print(json.dumps(figures))
    assert anyio.run(read_all, environment) == settled
    assert whole > 0
    assert cut > 0
    assert p95 <= LOST_P95_MS
    assert max(lost) <= LOST_MAX_MS
