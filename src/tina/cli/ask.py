"""`tina ask` and `tina continue`: one answer, shown while it grows."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio

from tina.cli.commands import Asking, Placing, Showing
from tina.cli.exits import Exit, exit_for_failure, exit_for_message
from tina.cli.history import chosen_conversation
from tina.cli.interruption import Interruption, interruptible
from tina.cli.options import parse_options
from tina.cli.question import read_question
from tina.cli.shapes import refusal_shape, to_json
from tina.cli.showing import Screen, make_screen
from tina.cli.terminal import TICK_S
from tina.domain.conversations import Conversation
from tina.domain.failures import Failure, InvalidInputFailure
from tina.domain.messages import Message, MessageStatus
from tina.wiring import App, Turn, open_for

STOP_TIMEOUT_S = 10.0

Start = Callable[[App], Awaitable[Turn]]


async def ask(words: str, placing: Placing, asking: Asking, showing: Showing) -> int:
    async def start(app: App) -> Turn:
        prompt = await read_question(
            words,
            attachments=placing.attachment or (),
            reads_stdin=placing.stdin,
        )
        app.check_model(asking.model)
        conversation = await place(app, placing, asking, title=words or prompt)
        return await send(app, conversation, prompt, asking)

    return await _answer(start, asking, showing, keeps=placing.log)


async def continue_answer(
    conversation_id: str | None, asking: Asking, showing: Showing
) -> int:
    async def start(app: App) -> Turn:
        options, deadlines = parse_options(asking.option)
        conversation = await chosen_conversation(app, conversation_id)
        return await app.continue_answer(
            conversation.id, model=asking.model, options=options, deadlines=deadlines
        )

    return await _answer(start, asking, showing, keeps=True)


async def place(
    app: App, placing: Placing, asking: Asking, *, title: str
) -> Conversation:
    """The conversation that was named, the newest, or a new one.

    Raises:
        InvalidInputFailure: flags that contradict each other.
        NotFoundFailure: there is no such conversation.
    """
    if placing.conversation is None and not placing.continue_:
        return await app.conversations.create(
            title, model=asking.model, system=placing.system
        )
    if placing.conversation is not None and placing.continue_:
        raise InvalidInputFailure(
            "--continue and --conversation exclude each other; give one of them."
        )
    if placing.system is not None:
        raise InvalidInputFailure(
            "--system begins a conversation; this one has begun already."
        )
    return await chosen_conversation(app, placing.conversation)


async def send(
    app: App, conversation: Conversation, prompt: str, asking: Asking
) -> Turn:
    options, deadlines = parse_options(asking.option)
    return await app.send(
        conversation.id,
        prompt,
        model=asking.model,
        options=options,
        deadlines=deadlines,
    )


async def follow(turn: Turn, screen: Screen, interruption: Interruption) -> Message:
    """Show a turn until it ends; Ctrl-C and a closed pipe stop it, SIGTERM leaves it.

    Raises:
        OSError: the output is closed or full; the answer is stopped.
        The runtime's cancellation, once a turn that a person stopped is stored.
    """
    try:
        await _show_all(turn, screen)
        message = await turn.result()
    except OSError:
        await turn.stop()
        raise
    except anyio.get_cancelled_exc_class():
        if interruption.is_from_person:
            with anyio.move_on_after(STOP_TIMEOUT_S, shield=True):
                await turn.stop()
                screen.end(await turn.result())
        raise
    screen.end(message)
    return message


async def _show_all(turn: Turn, screen: Screen) -> None:
    broken: OSError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_keep_drawing, screen)
        try:
            async for event in turn.events():
                screen.show(event)
        except OSError as error:
            # Raised below, outside of the group, which would wrap it.
            broken = error
        group.cancel_scope.cancel()
    if broken is not None:
        raise broken


async def _keep_drawing(screen: Screen) -> None:
    with suppress(OSError):  # whoever writes next is told
        while True:
            await asyncio.sleep(TICK_S)
            screen.tick()


async def _answer(
    start: Start, asking: Asking, showing: Showing, *, keeps: bool
) -> int:
    async def work(interruption: Interruption) -> int:
        async with open_for(key=asking.key, model=asking.model, keeps=keeps) as app:
            turn = await start(app)
            screen = make_screen(showing, turn, app)
            message = await follow(turn, screen, interruption)
        return _report(message)

    try:
        parse_options(asking.option)
        return await interruptible(work)
    except Failure as failure:
        if showing.format == "text":
            raise
        record = failure.as_record()
        sys.stdout.write(to_json(refusal_shape(record)) + "\n")
        return exit_for_failure(record)


def _report(message: Message) -> Exit:
    """Say on stderr what a person should know, and find the exit code."""
    if message.status is MessageStatus.FAILED and message.failure is not None:
        sys.stderr.write(f"tina: {message.failure.message}\n")
        if message.text:
            sys.stderr.write("tina: What was said is kept; `tina continue` goes on.\n")
    return exit_for_message(message)
