"""`tina log` and `tina show`: what was said before."""

import sys

from tina.cli.exits import Exit
from tina.cli.output import write_out
from tina.cli.shapes import branch_shape, conversation_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.conversations import Conversation
from tina.domain.failures import InvalidInputFailure, NotFoundFailure
from tina.domain.messages import Message, MessageStatus, Role
from tina.wiring import App, open_for

SHORT_ID_CHARS = 16  # 12 are all time: two of one millisecond would look alike

_SPEAKERS = {
    Role.USER: "You",
    Role.ASSISTANT: "Tina",
    Role.SYSTEM: "System",
    Role.TOOL: "Tool",
}


async def log(*, count: int, as_json: bool) -> int:
    """List the newest conversations; `count` 0 means all."""
    if count < 0:
        raise InvalidInputFailure("-n wants 0 (all) or a number above it.")
    async with open_for() as app:
        found = await app.conversations.list(limit=count or None)
    if as_json:
        shapes = [conversation_shape(conversation) for conversation in found]
        write_out([to_json(shapes), "\n"])
    elif not found:
        sys.stderr.write('No conversations yet. Ask something: tina "Who are you?"\n')
    else:
        write_out(_line(conversation) for conversation in found)
    return Exit.OK


async def show(conversation_id: str | None, *, as_json: bool) -> int:
    """Print one conversation, the newest if none is named."""
    async with open_for() as app:
        conversation = await chosen_conversation(app, conversation_id)
        messages = await app.conversations.messages(conversation.id)
    if as_json:
        write_out([to_json(branch_shape(conversation, messages)), "\n"])
    else:
        write_out([_page(conversation, messages)])
    return Exit.OK


async def chosen_conversation(app: App, conversation_id: str | None) -> Conversation:
    """The conversation of that id or beginning, or the newest one.

    Raises:
        NotFoundFailure: there is none.
    """
    if conversation_id is None:
        newest = await app.conversations.list(limit=1)
        if not newest:
            raise NotFoundFailure(
                'There is no conversation yet. Ask something: tina "What is a fjord?"'
            )
        return newest[0]
    found = await app.conversations.find(conversation_id)
    if found is None:
        raise NotFoundFailure(
            f"There is no conversation {conversation_id!r}. `tina log` lists them."
        )
    return found


def _line(conversation: Conversation) -> str:
    when = conversation.last_message_at.astimezone().strftime("%Y-%m-%d %H:%M")
    title = " ".join(safe_text(conversation.title or conversation.preview).split())
    return (
        f"{conversation.id[:SHORT_ID_CHARS]}  {when}  "
        f"{conversation.message_count:>3}  {title or '(no title)'}\n"
    )


def _page(conversation: Conversation, messages: tuple[Message, ...]) -> str:
    title = " ".join(safe_text(conversation.title).split()) or "(no title)"
    head = f"# {title}\n\n{conversation.id}\n"
    return head + "".join(_entry(message) for message in messages)


def _entry(message: Message) -> str:
    speaker = _SPEAKERS[message.role]
    if message.model is not None:
        speaker = f"{speaker} ({safe_text(message.model)})"
    text = safe_text(message.text).rstrip("\n")
    return f"\n## {speaker}\n\n" + (f"{text}\n" if text else "") + _ending(message)


def _ending(message: Message) -> str:
    match message.status:
        case MessageStatus.COMPLETE:
            return ""
        case MessageStatus.FAILED if message.failure is not None:
            return f"\n[failed: {safe_text(message.failure.message)}]\n"
        case MessageStatus.STREAMING:
            return "\n[still being written]\n"
        case _:
            return f"\n[{message.status}; `tina continue` goes on]\n"
