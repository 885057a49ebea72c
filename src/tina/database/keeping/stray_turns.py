"""Turns that nobody can end any more, and answers that no turn writes.

A turn ends with its answer. One whose answer has ended, or is gone, or whose request
cannot be read, would stay open for ever and keep its conversation waiting.
"""

import apsw

from tina.database.mappers.turns import to_open_turn
from tina.database.rows import TurnRow
from tina.domain.failures import DamagedFailure

_OPEN = """
SELECT rid, owner_id, id, conversation_id, answer_id, request, status, lease_id,
  journal_from, stop_requested_at, created_at, started_at, ended_at
FROM turns WHERE status <> 'done' ORDER BY +rid
"""

_STRAY = """
SELECT rid FROM turns WHERE status <> 'done' AND NOT EXISTS (
  SELECT 1 FROM messages
  WHERE messages.owner_id = turns.owner_id AND messages.id = turns.answer_id
    AND messages.status = 'streaming'
)
"""

_END = """
UPDATE turns SET status = 'done', ended_at = coalesce(ended_at, created_at)
WHERE rid = :rid
"""

_UNWRITTEN = """
SELECT count(*) FROM messages WHERE status = 'streaming' AND NOT EXISTS (
  SELECT 1 FROM turns
  WHERE turns.owner_id = messages.owner_id AND turns.answer_id = messages.id
    AND turns.status <> 'done'
)
"""

_INTERRUPT = """
UPDATE messages SET status = 'interrupted' WHERE status = 'streaming' AND NOT EXISTS (
  SELECT 1 FROM turns
  WHERE turns.owner_id = messages.owner_id AND turns.answer_id = messages.id
    AND turns.status <> 'done'
)
"""


def count_stray(connection: apsw.Connection) -> int:
    """Turns that nobody can end."""
    return len(_stray(connection))


def count_unwritten(connection: apsw.Connection) -> int:
    """Answers that are being written, as they say, but by nobody."""
    found: int = connection.execute(_UNWRITTEN).get
    return found


def end_stray(connection: apsw.Connection) -> int:
    """End them; how many there were."""
    stray = _stray(connection)
    connection.executemany(_END, ({"rid": rid} for rid in stray))
    return len(stray)


def interrupt_unwritten(connection: apsw.Connection) -> int:
    """Mark as interrupted the answers that nobody writes; how many there were."""
    connection.execute(_INTERRUPT)
    return connection.changes()


def _stray(connection: apsw.Connection) -> frozenset[int]:
    unreadable = (
        rid for rid, *values in connection.execute(_OPEN) if not _is_readable(values)
    )
    of_no_answer = (rid for (rid,) in connection.execute(_STRAY))
    return frozenset((*unreadable, *of_no_answer))


def _is_readable(values: list[object]) -> bool:
    try:
        to_open_turn(TurnRow(*values))  # type: ignore[arg-type]  # columns of any type
    except DamagedFailure:
        return False
    return True
