"""Rows as the tables hold them; the columns in the order of the structs' fields."""

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
    created_at: int


class TurnRow(msgspec.Struct, frozen=True):
    owner_id: int
    id: bytes
    conversation_id: bytes
    answer_id: bytes
    lease_id: bytes
    status: str
    journal_from: int
    created_at: int
    ended_at: int | None


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
