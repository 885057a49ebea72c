"""The table `messages`."""

from typing import Any

import apsw
from msgspec.structs import asdict

from tina.database.rows import MessageEnd, MessageRow, MessageValues

_INSERT = """
INSERT INTO messages (
  owner_id, id, conversation_id, seq, parent_id, role, status, text, parts, model,
  stop_reason, usage, failure, replay, metadata, created_at
) VALUES (
  :owner_id, :id, :conversation_id, :seq, :parent_id, :role, :status, :text, :parts,
  :model, :stop_reason, :usage, :failure, :replay, :metadata, :created_at
)
"""

_GET = """
SELECT owner_id, id, conversation_id, seq, parent_id, role, status, text, parts, model,
  stop_reason, usage, failure, replay, metadata, created_at
FROM messages WHERE owner_id = :owner_id AND id = :id
"""

_OF_CONVERSATION = """
SELECT owner_id, id, conversation_id, seq, parent_id, role, status, text, parts, model,
  stop_reason, usage, failure, replay, metadata, created_at
FROM messages WHERE owner_id = :owner_id AND conversation_id = :conversation_id
ORDER BY seq
"""

# The id and the parent stand before the text, so a long text is not read for them.
_LINKS = """
SELECT parent_id, id FROM messages
WHERE owner_id = :owner_id AND conversation_id = :conversation_id ORDER BY seq
"""

_SETTLE = """
UPDATE messages SET
  status = :status, text = :text, parts = :parts, model = :model,
  stop_reason = :stop_reason, usage = :usage, failure = :failure, replay = :replay,
  metadata = :metadata
WHERE owner_id = :owner_id AND id = :id AND status = 'streaming'
RETURNING conversation_id
"""

_PIN = """
UPDATE messages SET metadata = json_set(coalesce(metadata, '{}'), '$.pinned', 'yes')
WHERE owner_id = :owner_id AND id = :id AND status <> 'streaming'
RETURNING rid
"""

_UNPIN = """
UPDATE messages SET metadata = nullif(json_remove(metadata, '$.pinned'), '{}')
WHERE owner_id = :owner_id AND id = :id AND status <> 'streaming'
RETURNING rid
"""

_ENTER_COST = """
UPDATE messages SET usage = json_set(usage, '$.cost_micros', :cost_micros)
WHERE owner_id = :owner_id AND id = :id AND status <> 'streaming'
  AND usage IS NOT NULL AND usage ->> 'cost_micros' IS NULL
"""

_STATUS = "SELECT status FROM messages WHERE owner_id = :owner_id AND id = :id"


def insert(connection: apsw.Connection, row: MessageRow) -> None:
    connection.execute(_INSERT, asdict(row))


def get(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes
) -> MessageRow | None:
    bindings = {"owner_id": owner_id, "id": row_id}
    found = next(connection.execute(_GET, bindings), None)
    return None if found is None else MessageRow(*found)


def of_conversation(
    connection: apsw.Connection, *, owner_id: int, conversation_id: bytes
) -> list[MessageValues]:
    """Every message of every branch, in the order they were stored."""
    bindings = {"owner_id": owner_id, "conversation_id": conversation_id}
    found: list[Any] = connection.execute(_OF_CONVERSATION, bindings).fetchall()
    return found


def links(
    connection: apsw.Connection, *, owner_id: int, conversation_id: bytes
) -> list[tuple[bytes | None, bytes]]:
    """Parent and child of every message, in the order they were stored."""
    bindings = {"owner_id": owner_id, "conversation_id": conversation_id}
    return list(connection.execute(_LINKS, bindings))


def status(connection: apsw.Connection, *, owner_id: int, row_id: bytes) -> str | None:
    """Its status; None if there is no such message."""
    bindings = {"owner_id": owner_id, "id": row_id}
    found: str | None = connection.execute(_STATUS, bindings).get
    return found


def settle(connection: apsw.Connection, end: MessageEnd) -> bytes | None:
    """End a streaming message; its conversation, or None if it had ended before."""
    conversation_id: bytes | None = connection.execute(_SETTLE, asdict(end)).get
    return conversation_id


def pin(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes, is_pinned: bool
) -> bool:
    """Mark a settled message, or no longer; False if there is none."""
    bindings = {"owner_id": owner_id, "id": row_id}
    changed = connection.execute(_PIN if is_pinned else _UNPIN, bindings)
    return len(list(changed)) > 0


def enter_cost(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes, cost_micros: int
) -> None:
    """Add to what a settled answer used what it cost, once."""
    bindings = {"owner_id": owner_id, "id": row_id, "cost_micros": cost_micros}
    connection.execute(_ENTER_COST, bindings)
