"""Following a turn whose output breaks."""

from pathlib import Path

import anyio
import pytest

import tina
from tina.cli.following import follow
from tina.cli.interruption import Interruption
from tina.cli.output import Console, OutputError
from tina.domain.events import StreamEvent, TextDelta
from tina.domain.failures import StorageFailure
from tina.domain.messages import Message, MessageStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryTurns
from tina.testing.provider import HANG, ScriptedProvider
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio


class BreakingScreen:
    """Breaks at the first word, or at the first tick."""

    def __init__(self, *, breaks_at_tick: bool = False) -> None:
        self._breaks_at_tick = breaks_at_tick
        self.ticked = anyio.Event()

    def show(self, event: StreamEvent) -> None:
        if isinstance(event, TextDelta) and not self._breaks_at_tick:
            raise OutputError(32, "Broken pipe")

    def aside(self, event: StreamEvent) -> str:
        return ""

    def tick(self) -> None:
        self.ticked.set()
        if self._breaks_at_tick:
            raise OutputError(32, "Broken pipe")

    def end(self, message: Message) -> None:
        return

    def ending(self, message: Message) -> str:
        return ""


async def test_an_answer_whose_output_breaks_is_stopped_and_kept(
    tmp_path: Path,
) -> None:
    provider = ScriptedProvider("Once", HANG)
    with anyio.fail_after(10):
        async with tina.open(tmp_path, providers={"scripted": provider}) as app:
            conversation = await app.conversations.create(model="scripted:parrot")
            turn = await app.send(conversation.id, "A tale.")
            with pytest.raises(OutputError):
                await follow(
                    turn, BreakingScreen(), Console(), Interruption(), app.clock
                )
            answer = await turn.result()

    assert (answer.status, answer.text) == (MessageStatus.STOPPED, "Once")


async def test_a_frame_that_cannot_be_drawn_ends_the_drawing_only(
    tmp_path: Path,
) -> None:
    provider = ScriptedProvider("Once", HANG)
    screen = BreakingScreen(breaks_at_tick=True)
    with anyio.fail_after(10):
        async with tina.open(tmp_path, providers={"scripted": provider}) as app:
            conversation = await app.conversations.create(model="scripted:parrot")
            turn = await app.send(conversation.id, "A tale.")
            async with anyio.create_task_group() as group:
                group.start_soon(
                    follow, turn, screen, Console(), Interruption(), app.clock
                )
                await screen.ticked.wait()
                await turn.stop()

    assert (await turn.result()).status is MessageStatus.STOPPED


async def test_an_answer_that_cannot_be_stored_is_shown_as_failed(
    tmp_path: Path,
) -> None:
    class Full(MemoryTurns):
        async def settle(self, answer: Message) -> bool:
            raise StorageFailure("No room left.")

    stores = MemoryStores(clock=FakeClock(), ids=FakeIds())
    async with tina.open(
        tmp_path,
        providers={"scripted": ScriptedProvider("Once")},
        stores=stores,
        turns=Full(stores.rows),
    ) as app:
        conversation = await app.conversations.create(model="scripted:parrot")
        turn = await app.send(conversation.id, "A tale.")
        screen = BreakingScreen(breaks_at_tick=True)
        message = await follow(turn, screen, Console(), Interruption(), app.clock)

    assert (message.status, message.text) == (MessageStatus.FAILED, "Once")
    assert message.failure is not None
    assert message.failure.message == "No room left."
