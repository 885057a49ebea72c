"""The table `journal`: what running answers said, appended and soon deleted.

No index and no trigger: measured, a plain rowid table costs what a hand-made log file
does. It is cleared by ranges: all that lies before the first row a running turn needs.
"""

from collections.abc import Iterable

import apsw

from tina.database.rows import JournalRow

_APPEND = """
INSERT INTO journal (owner_id, message_id, events)
VALUES (:owner_id, :message_id, :events)
"""

_FOLD = """
INSERT INTO journal (owner_id, message_id, events, is_fold)
VALUES (:owner_id, :message_id, :events, 1)
"""

_END = """
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'journal'), 0) + 1
"""

_OF_MESSAGE = """
SELECT rid, message_id, events, is_fold FROM journal
WHERE rid >= :journal_from AND message_id = :message_id ORDER BY rid
"""

_AFTER = """
SELECT rid, message_id, events, is_fold FROM journal WHERE rid > :after ORDER BY rid
LIMIT :limit
"""

_TRIM = """
DELETE FROM journal WHERE rid < coalesce(
  (SELECT min(journal_from) FROM turns WHERE status = 'running'),
  9223372036854775807
)
"""


def append(
    connection: apsw.Connection, *, owner_id: int, entries: Iterable[tuple[bytes, str]]
) -> None:
    """Add (message id, events as JSON), in order."""
    bindings = (
        {"owner_id": owner_id, "message_id": message_id, "events": events}
        for message_id, events in entries
    )
    connection.executemany(_APPEND, bindings)


def fold(
    connection: apsw.Connection, *, owner_id: int, message_id: bytes, events: str
) -> None:
    """Add a row that stands for all rows of the message before it."""
    bindings = {"owner_id": owner_id, "message_id": message_id, "events": events}
    connection.execute(_FOLD, bindings)


def end(connection: apsw.Connection) -> int:
    """A row id that no later row is below."""
    first: int = connection.execute(_END).get
    return first


def of_message(
    connection: apsw.Connection, *, message_id: bytes, journal_from: int
) -> list[JournalRow]:
    bindings = {"message_id": message_id, "journal_from": journal_from}
    found = connection.execute(_OF_MESSAGE, bindings)
    return [JournalRow(*row) for row in found]


def after(connection: apsw.Connection, *, rid: int, limit: int) -> list[JournalRow]:
    """Rows of all messages that were added after this one, oldest first."""
    found = connection.execute(_AFTER, {"after": rid, "limit": limit})
    return [JournalRow(*row) for row in found]


def trim(connection: apsw.Connection) -> None:
    """Delete what no running turn needs any more."""
    connection.execute(_TRIM)
