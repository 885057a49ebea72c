"""What is said reaches the database soon, in few transactions, and is not lost."""

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel
import pytest

from tina.assistant.answer import Answer
from tina.assistant.journal import (
    FLUSH_DELAY_S,
    FOLD_INTERVAL_S,
    RETRY_DELAY_S,
    Journal,
)
from tina.domain.events import BlockKind, BlockStart, StreamEvent, TextDelta
from tina.domain.failures import StorageFailure
from tina.domain.ids import MessageId
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryDatabase, MemoryJournal

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = MessageId("1"), MessageId("2"), MessageId("3")

Batch = dict[MessageId, list[StreamEvent]]


class Noting(MemoryJournal):
    """Notes each transaction; the first ones fail while `refusals` last."""

    def __init__(self, *, refusals: int = 0) -> None:
        super().__init__(MemoryDatabase(clock=FakeClock(), ids=FakeIds()))
        self.batches: list[Batch] = []
        self.folds: list[tuple[MessageId, list[StreamEvent]]] = []
        self.written = anyio.Event()
        self._refusals = refusals

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        self._refuse()
        self.batches.append({key: list(events) for key, events in batch.items()})
        self._tell()

    async def fold(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        self._refuse()
        self.folds.append((message_id, list(events)))
        self._tell()

    def _refuse(self) -> None:
        if self._refusals:
            self._refusals -= 1
            raise StorageFailure("No room left.")

    def _tell(self) -> None:
        self.written.set()
        self.written = anyio.Event()


class Speaker:
    """One answer: what it says is in its fold before the journal hears of it."""

    def __init__(self, journal: Journal, message_id: MessageId) -> None:
        self._journal = journal
        self._message_id = message_id
        self._said = Answer()
        journal.begin(message_id, self._said)

    def say(self, text: str) -> None:
        events = [TextDelta("text", text)]
        self._said.feed(events)
        self._journal.add(self._message_id, events)


class HeldClock(FakeClock):
    """Sleeps until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.go.wait()


async def test_what_comes_within_the_delay_goes_into_one_transaction() -> None:
    stored, clock = Noting(), HeldClock()
    journal = Journal(stored, clock=clock)
    one, two = Speaker(journal, ONE), Speaker(journal, TWO)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            one.say("Be")
            await anyio.wait_all_tasks_blocked()
            two.say("Ice")
            one.say("cause")
            written = stored.written
            clock.go.set()
            await written.wait()
            group.cancel_scope.cancel()

    assert stored.batches == [
        {ONE: [TextDelta("text", "Because")], TWO: [TextDelta("text", "Ice")]}
    ]
    assert clock.slept == [FLUSH_DELAY_S]


async def test_nothing_is_written_while_nothing_is_said() -> None:
    stored, clock = Noting(), FakeClock()
    journal = Journal(stored, clock=clock)
    Speaker(journal, ONE)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert (stored.batches, clock.slept) == ([], [])


async def test_what_could_not_be_written_is_said_again_by_a_fold() -> None:
    stored, clock = Noting(refusals=3), FakeClock()
    journal = Journal(stored, clock=clock)
    one = Speaker(journal, ONE)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            one.say("Be")
            await anyio.lowlevel.checkpoint()
            one.say("cause")
            await stored.written.wait()
            one.say(" of ice")
            await stored.written.wait()
            group.cancel_scope.cancel()

    assert stored.folds == [
        (ONE, [BlockStart("text", BlockKind.TEXT), TextDelta("text", "Because")])
    ]
    assert stored.batches == [{ONE: [TextDelta("text", " of ice")]}]
    assert clock.slept.count(RETRY_DELAY_S) == 3


async def test_a_long_answer_is_folded_now_and_then() -> None:
    stored, clock = Noting(), FakeClock()
    journal = Journal(stored, clock=clock)
    one, two = Speaker(journal, ONE), Speaker(journal, TWO)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            one.say("Once ")
            two.say("Ice")
            await anyio.wait_all_tasks_blocked()
            clock.advance(FOLD_INTERVAL_S)
            one.say("upon ")
            await anyio.wait_all_tasks_blocked()
            one.say("a time")
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert stored.folds == [
        (ONE, [BlockStart("text", BlockKind.TEXT), TextDelta("text", "Once upon ")])
    ]
    assert stored.batches == [
        {ONE: [TextDelta("text", "Once ")], TWO: [TextDelta("text", "Ice")]},
        {ONE: [TextDelta("text", "a time")]},
    ]


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

        async def fold(
            self, message_id: MessageId, events: Sequence[StreamEvent]
        ) -> None:
            if message_id == ONE:
                raise ZeroDivisionError("on purpose")
            await super().fold(message_id, events)

    stored = Picky()
    journal = Journal(stored, clock=FakeClock())
    one, two = Speaker(journal, ONE), Speaker(journal, TWO)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            one.say("Be")
            two.say("I")
            await anyio.wait_all_tasks_blocked()
            one.say("cause")
            two.say("ce")
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert stored.folds == [
        (TWO, [BlockStart("text", BlockKind.TEXT), TextDelta("text", "I")])
    ]
    assert stored.batches == [{TWO: [TextDelta("text", "ce")]}]
    assert "journal_dropped" in caplog.text


async def test_a_settled_answer_is_not_written_any_more() -> None:
    stored, clock = Noting(), HeldClock()
    journal = Journal(stored, clock=clock)
    one = Speaker(journal, ONE)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            one.say("Be")
            await anyio.wait_all_tasks_blocked()
            journal.forget(ONE)
            one.say("cause")
            clock.go.set()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert (stored.batches, stored.folds) == ([], [])


async def test_an_answer_that_is_settled_in_the_meantime_is_not_folded() -> None:
    class Settling(Noting):
        async def append(
            self, batch: Mapping[MessageId, Sequence[StreamEvent]]
        ) -> None:
            journal.forget(ONE)
            raise StorageFailure("No room left.")

        async def fold(
            self, message_id: MessageId, events: Sequence[StreamEvent]
        ) -> None:
            if message_id == TWO:
                journal.forget(THREE)
            await super().fold(message_id, events)

    stored = Settling()
    journal = Journal(stored, clock=FakeClock())
    speakers = [Speaker(journal, key) for key in (ONE, TWO, THREE)]

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            for speaker in speakers:
                speaker.say("Be")
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert [key for key, _ in stored.folds] == [TWO]
