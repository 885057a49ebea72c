"""The hand-over between two real threads."""

import asyncio
from concurrent.futures import Future

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tina.domain.failures import ClosedFailure, InvalidRequestFailure
from tina.providers.local.generation import Generation

pytestmark = pytest.mark.anyio


def ended(error: BaseException | None = None) -> "Future[None]":
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def speak(generation: Generation, count: int) -> int:
    """In a thread: offer up to `count` chunks; how many were wanted."""
    for said in range(count):
        if generation.offer(str(said)):
            return said
    generation.end(ended())
    return count


async def read_all(generation: Generation) -> list[list[str]]:
    batches: list[list[str]] = []
    while batch := await generation.take():
        batches.append(batch)
    return batches


async def test_what_was_said_meanwhile_is_taken_together() -> None:
    generation = Generation()

    with anyio.fail_after(5):
        await anyio.to_thread.run_sync(speak, generation, 3)
        batches = await read_all(generation)

    assert batches == [["0", "1", "2"]]


async def test_nothing_is_lost_or_moved_however_the_threads_meet() -> None:
    generation = Generation(most_waiting=3)
    batches: list[list[str]] = []

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, speak, generation, 5000)
            batches = await read_all(generation)

    assert [int(chunk) for batch in batches for chunk in batch] == list(range(5000))
    assert max(len(batch) for batch in batches) <= 3


@pytest.mark.requirement("providers:local-stop:one-token")
async def test_after_a_stop_not_one_chunk_is_wanted() -> None:
    generation = Generation()
    first = generation.offer("a")

    generation.stop()

    assert not first
    assert generation.offer("b")
    assert generation.is_stopped
    assert await generation.take() == ["a"]
    with pytest.raises(ClosedFailure):
        await generation.take()


async def test_a_stop_frees_a_thread_that_waits_for_room() -> None:
    generation = Generation(most_waiting=2)
    tried: list[bool] = []

    def offer_three() -> None:
        for chunk in "abc":
            tried.append(False)
            tried[-1] = generation.offer(chunk)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, offer_three)
            while len(tried) < 3:
                await anyio.lowlevel.checkpoint()
            generation.stop()

    assert tried == [False, False, True]


async def test_a_stop_wakes_a_reader_that_waits() -> None:
    generation = Generation()

    async def read() -> None:
        with pytest.raises(ClosedFailure):
            await generation.take()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.lowlevel.checkpoint()
            generation.stop()


async def test_a_reader_that_takes_nothing_is_given_up() -> None:
    generation = Generation(most_waiting=2, stalled_s=0.0)

    with anyio.fail_after(5):
        wanted = await anyio.to_thread.run_sync(speak, generation, 10)

    assert wanted == 2


async def test_an_answer_that_is_whole_stays_so_when_it_is_stopped() -> None:
    generation = Generation()
    speak(generation, 1)

    generation.stop()

    assert await read_all(generation) == [["0"]]


async def test_an_error_comes_after_what_was_said() -> None:
    generation = Generation()
    generation.offer("a")
    generation.end(ended(InvalidRequestFailure("no")))

    said = await generation.take()

    assert said == ["a"]
    with pytest.raises(InvalidRequestFailure):
        await generation.take()


async def test_an_answer_that_never_began_is_over() -> None:
    generation = Generation()
    cancelled: Future[None] = Future()
    cancelled.cancel()

    generation.end(cancelled)

    assert await generation.take() == []


def test_without_a_loop_nothing_is_wanted() -> None:
    async def make() -> Generation:
        return Generation()

    generation = asyncio.run(make())

    assert generation.offer("a")
    generation.end(ended())
