"""`tina rename`, `archive`, `delete` and what undoes them."""

from collections.abc import Awaitable, Callable

from tina.cli.exits import Exit
from tina.cli.history import (
    SHORT_ID_CHARS,
    chosen_conversation,
    last_day,
    title_text,
)
from tina.cli.output import write_out
from tina.cli.shapes import conversation_shape, to_json
from tina.domain.conversations import Conversation
from tina.domain.failures import InvalidInputFailure
from tina.wiring import App, open_for

Change = Callable[[App, Conversation], Awaitable[Conversation]]
Tell = Callable[[Conversation], str]


async def rename(conversation_id: str, title: str, *, as_json: bool) -> int:
    """Give a conversation another title."""
    if not title.strip():
        raise InvalidInputFailure(
            "The new title is missing. Write it after the id: "
            "tina rename ID Plans for May"
        )
    return await change(
        conversation_id,
        lambda app, found: app.conversations.rename(found.id, title),
        lambda changed: f"Renamed: {title_text(changed)}",
        as_json=as_json,
    )


async def archive(conversation_id: str, *, is_archived: bool, as_json: bool) -> int:
    """Put a conversation out of the way, or back."""
    return await change(
        conversation_id,
        lambda app, found: app.conversations.archive(found.id, is_archived=is_archived),
        lambda changed: (
            "It is in the archive now: `tina log --archived` lists it, "
            f"`tina unarchive {short_id(changed)}` brings it back."
            if is_archived
            else "It stands in `tina log` again."
        ),
        as_json=as_json,
    )


async def delete(conversation_id: str, *, as_json: bool) -> int:
    """Delete a conversation, and say how and until when that can be taken back."""

    async def delete_once(app: App, found: Conversation) -> Conversation:
        # A second time would move the day on which it is gone for good.
        if found.deleted_at is not None:
            return found
        return await app.conversations.delete(found.id)

    return await change(
        conversation_id,
        delete_once,
        lambda deleted: (
            f"Deleted: {title_text(deleted)}\n`tina undelete {short_id(deleted)}` "
            f"takes that back until {last_day(deleted)}."
        ),
        as_json=as_json,
    )


async def undelete(conversation_id: str, *, as_json: bool) -> int:
    """Take a deletion back."""
    return await change(
        conversation_id,
        lambda app, found: app.conversations.undelete(found.id),
        lambda kept: (
            f"Back{' in the archive' if kept.is_archived else ''}: {title_text(kept)}"
        ),
        as_json=as_json,
    )


def short_id(conversation: Conversation) -> str:
    return conversation.id[:SHORT_ID_CHARS]


async def change(
    conversation_id: str,
    change: Change,
    tell: Tell,
    *,
    as_json: bool,
) -> int:
    """Change a conversation, and say what it is now."""
    async with open_for() as app:
        found = await chosen_conversation(app, conversation_id)
        changed = await change(app, found)
    print_changed(changed, tell(changed), as_json=as_json)
    return Exit.OK


def print_changed(conversation: Conversation, sentence: str, *, as_json: bool) -> None:
    """Say to a person what was done, or to a program how it is now."""
    if as_json:
        write_out([to_json(conversation_shape(conversation)), "\n"])
    else:
        write_out([f"{sentence}\n"])
