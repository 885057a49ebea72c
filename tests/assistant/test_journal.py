"""What is said reaches the database soon, in few transactions, and is not lost."""

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel
import pytest

from tina.assistant.journal import FLUSH_DELAY_S, RETRY_DELAY_S, Journal
from tina.domain.events import StreamEvent, TextDelta
from tina.domain.failures import StorageFailure
from tina.domain.ids import MessageId
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryConversations, MemoryMessages, MemoryTurns

pytestmark = pytest.mark.anyio

ONE, TWO = MessageId("1"), MessageId("2")

Batch = dict[MessageId, list[StreamEvent]]


class Noting(MemoryTurns):
    """Notes each transaction; the first ones fail while `refusals` last."""

    def __init__(self, *, refusals: int = 0) -> None:
        conversations = MemoryConversations(clock=FakeClock(), ids=FakeIds())
        super().__init__(conversations, MemoryMessages(conversations))
        self.batches: list[Batch] = []
        self.written = anyio.Event()
        self._refusals = refusals

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        if self._refusals:
            self._refusals -= 1
            raise StorageFailure("No room left.")
        self.batches.append({key: list(events) for key, events in batch.items()})
        self.written.set()
        self.written = anyio.Event()


class HeldClock(FakeClock):
    """Sleeps until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.go.wait()


async def test_what_comes_within_the_delay_goes_into_one_transaction() -> None:
    turns, clock = Noting(), HeldClock()
    journal = Journal(turns, clock=clock)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            journal.add(ONE, [TextDelta("text", "Be")])
            await anyio.wait_all_tasks_blocked()
            journal.add(TWO, [TextDelta("text", "Ice")])
            journal.add(ONE, [TextDelta("text", "cause")])
            clock.go.set()
            await turns.written.wait()
            group.cancel_scope.cancel()

    assert turns.batches == [
        {ONE: [TextDelta("text", "Because")], TWO: [TextDelta("text", "Ice")]}
    ]
    assert clock.slept == [FLUSH_DELAY_S]


async def test_nothing_is_written_while_nothing_is_said() -> None:
    turns, clock = Noting(), FakeClock()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(Journal(turns, clock=clock).run)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert (turns.batches, clock.slept) == ([], [])


async def test_what_could_not_be_written_is_written_later_and_in_order() -> None:
    turns, clock = Noting(refusals=2), FakeClock()
    journal = Journal(turns, clock=clock)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            journal.add(ONE, [TextDelta("text", "Be")])
            await anyio.lowlevel.checkpoint()
            journal.add(ONE, [TextDelta("text", "cause")])
            await turns.written.wait()
            group.cancel_scope.cancel()

    assert turns.batches == [{ONE: [TextDelta("text", "Because")]}]
    assert clock.slept.count(RETRY_DELAY_S) == 2


async def test_what_can_never_be_written_does_not_stop_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Picky(Noting):
        async def append(
            self, batch: Mapping[MessageId, Sequence[StreamEvent]]
        ) -> None:
            if ONE in batch:
                raise ZeroDivisionError("on purpose")
            await super().append(batch)

    turns = Picky()
    journal = Journal(turns, clock=FakeClock())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            journal.add(ONE, [TextDelta("text", "Be")])
            await anyio.wait_all_tasks_blocked()
            journal.add(TWO, [TextDelta("text", "Ice")])
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert turns.batches == [{TWO: [TextDelta("text", "Ice")]}]
    assert "journal_dropped" in caplog.text


async def test_a_settled_answer_is_not_written_any_more() -> None:
    turns, clock = Noting(), HeldClock()
    journal = Journal(turns, clock=clock)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            journal.add(ONE, [TextDelta("text", "Be")])
            await anyio.wait_all_tasks_blocked()
            journal.forget(ONE)
            clock.go.set()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert turns.batches == []
