"""`tina ask` and `tina continue`: one answer, shown while it grows."""

from collections.abc import Awaitable, Callable

from tina.cli.exits import Exit, exit_for_failure, exit_for_message
from tina.cli.flags import Asking, Material, Placing, Showing
from tina.cli.following import follow
from tina.cli.history import chosen_conversation
from tina.cli.interruption import Interruption, interruptible
from tina.cli.output import Console
from tina.cli.placing import check_models, check_placing, place
from tina.cli.question import read_question
from tina.cli.shapes import refusal_shape, to_json
from tina.cli.showing import make_screen
from tina.cli.turn_arguments import turn_arguments
from tina.domain.failures import Failure, FailureRecord
from tina.wiring import App, Turn, TurnArguments, open_for

INTERRUPTIONS = (Exit.INTERRUPTED, Exit.TERMINATED)
NOTHING_ASKED = FailureRecord(
    kind="cancelled", message="Stopped before anything was asked."
)

Start = Callable[[App, TurnArguments], Awaitable[Turn]]


async def ask(
    words: str, material: Material, placing: Placing, asking: Asking, showing: Showing
) -> int:
    async def start(app: App, turn: TurnArguments) -> Turn:
        question = await read_question(
            words,
            attachments=material.attachment or (),
            reads_stdin=material.stdin,
        )
        check_models(app, asking)
        title = words or question.text
        conversation = await place(app, placing, asking, title=title)
        return await app.send(
            conversation.id, question.text, attachments=question.attachments, **turn
        )

    return await show_answer(start, placing, asking, showing)


async def continue_answer(
    conversation_id: str | None, asking: Asking, showing: Showing
) -> int:
    async def start(app: App, turn: TurnArguments) -> Turn:
        conversation = await chosen_conversation(app, conversation_id)
        return await app.continue_answer(conversation.id, **turn)

    return await show_answer(start, Placing(), asking, showing)


async def show_answer(
    start: Start, placing: Placing, asking: Asking, showing: Showing
) -> int:
    """Open Tina, start a turn, and show its answer until it ends."""
    console = Console()
    begun: list[Turn] = []
    is_object_wanted = showing.format != "text"

    async def answer(interruption: Interruption) -> int:
        check_placing(placing)
        arguments = turn_arguments(asking)
        async with open_for(
            key=asking.key, model=asking.model, keeps=placing.log
        ) as app:
            turn = await start(app, arguments)
            begun.append(turn)
            screen = make_screen(showing, turn, app, console.out)
            message = await follow(turn, screen, console, interruption, app.clock)
        return exit_for_message(message)

    async def answer_or_refuse(interruption: Interruption) -> int:
        try:
            return await answer(interruption)
        except Failure as failure:
            if not is_object_wanted:
                raise
            record = failure.as_record()
            await _write_refusal(console, record)
            return exit_for_failure(record)

    code = await interruptible(answer_or_refuse)
    if code in INTERRUPTIONS and is_object_wanted and not begun:
        await _write_refusal(console, NOTHING_ASKED)
    return code


async def _write_refusal(console: Console, record: FailureRecord) -> None:
    console.out.write(to_json(refusal_shape(record)) + "\n")
    await console.out.written()
