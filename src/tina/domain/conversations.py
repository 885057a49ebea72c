"""Conversations."""

from datetime import datetime

import msgspec

from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId


class NewConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that is not stored yet."""

    title: str = ""
    model: str | None = None
    """`provider:model` that answers here unless a turn names another."""
    system: str | None = None
    owner_id: OwnerId = LAPTOP_OWNER


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A stored conversation.

    `tip` is the newest message of the active branch; `message_count` counts every
    message, on all branches; `preview` is the beginning of the newest text.
    """

    id: ConversationId
    owner_id: OwnerId
    title: str
    model: str | None
    system: str | None
    tip: MessageId | None
    message_count: int
    preview: str
    created_at: datetime
    last_message_at: datetime
