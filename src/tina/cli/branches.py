"""`tina fork`, `choose` and `versions`: the branches of a conversation."""

import sys
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from tina.cli.conversations import print_changed, short_id
from tina.cli.exits import Exit
from tina.cli.history import chosen_conversation, date_text
from tina.cli.output import write_out
from tina.cli.shapes import conversation_shape, message_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.failures import InvalidInputFailure, NotFoundFailure
from tina.domain.ids import MessageId, parse_id
from tina.domain.messages import Message, MessageStatus
from tina.wiring import App, open_for

MIN_PREFIX_CHARS = 4
VERSION_CHARS = 60


async def fork(conversation_id: str | None, *, at: str | None, as_json: bool) -> int:
    """Copy a branch into a new conversation and print the new one's id."""
    async with open_for() as app:
        message_id = await _fork_point(app, conversation_id, at)
        new = await app.conversations.fork(message_id)
    if as_json:
        write_out([to_json(conversation_shape(new)), "\n"])
        return Exit.OK
    write_out([f"{new.id}\n"])
    sys.stderr.write(
        f"tina: {new.message_count} messages were copied. "
        f'`tina --cid {short_id(new)} "…"` goes on there.\n'
    )
    return Exit.OK


async def choose(message: str, *, within: str | None, as_json: bool) -> int:
    """Make the branch through a message the active one."""
    async with open_for() as app:
        chosen = await app.conversations.choose(
            await chosen_message(app, message, within)
        )
    print_changed(
        chosen,
        f"Its branch is the active one now; `tina show {short_id(chosen)}` prints it.",
        as_json=as_json,
    )
    return Exit.OK


async def versions(message: str, *, within: str | None, as_json: bool) -> int:
    """List a message and those that stand in its place on other branches."""
    async with open_for() as app:
        message_id = await chosen_message(app, message, within)
        siblings = await app.conversations.siblings(message_id)
        if not siblings:
            raise _no_message(message)
        branch = await app.conversations.messages(siblings[0].conversation_id)
    active = {each.id for each in branch}
    if as_json:
        shapes = [
            {**message_shape(each), "is_active": each.id in active} for each in siblings
        ]
        write_out([to_json(shapes), "\n"])
    else:
        write_out(_version_lines(siblings, active))
    return Exit.OK


async def chosen_message(app: App, message: str, within: str | None) -> MessageId:
    """The message of that id; or the one of the active branch that begins like that.

    Args:
        within: the conversation to look in for a beginning; otherwise the newest.

    Raises:
        NotFoundFailure: none begins like that. A whole id is not looked up here.
        InvalidInputFailure: several do, or may: so few characters are not looked up.
    """
    whole = parse_id(message)
    if whole is not None:
        return MessageId(whole)
    prefix = message.strip().replace("-", "").lower()
    conversation = await chosen_conversation(app, within)
    branch = await app.conversations.messages(conversation.id)
    found = [each.id for each in branch if each.id.startswith(prefix)]
    if not prefix or not found:
        raise _no_message(message)
    if len(prefix) < MIN_PREFIX_CHARS:
        raise InvalidInputFailure(
            f"{message!r} is too short; type at least {MIN_PREFIX_CHARS} characters of "
            "the id."
        )
    if len(found) > 1:
        raise InvalidInputFailure(
            f"Several messages begin with {message!r}; type more of the id."
        )
    return found[0]


async def _fork_point(
    app: App, conversation_id: str | None, at: str | None
) -> MessageId:
    if at is None:
        conversation = await chosen_conversation(app, conversation_id)
        if conversation.tip is None:
            raise InvalidInputFailure("Nothing was said there yet; nothing to fork.")
        return conversation.tip
    message_id = await chosen_message(app, at, conversation_id)
    if conversation_id is not None:
        conversation = await chosen_conversation(app, conversation_id)
        versions = await app.conversations.siblings(message_id)
        if all(each.conversation_id != conversation.id for each in versions):
            raise NotFoundFailure(
                f"There is no message {at!r} in that conversation. "
                f"`tina show --ids {short_id(conversation)}` lists them."
            )
    return message_id


def _no_message(message: str) -> NotFoundFailure:
    return NotFoundFailure(
        f"There is no message {message!r}. `tina show --ids` lists those of the "
        "newest conversation; the id of one elsewhere must be whole, or use --cid."
    )


def _version_lines(
    siblings: tuple[Message, ...], active: AbstractSet[MessageId]
) -> Iterator[str]:
    for each in siblings:
        mark = "*" if each.id in active else " "
        text = " ".join(safe_text(each.text).split())
        if len(text) > VERSION_CHARS:
            text = f"{text[: VERSION_CHARS - 1]}…"
        if each.status is not MessageStatus.COMPLETE:
            text = f"[{each.status}] {text}"
        yield f"{mark} {each.id}  {date_text(each.created_at)}  {text}\n"
