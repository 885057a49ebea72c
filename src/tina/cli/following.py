"""Show one turn until it ends, whoever reads and whatever interrupts."""

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial

import anyio

from tina.cli.interruption import Interruption
from tina.cli.output import Console, OutputError
from tina.cli.showing import Screen
from tina.cli.terminal import TICK_S
from tina.domain.failures import Failure
from tina.domain.messages import Message
from tina.domain.ports import Clock
from tina.wiring import Turn

STOP_TIMEOUT_S = 10.0
LEAVE_TIMEOUT_S = 0.3
"""How long a reader that stalled may take for the rest when a person stopped it."""


async def follow(
    turn: Turn,
    screen: Screen,
    console: Console,
    interruption: Interruption,
    clock: Clock,
) -> Message:
    """Show a turn; Ctrl-C and a closed pipe stop it, SIGTERM leaves it.

    A reader that stalls is waited for, but the turn goes on and is stored. When this
    returns, all of the answer is written.

    Raises:
        OutputError: the output is closed or full; the answer is stopped.
        The runtime's cancellation, once a turn that a person stopped is stored.
    """
    message: Message | None = None
    try:
        await _show_all(turn, screen, console, clock)
        message = await _ended(turn)
        screen.end(message)
        await console.tell(screen.ending(message))
    except OutputError:
        await turn.stop()
        raise
    except anyio.get_cancelled_exc_class():
        if interruption.is_from_person:
            await _stop(turn, screen, console, is_shown=message is not None)
        elif message is None:
            await _leave(turn, screen, console)
        raise
    return message


async def _stop(
    turn: Turn, screen: Screen, console: Console, *, is_shown: bool
) -> None:
    with anyio.move_on_after(STOP_TIMEOUT_S, shield=True):
        await turn.stop()
        message = await _ended(turn)
        if not is_shown:
            screen.end(message)
        with anyio.move_on_after(LEAVE_TIMEOUT_S):
            await console.out.written()
        with anyio.move_on_after(LEAVE_TIMEOUT_S):
            await console.tell_at_once(screen.ending(message))


async def _leave(turn: Turn, screen: Screen, console: Console) -> None:
    """Show how far it came; the app settles the answer as this when it closes."""
    answer = turn.answer
    with anyio.move_on_after(LEAVE_TIMEOUT_S, shield=True):
        screen.end(answer.interrupted(answer.parts, answer.usage))
        await console.out.written()


async def _ended(turn: Turn) -> Message:
    """The answer; one whose end could not be stored comes as failed, with why."""
    try:
        return await turn.result()
    except Failure as failure:
        answer = turn.answer
        return answer.failed(
            answer.parts, failure=failure.as_record(), usage=answer.usage
        )


async def _show_all(turn: Turn, screen: Screen, console: Console, clock: Clock) -> None:
    drawing = partial(keep_drawing, screen, clock)
    async with beside(drawing), aclosing(turn.events()) as events:
        async for event in events:
            screen.show(event)
            if said := screen.aside(event):
                await console.tell_at_once(said)
            await console.out.room()


@asynccontextmanager
async def beside(
    run: Callable[[], Coroutine[object, object, None]],
) -> AsyncGenerator[None]:
    """Run something while the body runs, and end it then.

    What ends the body comes out as it is, in no group; `run` itself must not fail.
    """
    broken: OutputError | Failure | None = None
    scope = anyio.CancelScope()  # of its own: the body's task is not to be cancelled

    async def run_inside() -> None:
        with scope:
            await run()

    async with anyio.create_task_group() as group:
        group.start_soon(run_inside)
        try:
            yield
        except (OutputError, Failure) as error:
            # Raised below, outside of the group, which would wrap it.
            broken = error
        scope.cancel()
    if broken is not None:
        raise broken


async def keep_drawing(screen: Screen, clock: Clock) -> None:
    """Show what waits while nothing new is said, until it is cancelled."""
    with suppress(OutputError):  # whoever writes next is told
        while True:
            await clock.sleep(TICK_S)
            screen.tick()
