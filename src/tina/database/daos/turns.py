"""The table `turns`."""

from collections.abc import Iterator

import apsw
from msgspec.structs import asdict

from tina.database.rows import TurnRow

_INSERT = """
INSERT INTO turns (
  owner_id, id, conversation_id, answer_id, request, status, lease_id, journal_from,
  stop_requested_at, created_at, started_at, ended_at
) VALUES (
  :owner_id, :id, :conversation_id, :answer_id, :request, :status, :lease_id,
  :journal_from, :stop_requested_at, :created_at, :started_at, :ended_at
)
"""

# The pluses, and what is said twice, lead SQLite to the indexes of open turns. Without
# them it reads every turn there ever was: 0.8 s of half a million.

# An answer that is gone has no turn that anybody could end.
_OPEN = """
SELECT owner_id, id, conversation_id, answer_id, request, status, lease_id,
  journal_from, stop_requested_at, created_at, started_at, ended_at
FROM turns WHERE status <> 'done' AND +owner_id = :owner_id AND EXISTS (
  SELECT 1 FROM messages
  WHERE messages.owner_id = turns.owner_id AND messages.id = turns.answer_id
) ORDER BY +rid
"""

_OPEN_ANSWERS = """
SELECT answer_id FROM turns WHERE owner_id = :owner_id
  AND conversation_id = :conversation_id AND status <> 'done' ORDER BY +rid
"""

_OF_ANSWER = """
SELECT owner_id, id, conversation_id, answer_id, request, status, lease_id,
  journal_from, stop_requested_at, created_at, started_at, ended_at
FROM turns WHERE owner_id = :owner_id AND answer_id = :answer_id
ORDER BY rid DESC LIMIT 1
"""

# One after the other in each conversation.
_CLAIM = """
UPDATE turns SET
  status = 'running', lease_id = :lease_id, journal_from = :journal_from,
  started_at = :started_at
WHERE rid = (
  SELECT queued.rid FROM turns AS queued
  WHERE queued.status = 'queued' AND queued.status <> 'done'
    AND +queued.owner_id = :owner_id
    AND NOT EXISTS (
      SELECT 1 FROM turns AS earlier
      WHERE earlier.status <> 'done' AND earlier.rid < queued.rid
        AND earlier.owner_id = queued.owner_id
        AND earlier.conversation_id = queued.conversation_id
    )
    AND EXISTS (
      SELECT 1 FROM conversations
      WHERE conversations.owner_id = queued.owner_id
        AND conversations.id = queued.conversation_id
        AND conversations.deleted_at IS NULL
    )
  ORDER BY queued.rid LIMIT 1
)
RETURNING owner_id, id, conversation_id, answer_id, request, status, lease_id,
  journal_from, stop_requested_at, created_at, started_at, ended_at
"""

_REQUEST_STOP = """
UPDATE turns SET stop_requested_at = coalesce(stop_requested_at, :now)
WHERE owner_id = :owner_id AND answer_id = :answer_id AND status <> 'done'
RETURNING status
"""

_END = """
UPDATE turns SET status = 'done', ended_at = :ended_at
WHERE owner_id = :owner_id AND answer_id = :answer_id AND status <> 'done'
"""

_END_STRAY = """
UPDATE turns SET status = 'done', ended_at = :ended_at
WHERE status <> 'done' AND +owner_id = :owner_id AND NOT EXISTS (
  SELECT 1 FROM messages
  WHERE messages.owner_id = turns.owner_id AND messages.id = turns.answer_id
    AND messages.status = 'streaming'
)
RETURNING answer_id
"""

_MOVE_JOURNAL = """
UPDATE turns SET journal_from = :journal_from
WHERE owner_id = :owner_id AND answer_id = :answer_id AND status = 'running'
RETURNING rid
"""


def insert(connection: apsw.Connection, row: TurnRow) -> None:
    connection.execute(_INSERT, asdict(row))


def open_turns(connection: apsw.Connection, *, owner_id: int) -> list[TurnRow]:
    """Turns that are not done, oldest first."""
    return list(_rows(connection.execute(_OPEN, {"owner_id": owner_id})))


def open_answers(
    connection: apsw.Connection, *, owner_id: int, conversation_id: bytes
) -> list[bytes]:
    """The answers of one conversation that turns are to write, oldest first."""
    bindings = {"owner_id": owner_id, "conversation_id": conversation_id}
    found = connection.execute(_OPEN_ANSWERS, bindings)
    return [answer_id for (answer_id,) in found]


def of_answer(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes
) -> TurnRow | None:
    """The newest turn that writes this answer."""
    bindings = {"owner_id": owner_id, "answer_id": answer_id}
    return next(_rows(connection.execute(_OF_ANSWER, bindings)), None)


def claim(
    connection: apsw.Connection,
    *,
    owner_id: int,
    lease_id: bytes,
    journal_from: int,
    started_at: int,
) -> TurnRow | None:
    """Give the next queued turn to a lease; None if none can run now."""
    bindings = {
        "owner_id": owner_id,
        "lease_id": lease_id,
        "journal_from": journal_from,
        "started_at": started_at,
    }
    return next(_rows(connection.execute(_CLAIM, bindings)), None)


def request_stop(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, now: int
) -> str | None:
    """Note that somebody wants it to stop; its status, or None if it is done."""
    bindings = {"owner_id": owner_id, "answer_id": answer_id, "now": now}
    status: str | None = connection.execute(_REQUEST_STOP, bindings).get
    return status


def end(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, ended_at: int
) -> None:
    bindings = {"owner_id": owner_id, "answer_id": answer_id, "ended_at": ended_at}
    connection.execute(_END, bindings)


def end_stray(
    connection: apsw.Connection, *, owner_id: int, ended_at: int
) -> list[bytes]:
    """End the turns whose answer has ended, or is gone; their answers."""
    bindings = {"owner_id": owner_id, "ended_at": ended_at}
    found = connection.execute(_END_STRAY, bindings)
    return [answer_id for (answer_id,) in found]


def move_journal(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, journal_from: int
) -> bool:
    """Free the journal before this row, as far as this turn goes; False if it ended."""
    bindings = {
        "owner_id": owner_id,
        "answer_id": answer_id,
        "journal_from": journal_from,
    }
    return connection.execute(_MOVE_JOURNAL, bindings).get is not None


def _rows(found: apsw.Cursor) -> Iterator[TurnRow]:
    return (TurnRow(*row) for row in found)
