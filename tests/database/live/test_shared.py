"""One reading for any number of watchers, and none that is lost."""

from collections.abc import AsyncIterator

import anyio
import pytest

from tina.database.live.shared import SharedQuery

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(30):
        yield


class Source:
    """A value that changes, and readings of it that end when they are told to."""

    def __init__(self) -> None:
        self.value = 0
        self.readings = 0
        self.failure: Exception | None = None
        self.is_held = False
        self.go = anyio.Event()

    async def read(self) -> int:
        self.readings += 1
        value = self.value
        if self.is_held:
            await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return value


async def test_any_number_of_watchers_cost_one_reading() -> None:
    source = Source()
    shared = SharedQuery(source.read)
    seen: list[int] = []
    first = 0

    async def watch() -> None:
        number, _ = await shared.next(0)
        _, value = await shared.next(number)
        seen.append(value)

    async with anyio.create_task_group() as group:
        for _ in range(1000):
            group.start_soon(watch)
        await anyio.wait_all_tasks_blocked()
        first = source.readings
        source.value = 1
        shared.mark_stale()

    assert (first, source.readings) == (1, 2)
    assert seen == [1] * 1000


async def test_a_change_during_a_reading_is_read_again() -> None:
    source = Source()
    source.is_held = True
    shared = SharedQuery(source.read)
    seen: list[int] = []

    async def watch() -> None:
        number = 0
        while not seen or seen[-1] != 2:
            number, value = await shared.next(number)
            seen.append(value)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.wait_all_tasks_blocked()
        source.value = 2
        shared.mark_stale()
        source.is_held = False
        source.go.set()

    assert seen == [0, 2]


async def test_a_failed_reading_is_told_and_the_next_asks_again() -> None:
    source = Source()
    source.failure = OSError("on purpose")
    shared = SharedQuery(source.read)

    with pytest.raises(OSError, match="on purpose"):
        await shared.next(0)
    source.failure = None

    assert await shared.next(0) == (1, 0)


async def test_a_reader_that_is_cancelled_takes_nobody_along() -> None:
    source = Source()
    source.is_held = True
    shared = SharedQuery(source.read)
    seen: list[tuple[int, int]] = []

    async def watch() -> None:
        seen.append(await shared.next(0))

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as reader:
            async with anyio.create_task_group() as first:
                first.start_soon(shared.next, 0)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(watch)
                await anyio.wait_all_tasks_blocked()
                source.is_held = False
                reader.cancel()

    assert seen == [(1, 0)]


async def test_a_busy_topic_starves_nobody() -> None:
    source = Source()

    async def read_while_it_changes() -> int:
        source.value += 1
        shared.mark_stale()
        return source.value

    shared = SharedQuery(read_while_it_changes)
    numbers = [0]
    for _ in range(5):
        number, _ = await shared.next(numbers[-1])
        numbers.append(number)

    assert numbers == [0, 1, 2, 3, 4, 5]
