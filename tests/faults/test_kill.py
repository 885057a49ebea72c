"""`kill -9` in the middle of an answer: nothing broken, hardly anything lost.

The real program, a real server on loopback that speaks 100 tokens a second, and a
signal that no program can catch, at random instants.
"""

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tina.testing.server import (
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    paced,
    playback_thread,
)

KILLS = 50
PARTS = 2
"""Run side by side."""
TOKENS = [f"word{number} " for number in range(200)]
TOKENS_PER_SECOND = 100
LONGEST_S = 1.0
SEED = 20_261_122
GIVE_UP_S = 30.0

LOST_P95_MS = 50.0
LOST_MAX_MS = 100.0


class Kill(NamedTuple):
    conversation_id: str
    answer: dict[str, Any]
    prompt: dict[str, Any]
    is_whole: bool
    lost_ms: float


def answer(request: ReceivedRequest) -> Recording:
    if b"Continue exactly" in request.body:
        return chat_recording(["and ", "so ", "on."])
    return chat_recording(TOKENS, pause=paced(TOKENS_PER_SECOND))


@pytest.fixture
def server() -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        yield server


@pytest.fixture
def tina(
    server: PlaybackServer, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    return [sys.executable, "-m", "tina"]


def run_json(command: list[str]) -> Any:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=GIVE_UP_S, check=True
    )
    return json.loads(done.stdout)


def wait_for_first_token(server: PlaybackServer, number: int) -> None:
    give_up = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up:
        if len(server.deliveries) > number and len(server.deliveries[number].sent) > 1:
            return
        time.sleep(0.002)
    pytest.fail("no token was delivered")


def kill_one(
    tina: list[str], server: PlaybackServer, number: int, after_s: float
) -> Kill:
    process = subprocess.Popen(
        [*tina, "ask", "-m", "openai:recorded", "--no-stdin", f"Tell tale {number}."],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for_first_token(server, number)
    time.sleep(after_s)
    killed_s = time.monotonic()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(GIVE_UP_S)

    check = subprocess.run(
        [*tina, "db", "check", "--json"], capture_output=True, timeout=GIVE_UP_S
    )
    shown = run_json([*tina, "show", "--json"])
    prompt, answer = shown["messages"]
    return Kill(
        conversation_id=shown["id"],
        answer=answer,
        prompt=prompt,
        is_whole=check.returncode == 0 and json.loads(check.stdout)["ok"],
        lost_ms=lost_ms(server, number, answer["text"], killed_s),
    )


def lost_ms(server: PlaybackServer, number: int, stored: str, killed_s: float) -> float:
    """The age, at the kill, of the oldest delivered token that is not stored."""
    assert "".join(TOKENS).startswith(stored), "what is stored is an exact prefix"
    stored_tokens = len(stored.split())
    tokens_sent = server.deliveries[number].sent[1:]  # the first chunk has no text
    if stored_tokens >= len(tokens_sent):
        return 0.0
    return max(0.0, (killed_s - tokens_sent[stored_tokens][0]) * 1000)


@pytest.mark.requirement("death:kill:bounded-loss")
@pytest.mark.parametrize("part", range(PARTS))
def test_a_killed_answer_loses_at_most_its_last_moment(
    part: int, tina: list[str], server: PlaybackServer
) -> None:
    draw = random.Random(SEED + part)

    kills = [
        kill_one(tina, server, number, draw.uniform(0.0, LONGEST_S))
        for number in range(KILLS // PARTS)
    ]

    lost = sorted(kill.lost_ms for kill in kills)
    p95 = statistics.quantiles(lost, n=20)[-1]
    print(
        f"lost: p50 {statistics.median(lost):.0f} ms, p95 {p95:.0f} ms, "
        f"max {lost[-1]:.0f} ms"
    )
    assert all(kill.is_whole for kill in kills)
    assert [kill.prompt["text"] for kill in kills] == [
        f"Tell tale {number}." for number in range(KILLS // PARTS)
    ]
    assert {kill.answer["status"] for kill in kills} == {"interrupted"}
    assert p95 <= LOST_P95_MS
    assert lost[-1] <= LOST_MAX_MS


@pytest.mark.requirement("death:kill:continues")
def test_a_killed_answer_can_be_continued(
    tina: list[str], server: PlaybackServer
) -> None:
    kill = kill_one(tina, server, 0, 0.3)

    continued = run_json([*tina, "continue", kill.conversation_id, "--json"])

    shown = run_json([*tina, "show", kill.conversation_id, "--json"])
    texts = [message["text"] for message in shown["messages"]]
    assert (continued["status"], continued["text"]) == ("complete", "and so on.")
    assert texts[1] == kill.answer["text"]
    assert texts[-1] == "and so on."
    assert kill.answer["text"].encode() in server.requests[-1].body
