"""Readers of one running answer."""

import anyio
import pytest

from tina.assistant.hub import EventLog
from tina.domain.events import StreamEvent, TextDelta

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (TextDelta("text", word) for word in ("one", "two", "three"))


async def read_all(log: EventLog, found: list[StreamEvent]) -> None:
    found.extend([event async for event in log.read()])


async def test_every_reader_gets_everything_whenever_it_comes() -> None:
    log = EventLog()
    early: list[StreamEvent] = []
    late: list[StreamEvent] = []

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(read_all, log, early)
            await anyio.wait_all_tasks_blocked()
            log.append([ONE])
            await anyio.wait_all_tasks_blocked()
            log.append([TWO, THREE])
            log.end()
        await read_all(log, late)

    assert early == late == [ONE, TWO, THREE]


async def test_what_is_added_while_a_reader_is_busy_is_not_missed() -> None:
    log = EventLog()
    log.append([ONE])
    found: list[StreamEvent] = []

    with anyio.fail_after(5):
        async for event in log.read():
            found.append(event)
            if event is ONE:
                log.append([TWO])
            else:
                log.end()

    assert found == [ONE, TWO]


async def test_an_answer_without_a_word_ends() -> None:
    log = EventLog()
    found: list[StreamEvent] = []

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(read_all, log, found)
            await anyio.wait_all_tasks_blocked()
            log.end()

    assert found == []


async def test_an_end_that_comes_while_a_reader_is_busy_is_a_change_too() -> None:
    log = EventLog()
    changes = 0

    with anyio.fail_after(5):
        async for _ in log.changes():
            changes += 1
            if changes == 1:
                log.end()

    assert changes == 2


async def test_a_reader_that_leaves_keeps_no_place() -> None:
    log = EventLog()
    with anyio.move_on_after(0):
        await read_all(log, [])
    found: list[StreamEvent] = []

    log.append([ONE])
    log.end()
    await read_all(log, found)

    assert found == [ONE]


async def test_changes_are_told_once_each_to_who_waits() -> None:
    log = EventLog()
    changes: list[None] = []

    async def follow() -> None:
        changes.extend([change async for change in log.changes()])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            log.append([ONE])
            log.append([TWO])
            await anyio.wait_all_tasks_blocked()
            log.end()

    assert len(changes) == 3
