"""Rows as the tables hold them; the columns in the order of the structs' fields."""

from typing import Final, TypeAlias

import msgspec


class ConversationRow(msgspec.Struct, frozen=True):
    owner_id: int
    id: bytes
    title: str
    model: str | None
    system: str | None
    tip_id: bytes | None
    message_count: int
    preview: str
    is_pinned: int
    is_archived: int
    deleted_at: int | None
    origin: str | None
    metadata: str | None
    created_at: int
    last_message_at: int


class MessageRow(msgspec.Struct, frozen=True):
    owner_id: int
    id: bytes
    conversation_id: bytes
    seq: int
    parent_id: bytes | None
    role: str
    status: str
    text: str
    parts: str | None
    model: str | None
    stop_reason: str | None
    usage: str | None
    failure: str | None
    replay: str | None
    metadata: str | None
    created_at: int


MessageValues: TypeAlias = tuple[
    int,  # owner_id
    bytes,  # id
    bytes,  # conversation_id
    int,  # seq
    bytes | None,  # parent_id
    str,  # role
    str,  # status
    str,  # text
    str | None,  # parts
    str | None,  # model
    str | None,  # stop_reason
    str | None,  # usage
    str | None,  # failure
    str | None,  # replay
    str | None,  # metadata
    int,  # created_at
]
"""The columns of a `MessageRow` that nobody made one: hundreds are read at once."""

MESSAGE_ID: Final = 1
MESSAGE_CONVERSATION_ID: Final = 2
MESSAGE_PARENT_ID: Final = 4
MESSAGE_CREATED_AT: Final = 15
"""Where they stand in `MessageValues`."""


class TurnRow(msgspec.Struct, frozen=True):
    owner_id: int
    id: bytes
    conversation_id: bytes
    answer_id: bytes
    request: str
    status: str
    lease_id: bytes | None
    journal_from: int | None
    stop_requested_at: int | None
    created_at: int
    started_at: int | None
    ended_at: int | None


class JournalRow(msgspec.Struct, frozen=True):
    rid: int
    message_id: bytes
    events: str
    is_fold: int


class UsageRow(msgspec.Struct, frozen=True):
    owner_id: int
    message_id: bytes
    conversation_id: bytes
    model: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    cost_micros: int | None
    created_at: int


class ConversationPage(msgspec.Struct, frozen=True):
    """What one page of a list is asked for with; the mark is that of the row before."""

    owner_id: int
    is_archived: bool
    is_deleted: bool
    is_pinned: int
    last_message_at: int
    id: bytes
    limit: int


class TipMove(msgspec.Struct, frozen=True):
    """A conversation's tip moves from `after` over `added` new messages."""

    owner_id: int
    id: bytes
    after: bytes | None
    tip_id: bytes
    added: int
    preview: str
    at: int


class MessageEnd(msgspec.Struct, frozen=True):
    """How a message ended: the columns that change when it is settled."""

    owner_id: int
    id: bytes
    status: str
    text: str
    parts: str | None
    model: str | None
    stop_reason: str | None
    usage: str | None
    failure: str | None
    replay: str | None
    metadata: str | None
