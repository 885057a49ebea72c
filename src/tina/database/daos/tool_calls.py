"""The table `tool_calls`. A status moves forward only, each step in one statement."""

from collections.abc import Iterator
from typing import Any

import apsw
from msgspec.structs import asdict

from tina.database.tool_rows import ToolCallEnd, ToolCallEnds, ToolCallRow

# Stored only beside its conversation, looked at in the same statement.
_INSERT = """
INSERT INTO tool_calls (
  owner_id, id, conversation_id, message_id, place, call_id, server, tool, tool_hash,
  arguments, status, outcome, created_at, decided_at, started_at, ended_at
)
SELECT
  :owner_id, :id, :conversation_id, :message_id, :place, :call_id, :server, :tool,
  :tool_hash, :arguments, :status, :outcome, :created_at, :decided_at, :started_at,
  :ended_at
FROM conversations WHERE owner_id = :owner_id AND id = :conversation_id
RETURNING owner_id, id, conversation_id, message_id, place, call_id, server, tool,
  tool_hash, arguments, status, outcome, created_at, decided_at, started_at, ended_at
"""

_GET = """
SELECT owner_id, id, conversation_id, message_id, place, call_id, server, tool,
  tool_hash, arguments, status, outcome, created_at, decided_at, started_at, ended_at
FROM tool_calls WHERE owner_id = :owner_id AND id = :id
"""

_OF_MESSAGE = """
SELECT owner_id, id, conversation_id, message_id, place, call_id, server, tool,
  tool_hash, arguments, status, outcome, created_at, decided_at, started_at, ended_at
FROM tool_calls WHERE owner_id = :owner_id AND message_id = :message_id
ORDER BY place
"""

_WAITING = """
SELECT owner_id, id, conversation_id, message_id, place, call_id, server, tool,
  tool_hash, arguments, status, outcome, created_at, decided_at, started_at, ended_at
FROM tool_calls WHERE owner_id = :owner_id AND status = 'waiting'
ORDER BY rid
"""

_APPROVE = """
UPDATE tool_calls SET status = 'approved', decided_at = :at
WHERE owner_id = :owner_id AND id = :id AND status = 'waiting'
RETURNING rid
"""

_DENY = """
UPDATE tool_calls SET status = 'denied', decided_at = :at, ended_at = :at
WHERE owner_id = :owner_id AND id = :id AND status = 'waiting'
RETURNING rid
"""

_START = """
UPDATE tool_calls SET status = 'running', started_at = :at
WHERE owner_id = :owner_id AND id = :id AND status = 'approved'
RETURNING rid
"""

_SETTLE = """
UPDATE tool_calls SET status = :status, outcome = :outcome, ended_at = :ended_at
WHERE owner_id = :owner_id AND id = :id
  AND status IN ('waiting', 'approved', 'running')
RETURNING rid
"""


_END_OF_MESSAGE = """
UPDATE tool_calls SET
  status = CASE status WHEN 'running' THEN 'unknown' ELSE 'failed' END,
  outcome = CASE status WHEN 'running' THEN :perhaps_run ELSE :not_run END,
  ended_at = :at
WHERE owner_id = :owner_id AND message_id = :message_id
  AND status IN ('waiting', 'approved', 'running')
"""


def insert(connection: apsw.Connection, row: ToolCallRow) -> ToolCallRow | None:
    """The row as it is stored; None if there is no such conversation."""
    stored: tuple[Any, ...] | None = connection.execute(_INSERT, asdict(row)).get
    return None if stored is None else ToolCallRow(*stored)


def get(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes
) -> ToolCallRow | None:
    found = connection.execute(_GET, {"owner_id": owner_id, "id": row_id})
    return next(_rows(found), None)


def of_message(
    connection: apsw.Connection, *, owner_id: int, message_id: bytes
) -> list[ToolCallRow]:
    """In the order in which the model asked for them."""
    bindings = {"owner_id": owner_id, "message_id": message_id}
    return list(_rows(connection.execute(_OF_MESSAGE, bindings)))


def waiting(connection: apsw.Connection, *, owner_id: int) -> list[ToolCallRow]:
    """Those that wait for a person, oldest first."""
    return list(_rows(connection.execute(_WAITING, {"owner_id": owner_id})))


def approve(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes, at: int
) -> bool:
    """False if it does not wait."""
    return _moved(connection, _APPROVE, owner_id=owner_id, row_id=row_id, at=at)


def deny(connection: apsw.Connection, *, owner_id: int, row_id: bytes, at: int) -> bool:
    """False if it does not wait."""
    return _moved(connection, _DENY, owner_id=owner_id, row_id=row_id, at=at)


def start(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes, at: int
) -> bool:
    """False if it is not approved."""
    return _moved(connection, _START, owner_id=owner_id, row_id=row_id, at=at)


def settle(connection: apsw.Connection, end: ToolCallEnd) -> bool:
    """False if it had ended before."""
    return connection.execute(_SETTLE, asdict(end)).get is not None


def end_of_message(connection: apsw.Connection, ends: ToolCallEnds) -> None:
    """End the calls of a message that are not over."""
    connection.execute(_END_OF_MESSAGE, asdict(ends))


def _moved(
    connection: apsw.Connection,
    statement: str,
    *,
    owner_id: int,
    row_id: bytes,
    at: int,
) -> bool:
    bindings = {"owner_id": owner_id, "id": row_id, "at": at}
    return connection.execute(statement, bindings).get is not None


def _rows(found: apsw.Cursor) -> Iterator[ToolCallRow]:
    return (ToolCallRow(*row) for row in found)
