"""The table `journal`: what running answers said, appended and soon deleted.

No index and no trigger: measured, a plain rowid table costs what a hand-made log file
does. It is cleared by ranges: all that lies before the first row a running turn needs.
"""

from collections.abc import Sequence

import apsw

_APPEND = "INSERT INTO journal (message_id, events) VALUES (:message_id, :events)"

_END = "SELECT coalesce(max(rid), 0) + 1 FROM journal"

_OF_MESSAGE = """
SELECT events FROM journal
WHERE rid >= :journal_from AND message_id = :message_id ORDER BY rid
"""

_TRIM = """
DELETE FROM journal WHERE rid < coalesce(
  (SELECT min(journal_from) FROM turns WHERE status = 'running'),
  9223372036854775807
)
"""


def append(connection: apsw.Connection, entries: Sequence[tuple[bytes, str]]) -> None:
    """Add (message id, events as JSON), in order."""
    bindings = (
        {"message_id": message_id, "events": events} for message_id, events in entries
    )
    connection.executemany(_APPEND, bindings)


def end(connection: apsw.Connection) -> int:
    """A row id that no later row is below."""
    first: int = connection.execute(_END).get
    return first


def of_message(
    connection: apsw.Connection, *, message_id: bytes, journal_from: int
) -> list[str]:
    bindings = {"message_id": message_id, "journal_from": journal_from}
    return [events for (events,) in connection.execute(_OF_MESSAGE, bindings)]


def trim(connection: apsw.Connection) -> None:
    """Delete what no running turn needs any more."""
    connection.execute(_TRIM)
