"""Whether two files hold the same of what people said and decided.

What Tina derives from it is not looked at: the search index, the log of changes.
"""

from itertools import zip_longest
from pathlib import Path

import apsw

from tina.database.keeping.interruption import Stop
from tina.database.keeping.reading import reading
from tina.database.migrations import LATEST_VERSION
from tina.domain.failures import StorageFailure

_ROWS_SINCE = {
    1: (
        "SELECT * FROM conversations ORDER BY rid DESC",
        "SELECT * FROM messages ORDER BY rid DESC",
        "SELECT * FROM turns ORDER BY rid DESC",
        # Of other answers it says nothing that the message does not.
        "SELECT * FROM journal WHERE message_id IN "
        "(SELECT id FROM messages WHERE status = 'streaming') ORDER BY rid DESC",
    ),
    2: (
        "SELECT * FROM tool_calls ORDER BY rid DESC",
        "SELECT * FROM grants ORDER BY rid DESC",
        "SELECT * FROM usage ORDER BY rid DESC",
        "SELECT * FROM import_origins ORDER BY rid DESC",
    ),
}
"""By schema version. The newest rows first: most often the difference is there."""


def holds_same(here: Path, there: Path, *, stop: Stop) -> bool:
    """Whether both files are of one version and hold equal rows; blocks.

    What cannot be read is not the same as anything.
    """
    try:
        with reading(here, stop=stop) as one, reading(there, stop=stop) as other:
            version = _version_of(one)
            if version != _version_of(other) or not 0 < version <= LATEST_VERSION:
                return False
            return all(
                _are_equal(one, other, statement)
                for since, statements in _ROWS_SINCE.items()
                if since <= version
                for statement in statements
            )
    except StorageFailure:
        return False


def _version_of(connection: apsw.Connection) -> int:
    return int(connection.pragma("user_version") or 0)


def _are_equal(one: apsw.Connection, other: apsw.Connection, statement: str) -> bool:
    return all(
        row == twin
        for row, twin in zip_longest(one.execute(statement), other.execute(statement))
    )
