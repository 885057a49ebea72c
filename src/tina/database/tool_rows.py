"""Rows of tools and imports; the columns in the order of the structs' fields."""

import msgspec


class ToolCallRow(msgspec.Struct, frozen=True):
    owner_id: int
    id: bytes
    conversation_id: bytes
    message_id: bytes
    place: int
    call_id: str
    server: str
    tool: str
    tool_hash: str
    arguments: str
    status: str
    outcome: str | None
    created_at: int
    decided_at: int | None
    started_at: int | None
    ended_at: int | None


class ToolCallEnd(msgspec.Struct, frozen=True):
    """How a call ended: the columns that change when it is settled."""

    owner_id: int
    id: bytes
    status: str
    outcome: str | None
    ended_at: int


class ToolCallEnds(msgspec.Struct, frozen=True):
    """How all calls of a message end that are not over: outcomes as JSON."""

    owner_id: int
    message_id: bytes
    not_run: str | None
    perhaps_run: str | None
    at: int


class GrantRow(msgspec.Struct, frozen=True):
    owner_id: int
    id: bytes
    decision: str
    conversation_id: bytes | None
    server: str
    tool: str
    config_hash: str
    tool_hash: str
    created_at: int
    expires_at: int | None


class ImportOriginRow(msgspec.Struct, frozen=True):
    owner_id: int
    source: str
    source_id: str
    conversation_id: bytes
    imported_at: int
