"""While the disk is full answers go on in memory, and are stored when there is room."""

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel
import pytest

from tests.assistant.house import House, asking, house
from tina.assistant.answer import Answer
from tina.assistant.journal import Journal
from tina.assistant.turn import Turn
from tina.domain.events import StreamEvent, TextDelta
from tina.domain.failures import (
    BusyFailure,
    DamagedFailure,
    DiskFullFailure,
    StorageFailure,
)
from tina.domain.ids import MessageId
from tina.domain.messages import Message, MessageStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryDatabase, MemoryJournal, MemoryTurns

pytestmark = pytest.mark.anyio

ONE = MessageId("1")

FULL = DiskFullFailure("No room left.")
BUSY = BusyFailure("Somebody holds it.")
BROKEN = StorageFailure("The disk failed.")
DAMAGED = DamagedFailure("The file is damaged.")


def failing(*failures: StorageFailure) -> type[MemoryTurns]:
    """Ends are stored after so many failures."""
    left = list(failures)

    class Failing(MemoryTurns):
        async def settle(self, answer: Message) -> bool:
            if left:
                raise left.pop(0)
            return await super().settle(answer)

    return Failing


async def told(turn: Turn) -> StorageFailure:
    """Why the end could not be stored, as who waits for it is told."""
    with pytest.raises(StorageFailure) as raised:
        await turn.result()
    return raised.value


async def until_it_runs_no_more(here: House, turn: Turn) -> None:
    while here.process.running.find(turn.message_id) is not None:
        await anyio.lowlevel.checkpoint()


@pytest.mark.requirement("database:full:ends-are-kept")
@pytest.mark.parametrize(
    "failures", [(FULL,), (FULL, FULL, FULL), (FULL, BUSY, FULL), (BROKEN, BUSY)]
)
async def test_an_end_that_met_a_full_disk_is_stored_when_there_is_room(
    failures: tuple[StorageFailure, ...],
) -> None:
    async with house("Once", turns=failing(*failures)) as here:
        turn = await here.send()

        assert await told(turn) is failures[0]
        assert here.process.running.find(turn.message_id) is turn
        assert turn.answer.text == "Once"
        await until_it_runs_no_more(here, turn)

        stored = await here.stored(turn)
        assert (stored.status, stored.text) == (MessageStatus.COMPLETE, "Once")
        assert await turn.result() == stored


async def test_an_end_that_can_never_be_stored_is_not_tried_for_ever() -> None:
    async with house("Once", turns=failing(FULL, DAMAGED, FULL)) as here:
        turn = await here.send()
        await told(turn)
        await until_it_runs_no_more(here, turn)

        assert await told(turn) is DAMAGED
        assert (await here.stored(turn)).status is MessageStatus.STREAMING


async def test_an_end_of_what_never_began_is_stored_too_when_that_is_possible(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house(turns=failing(BROKEN)) as here:
        queued = await here.assistant.send_later(here.conversation.id, "Why?")
        waiting = here.stores.rows.open_turns
        waiting[queued.message_id] = asking(waiting[queued.message_id], "gone:model")

        turn = await here.process.running.claim()
        assert turn is not None
        await turn.ended()
        while turn.is_unsettled:
            await anyio.lowlevel.checkpoint()

        assert (await here.stored(turn)).status is MessageStatus.FAILED
    assert "turn_not_settled" in caplog.text


async def test_leaving_does_not_wait_for_room() -> None:
    async with house("Once", turns=failing(*[FULL] * 10_000)) as here:
        turn = await here.send()
        await told(turn)

    assert turn.is_unsettled


class FullJournal(MemoryJournal):
    """Cannot be written until the test says so."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase(clock=FakeClock(), ids=FakeIds()))
        self.is_full = True
        self.tries = 0
        self.folded: list[str] = []
        self.is_written = anyio.Event()

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        self.tries += 1
        if self.is_full:
            raise FULL

    async def fold(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        self.tries += 1
        if self.is_full:
            raise FULL
        texts = [event.text for event in events if isinstance(event, TextDelta)]
        self.folded.append("".join(texts))
        self.is_written.set()


@pytest.mark.requirement("database:full:bounded-memory")
async def test_nothing_piles_up_while_the_journal_cannot_be_written() -> None:
    repository, clock = FullJournal(), FakeClock()
    journal = Journal(repository, clock=clock)
    said = Answer()
    journal.begin(ONE, said)
    waiting: list[int] = []

    def say(text: str) -> None:
        said.feed([TextDelta("text", text)])
        journal.add(ONE, [TextDelta("text", text)])

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(journal.run)
            for number in range(100):
                say(f"{number} ")
                await anyio.lowlevel.checkpoint()
                entry = journal._entries[ONE]  # pyright: ignore[reportPrivateUsage]  # what waits is nobody else's
                waiting.append(len(entry.pending))
            repository.is_full = False
            await repository.is_written.wait()
            group.cancel_scope.cancel()

    assert repository.tries > 2
    assert max(waiting) <= 10
    assert repository.folded[-1].endswith("98 99 ")
