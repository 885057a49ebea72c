"""The table `import_origins`."""

import apsw
from msgspec.structs import asdict

from tina.database.tool_rows import ImportOriginRow

# The first import wins. Stored only beside its conversation.
_INSERT = """
INSERT INTO import_origins (
  owner_id, source, source_id, conversation_id, imported_at
)
SELECT :owner_id, :source, :source_id, :conversation_id, :imported_at
FROM conversations WHERE owner_id = :owner_id AND id = :conversation_id
ON CONFLICT (owner_id, source, source_id) DO NOTHING
RETURNING rid
"""

_FIND = """
SELECT owner_id, source, source_id, conversation_id, imported_at
FROM import_origins
WHERE owner_id = :owner_id AND source = :source AND source_id = :source_id
"""


def insert(connection: apsw.Connection, row: ImportOriginRow) -> bool:
    """False if it was imported before, or there is no such conversation."""
    return connection.execute(_INSERT, asdict(row)).get is not None


def find(
    connection: apsw.Connection, *, owner_id: int, source: str, source_id: str
) -> ImportOriginRow | None:
    bindings = {"owner_id": owner_id, "source": source, "source_id": source_id}
    found = connection.execute(_FIND, bindings)
    return next((ImportOriginRow(*row) for row in found), None)
