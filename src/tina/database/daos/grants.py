"""The table `grants`."""

from collections.abc import Iterator
from typing import Any

import apsw
from msgspec.structs import asdict

from tina.database.tool_rows import GrantRow

# Stored only beside its conversation, if it is for one.
_INSERT = """
INSERT INTO grants (
  owner_id, id, decision, conversation_id, server, tool, config_hash, tool_hash,
  created_at, expires_at
)
SELECT
  :owner_id, :id, :decision, :conversation_id, :server, :tool, :config_hash,
  :tool_hash, :created_at, :expires_at
WHERE :conversation_id IS NULL OR EXISTS (
  SELECT 1 FROM conversations WHERE owner_id = :owner_id AND id = :conversation_id
)
RETURNING owner_id, id, decision, conversation_id, server, tool, config_hash,
  tool_hash, created_at, expires_at
"""

_OF_TOOL = """
SELECT owner_id, id, decision, conversation_id, server, tool, config_hash, tool_hash,
  created_at, expires_at
FROM grants WHERE owner_id = :owner_id AND server = :server AND tool = :tool
ORDER BY rid DESC
"""

_DELETE = """
DELETE FROM grants WHERE owner_id = :owner_id AND id = :id RETURNING rid
"""


def insert(connection: apsw.Connection, row: GrantRow) -> GrantRow | None:
    """The row as it is stored; None if there is no such conversation."""
    stored: tuple[Any, ...] | None = connection.execute(_INSERT, asdict(row)).get
    return None if stored is None else GrantRow(*stored)


def of_tool(
    connection: apsw.Connection, *, owner_id: int, server: str, tool: str
) -> list[GrantRow]:
    """Newest first."""
    bindings = {"owner_id": owner_id, "server": server, "tool": tool}
    return list(_rows(connection.execute(_OF_TOOL, bindings)))


def delete(connection: apsw.Connection, *, owner_id: int, row_id: bytes) -> bool:
    """False if there is none."""
    bindings = {"owner_id": owner_id, "id": row_id}
    return connection.execute(_DELETE, bindings).get is not None


def _rows(found: apsw.Cursor) -> Iterator[GrantRow]:
    return (GrantRow(*row) for row in found)
