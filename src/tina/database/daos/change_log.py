"""The table `change_log`: what changed, in the order of the commits.

Triggers fill it. Ids have no holes: a hole means that the log was trimmed.
"""

import apsw

_LAST = """
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'change_log'), 0)
"""

_BETWEEN = """
SELECT topic, key FROM change_log WHERE id > :after AND id <= :last ORDER BY id
"""

_TRIM = """
DELETE FROM change_log WHERE id <= (
  SELECT seq FROM sqlite_sequence WHERE name = 'change_log'
) - :kept
"""


def last_id(connection: apsw.Connection) -> int:
    """The id of the newest row, trimmed or not; 0 if nothing ever changed."""
    last: int = connection.execute(_LAST).get
    return last


def between(
    connection: apsw.Connection, *, after: int, last: int
) -> list[tuple[str, bytes]]:
    """(topic, key) of the rows after the one id, up to the other, oldest first."""
    return list(connection.execute(_BETWEEN, {"after": after, "last": last}))


def trim(connection: apsw.Connection, *, kept: int) -> None:
    """Delete all but the newest rows."""
    connection.execute(_TRIM, {"kept": kept})
