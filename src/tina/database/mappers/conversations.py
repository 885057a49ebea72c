"""Conversations."""

from datetime import datetime

from tina.database.mappers.values import (
    from_milliseconds,
    id_to_bytes,
    to_milliseconds,
)
from tina.database.rows import ConversationRow
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.ids import ConversationId, MessageId, OwnerId


def to_conversation(row: ConversationRow) -> Conversation:
    return Conversation(
        id=ConversationId(row.id.hex()),
        owner_id=OwnerId(row.owner_id),
        title=row.title,
        model=row.model,
        system=row.system,
        tip=None if row.tip_id is None else MessageId(row.tip_id.hex()),
        message_count=row.message_count,
        preview=row.preview,
        created_at=from_milliseconds(row.created_at),
        last_message_at=from_milliseconds(row.last_message_at),
    )


def to_new_row(
    new: NewConversation, *, conversation_id: ConversationId, now: datetime
) -> ConversationRow:
    """The row of a conversation without messages."""
    created_at = to_milliseconds(now)
    return ConversationRow(
        owner_id=new.owner_id,
        id=id_to_bytes(conversation_id),
        title=new.title,
        model=new.model,
        system=new.system,
        tip_id=None,
        message_count=0,
        preview="",
        created_at=created_at,
        last_message_at=created_at,
    )
