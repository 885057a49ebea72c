"""`tina pin` and `tina unpin`: a conversation in its list, a message in its context."""

from tina.cli.branches import chosen_message
from tina.cli.conversations import change, print_changed
from tina.cli.exits import Exit
from tina.cli.history import chosen_conversation
from tina.domain.failures import InvalidInputFailure
from tina.wiring import open_for


async def pin(
    conversation_id: str | None, message: str | None, *, is_pinned: bool, as_json: bool
) -> int:
    """Pin what is named, or no longer."""
    if message is not None:
        return await _pin_message(
            conversation_id, message, is_pinned=is_pinned, as_json=as_json
        )
    if conversation_id is None:
        raise InvalidInputFailure(
            "Say which conversation: tina pin ID; `tina log` lists them. "
            "With --message it is a message."
        )
    return await change(
        conversation_id,
        lambda app, found: app.conversations.pin(found.id, is_pinned=is_pinned),
        lambda _: (
            "It stays at the top of `tina log` now."
            if is_pinned
            else "It stands in its place in `tina log` again."
        ),
        as_json=as_json,
    )


async def _pin_message(
    conversation_id: str | None, message: str, *, is_pinned: bool, as_json: bool
) -> int:
    async with open_for() as app:
        message_id = await chosen_message(app, message, conversation_id)
        await app.conversations.pin_message(message_id, is_pinned=is_pinned)
        changed = await chosen_conversation(app, conversation_id)
    said = (
        "The message goes with every request now, however old it is."
        if is_pinned
        else "The message goes with a request again only while it fits."
    )
    print_changed(changed, said, as_json=as_json)
    return Exit.OK
