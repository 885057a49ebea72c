"""Conversations."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType, structs

from tina.database.mappers.values import (
    decoded,
    encoded,
    from_milliseconds,
    id_to_bytes,
    to_milliseconds,
)
from tina.database.rows import ConversationPage, ConversationRow
from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
    Origin,
    Shelf,
)
from tina.domain.failures import DamagedFailure
from tina.domain.ids import ConversationId, MessageId, OwnerId
from tina.domain.queries import ListConversations

_ORIGIN = msgspec.json.Decoder(Origin)
_METADATA = msgspec.json.Decoder(dict[str, str])

_NO_LIMIT = -1
"""SQLite's own way to say that all rows are wanted."""
_AFTER_ALL = (2, 2**63 - 1, b"\xff" * 16)
"""A mark that every row comes after: pinned, time, id."""


def to_conversation(row: ConversationRow) -> Conversation:
    """The conversation of a row.

    Raises:
        DamagedFailure: a column holds what no Tina up to this one writes.
    """
    try:
        return Conversation(
            id=ConversationId(row.id.hex()),
            owner_id=OwnerId(row.owner_id),
            title=row.title,
            model=row.model,
            system=row.system,
            tip=None if row.tip_id is None else MessageId(row.tip_id.hex()),
            message_count=row.message_count,
            preview=row.preview,
            is_pinned=bool(row.is_pinned),
            is_archived=bool(row.is_archived),
            deleted_at=_optional_time(row.deleted_at),
            origin=decoded(_ORIGIN, row.origin),
            metadata=decoded(_METADATA, row.metadata),
            created_at=from_milliseconds(row.created_at),
            last_message_at=from_milliseconds(row.last_message_at),
        )
    except (ValueError, OverflowError, msgspec.DecodeError) as error:
        raise DamagedFailure(
            f"The conversation {row.id.hex()} cannot be read: {error}. "
            "`tina db check` looks at the whole file."
        ) from error


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
        is_pinned=0,
        is_archived=0,
        deleted_at=None,
        origin=encoded(new.origin),
        metadata=encoded(new.metadata),
        created_at=created_at,
        last_message_at=created_at,
    )


def to_page(query: ListConversations) -> ConversationPage:
    is_pinned, last_message_at, row_id = _AFTER_ALL
    if query.after is not None:
        is_pinned = int(query.after.is_pinned)
        last_message_at = to_milliseconds(query.after.last_message_at)
        row_id = id_to_bytes(query.after.id)
    return ConversationPage(
        owner_id=query.owner_id,
        is_archived=query.shelf is Shelf.ARCHIVED,
        is_deleted=query.shelf is Shelf.DELETED,
        is_pinned=is_pinned,
        last_message_at=last_message_at,
        id=row_id,
        limit=_NO_LIMIT if query.limit is None else query.limit,
    )


def changed_row(row: ConversationRow, change: ConversationChange) -> ConversationRow:
    """The row with what is not UNSET; another branch is left to the caller."""
    columns = {
        "title": change.title,
        "model": change.model,
        "system": change.system,
        "is_pinned": change.is_pinned,
        "is_archived": change.is_archived,
        "deleted_at": change.deleted_at,
        "metadata": _metadata_column(change.metadata),
    }
    given = {name: _column(value) for name, value in columns.items()}
    return structs.replace(
        row, **{name: value for name, value in given.items() if value is not UNSET}
    )


def _column(value: object) -> object:
    match value:
        case bool():
            return int(value)
        case datetime():
            return to_milliseconds(value)
        case _:
            return value


def _metadata_column(
    metadata: Mapping[str, str] | UnsetType | None,
) -> str | UnsetType | None:
    return UNSET if metadata is UNSET else encoded(metadata)


def _optional_time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)
