"""`tina stop`: an answer ends, whichever process writes it."""

from collections.abc import Iterable
from contextlib import aclosing

import anyio

from tina.cli.exits import Exit
from tina.cli.history import SHORT_ID_CHARS, chosen_conversation
from tina.cli.output import write_out
from tina.cli.shapes import answer_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.failures import BusyFailure, NotFoundFailure
from tina.domain.ids import MessageId
from tina.domain.messages import Message, MessageStatus
from tina.wiring import App, open_for

STOP_TIMEOUT_S = 10.0
"""How long the process that writes an answer may take to end it."""


async def stop(conversation_id: str | None, *, as_json: bool) -> int:
    """Stop what is written, or waits to be, in one conversation; say what is kept."""
    async with open_for() as app:
        answer_ids = await _open_answers(app, conversation_id)
        for answer_id in answer_ids:
            await app.stop(answer_id)
        answers = await _ends(app, answer_ids)
    if as_json:
        shape = {
            "conversation_id": answers[0].conversation_id,
            "answers": [answer_shape(answer) for answer in answers],
        }
        write_out([to_json(shape), "\n"])
    else:
        write_out(f"{end_text(answer)}\n" for answer in answers)
    return Exit.OK


async def _open_answers(app: App, conversation_id: str | None) -> list[MessageId]:
    """Answers that are not done, of the conversation where one was asked for last.

    Raises:
        NotFoundFailure: there is none.
    """
    open_turns = await app.open_turns()
    if conversation_id is not None:
        within = (await chosen_conversation(app, conversation_id)).id
    elif open_turns:
        within = open_turns[-1].conversation_id
    else:
        raise NotFoundFailure("Nothing is being answered, so nothing can be stopped.")
    found = [turn.answer_id for turn in open_turns if turn.conversation_id == within]
    if not found:
        raise NotFoundFailure(
            "Nothing is being answered in that conversation, so nothing can be stopped."
        )
    return found


async def _ends(app: App, answer_ids: Iterable[MessageId]) -> list[Message]:
    """How they ended, once each of them has.

    Raises:
        BusyFailure: one did not end in time.
    """
    try:
        with anyio.fail_after(STOP_TIMEOUT_S):
            return [await _end(app, answer_id) for answer_id in answer_ids]
    except TimeoutError as error:
        raise BusyFailure(
            "The process that writes the answer was asked to stop and does not react. "
            "It stops when it does; `tina db status` names the process."
        ) from error


async def _end(app: App, answer_id: MessageId) -> Message:
    async with aclosing(app.watch_message(answer_id)) as growth:
        return [message async for message in growth][-1]


def end_text(answer: Message) -> str:
    """How a stopped answer ended, and how much of it is kept."""
    go_on = f"`tina continue {answer.conversation_id[:SHORT_ID_CHARS]}` goes on."
    match answer.status:
        case MessageStatus.COMPLETE:
            return "It was complete before it could be stopped."
        case MessageStatus.STOPPED:
            return f"Stopped; {_kept(answer)}. {go_on}"
        case MessageStatus.FAILED if answer.failure is not None:
            reason = safe_text(answer.failure.message)
            return f"It failed before it could be stopped ({_kept(answer)}): {reason}"
        case _:
            return f"The process that wrote it had ended; {_kept(answer)}. {go_on}"


def _kept(answer: Message) -> str:
    words = len(answer.text.split())
    match words:
        case 0:
            return "it had said nothing yet"
        case 1:
            return "1 word is kept"
        case _:
            return f"{words} words are kept"
