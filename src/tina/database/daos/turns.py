"""The table `turns`."""

from collections.abc import Iterator

import apsw
from msgspec.structs import asdict

from tina.database.rows import TurnRow

_INSERT = """
INSERT INTO turns (
  owner_id, id, conversation_id, answer_id, lease_id, status, journal_from,
  created_at, ended_at
) VALUES (
  :owner_id, :id, :conversation_id, :answer_id, :lease_id, :status, :journal_from,
  :created_at, :ended_at
)
"""

_RUNNING = """
SELECT owner_id, id, conversation_id, answer_id, lease_id, status, journal_from,
  created_at, ended_at
FROM turns WHERE status = 'running' ORDER BY rid
"""

_OF_ANSWER = """
SELECT owner_id, id, conversation_id, answer_id, lease_id, status, journal_from,
  created_at, ended_at
FROM turns WHERE owner_id = :owner_id AND answer_id = :answer_id
"""

_END = """
UPDATE turns SET status = 'done', ended_at = :ended_at
WHERE owner_id = :owner_id AND answer_id = :answer_id
"""


def insert(connection: apsw.Connection, row: TurnRow) -> None:
    connection.execute(_INSERT, asdict(row))


def running(connection: apsw.Connection) -> list[TurnRow]:
    """Turns without an end, oldest first."""
    return list(_rows(connection.execute(_RUNNING)))


def of_answer(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes
) -> TurnRow | None:
    bindings = {"owner_id": owner_id, "answer_id": answer_id}
    return next(_rows(connection.execute(_OF_ANSWER, bindings)), None)


def end(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, ended_at: int
) -> None:
    bindings = {"owner_id": owner_id, "answer_id": answer_id, "ended_at": ended_at}
    connection.execute(_END, bindings)


def _rows(found: apsw.Cursor) -> Iterator[TurnRow]:
    return (TurnRow(*row) for row in found)
