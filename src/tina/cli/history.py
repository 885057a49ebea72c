"""`tina log` and `tina show`: what was said before."""

import sys
from datetime import datetime

from tina.cli.exits import Exit
from tina.cli.notes import remarks
from tina.cli.output import write_out
from tina.cli.shapes import branch_shape, conversation_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.chat import StopReason
from tina.domain.conversations import KEPT_AFTER_DELETION, Conversation, Shelf
from tina.domain.failures import InvalidInputFailure, NotFoundFailure
from tina.domain.ids import MessageId
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.money import dollars
from tina.domain.queries import MAX_PAGE_SIZE
from tina.domain.turns import TurnStatus
from tina.wiring import App, open_for

SHORT_ID_CHARS = 16  # 12 are all time: two of one millisecond would look alike

_SPEAKERS = {
    Role.USER: "You",
    Role.ASSISTANT: "Tina",
    Role.SYSTEM: "System",
    Role.TOOL: "Tool",
}


_NOTHING_ON = {
    Shelf.ACTIVE: 'No conversations yet. Ask something: tina "Who are you?"',
    Shelf.ARCHIVED: "The archive is empty. `tina archive ID` puts something there.",
    Shelf.DELETED: "Nothing was deleted that could be taken back.",
}


async def log(*, count: int, shelf: Shelf = Shelf.ACTIVE, as_json: bool) -> int:
    """List the newest conversations of a shelf; `count` 0 means all."""
    if count < 0:
        raise InvalidInputFailure("-n wants 0 (all) or a number above it.")
    async with open_for() as app:
        found = await _newest(app, count, shelf)
    if as_json:
        shapes = [conversation_shape(conversation) for conversation in found]
        write_out([to_json(shapes), "\n"])
    elif not found:
        sys.stderr.write(f"{_NOTHING_ON[shelf]}\n")
    else:
        write_out(line(conversation) for conversation in found)
    return Exit.OK


async def _newest(app: App, count: int, shelf: Shelf) -> list[Conversation]:
    """So many of a shelf, page by page; 0 means all."""
    found: list[Conversation] = []
    while count == 0 or len(found) < count:
        page = await app.conversations.list(
            limit=min(count - len(found), MAX_PAGE_SIZE) if count else None,
            shelf=shelf,
            after=found[-1].mark if found else None,
        )
        found += page
        if count == 0 or len(page) < MAX_PAGE_SIZE:
            break
    return found


async def show(
    conversation_id: str | None, *, with_ids: bool = False, as_json: bool
) -> int:
    """Print one conversation, the newest if none is named."""
    async with open_for() as app:
        conversation = await chosen_conversation(app, conversation_id)
        messages = await app.conversations.messages(conversation.id)
        waiting = await waiting_answers(app)
        spent = await app.spent_micros(conversation_id=conversation.id)
    if as_json:
        shape = branch_shape(conversation, messages) | {"cost_micros": spent}
        write_out([to_json(shape), "\n"])
    else:
        entries = (
            entry(each, waits=each.id in waiting, with_id=with_ids) for each in messages
        )
        write_out([page_head(conversation, spent_micros=spent), *entries])
    return Exit.OK


async def waiting_answers(app: App) -> frozenset[MessageId]:
    """Answers that nobody writes yet."""
    return frozenset(
        turn.answer_id
        for turn in await app.open_turns()
        if turn.status is TurnStatus.QUEUED
    )


async def chosen_conversation(app: App, conversation_id: str | None) -> Conversation:
    """The conversation of that id or beginning, or the newest one.

    Raises:
        NotFoundFailure: there is none.
    """
    if conversation_id is None:
        newest = await app.conversations.newest()
        if newest is None:
            raise NotFoundFailure(
                'There is no conversation yet. Ask something: tina "What is a fjord?"'
            )
        return newest
    found = await app.conversations.find(conversation_id)
    if found is None:
        raise NotFoundFailure(
            f"There is no conversation {conversation_id!r}. `tina log` lists them."
        )
    return found


def line(conversation: Conversation) -> str:
    return (
        f"{conversation.id[:SHORT_ID_CHARS]}  "
        f"{date_text(conversation.last_message_at)}  "
        f"{conversation.message_count:>3}  "
        f"{_mark(conversation)}{title_text(conversation)}\n"
    )


def _mark(conversation: Conversation) -> str:
    if until := last_day(conversation):
        return f"[until {until}] "
    return "[pinned] " if conversation.is_pinned else ""


def title_text(conversation: Conversation) -> str:
    """Its title on one line; without one, how the newest message begins."""
    text = safe_text(conversation.title or conversation.preview)
    return " ".join(text.split()) or "(no title)"


def date_text(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def last_day(conversation: Conversation) -> str:
    """The day until which its deletion can be taken back; empty if it is kept."""
    if conversation.deleted_at is None:
        return ""
    end = conversation.deleted_at + KEPT_AFTER_DELETION
    return end.astimezone().strftime("%Y-%m-%d")


def page_head(conversation: Conversation, *, spent_micros: int = 0) -> str:
    title = " ".join(safe_text(conversation.title).split()) or "(no title)"
    head = f"# {title}\n\n{conversation.id}\n"
    if spent_micros:
        head += f"[{dollars(spent_micros)} so far]\n"
    if until := last_day(conversation):
        head += f"[deleted; `tina undelete` takes that back until {until}]\n"
    return head


def entry(message: Message, *, waits: bool = False, with_id: bool = False) -> str:
    """One message of a page: who, what was said, how it ended if not well.

    Args:
        waits: it is an answer that nobody writes yet.
    """
    if waits:
        ending = "\n[waits for a worker; `tina worker` answers it]\n"
    else:
        ending = entry_ending(message)
    text = safe_text(message.text).rstrip("\n")
    said = f"{text}\n" if text else ""
    return entry_head(message, with_id=with_id) + said + remarks(message) + ending


def entry_head(message: Message, *, with_id: bool = False) -> str:
    speaker = _SPEAKERS[message.role]
    if message.model is not None:
        speaker = f"{speaker} ({safe_text(message.model)})"
    if with_id:
        speaker = f"{speaker} {message.id}"
    return f"\n## {speaker}\n\n"


def entry_ending(message: Message) -> str:
    match message.status:
        case MessageStatus.COMPLETE if message.stop_reason is StopReason.PAUSED:
            return "\n[paused by the provider; `tina continue` goes on]\n"
        case MessageStatus.COMPLETE:
            return ""
        case MessageStatus.FAILED if message.failure is not None:
            return f"\n[failed: {safe_text(message.failure.message)}]\n"
        case MessageStatus.STREAMING:
            return "\n[still being written; `tina show -f` follows it]\n"
        case _:
            return f"\n[{message.status}; `tina continue` goes on]\n"
