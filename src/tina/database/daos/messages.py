"""The table `messages`."""

from collections.abc import Iterator

import apsw
from msgspec.structs import asdict

from tina.database.rows import MessageEnd, MessageRow

_INSERT = """
INSERT INTO messages (
  owner_id, id, conversation_id, seq, parent_id, role, status, text, parts, model,
  stop_reason, usage, failure, replay, created_at
) VALUES (
  :owner_id, :id, :conversation_id, :seq, :parent_id, :role, :status, :text, :parts,
  :model, :stop_reason, :usage, :failure, :replay, :created_at
)
"""

_GET = """
SELECT owner_id, id, conversation_id, seq, parent_id, role, status, text, parts, model,
  stop_reason, usage, failure, replay, created_at
FROM messages WHERE owner_id = :owner_id AND id = :id
"""

_OF_CONVERSATION = """
SELECT owner_id, id, conversation_id, seq, parent_id, role, status, text, parts, model,
  stop_reason, usage, failure, replay, created_at
FROM messages WHERE owner_id = :owner_id AND conversation_id = :conversation_id
ORDER BY seq
"""

_SETTLE = """
UPDATE messages SET
  status = :status, text = :text, parts = :parts, model = :model,
  stop_reason = :stop_reason, usage = :usage, failure = :failure, replay = :replay
WHERE owner_id = :owner_id AND id = :id AND status = 'streaming'
RETURNING conversation_id
"""


def insert(connection: apsw.Connection, row: MessageRow) -> None:
    connection.execute(_INSERT, asdict(row))


def get(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes
) -> MessageRow | None:
    found = connection.execute(_GET, {"owner_id": owner_id, "id": row_id})
    return next(_rows(found), None)


def of_conversation(
    connection: apsw.Connection, *, owner_id: int, conversation_id: bytes
) -> list[MessageRow]:
    """Every message of every branch, in the order they were stored."""
    bindings = {"owner_id": owner_id, "conversation_id": conversation_id}
    return list(_rows(connection.execute(_OF_CONVERSATION, bindings)))


def settle(connection: apsw.Connection, end: MessageEnd) -> bytes | None:
    """End a streaming message; its conversation, or None if it had ended before."""
    conversation_id: bytes | None = connection.execute(_SETTLE, asdict(end)).get
    return conversation_id


def _rows(found: apsw.Cursor) -> Iterator[MessageRow]:
    return (MessageRow(*row) for row in found)
