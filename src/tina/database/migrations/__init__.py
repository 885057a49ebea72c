"""The schema, as numbered steps forward. `user_version` says how far a file is."""

from pathlib import Path

import apsw

from tina.database.sqlite import APPLICATION_ID
from tina.domain.failures import NewerFileFailure

__all__ = ["LATEST_VERSION", "migrate"]

_STEPS = ("0001_first.sql",)

LATEST_VERSION = len(_STEPS)


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the file to the newest version, in one transaction.

    Raises:
        NewerFileFailure: a later Tina wrote the file; it is untouched.
    """
    if _version(connection, path) == LATEST_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Looked at again: another process may have migrated while this one waited.
        for number in range(_version(connection, path), LATEST_VERSION):
            step = Path(__file__).parent / _STEPS[number]
            connection.execute(step.read_text(encoding="utf-8"))
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", LATEST_VERSION)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise


def _version(connection: apsw.Connection, path: Path) -> int:
    version = int(connection.pragma("user_version") or 0)
    if version > LATEST_VERSION:
        raise NewerFileFailure(
            f"The database {path} was written by a newer Tina (version {version}, "
            f"this one knows {LATEST_VERSION}). Update Tina; the file is untouched."
        )
    return version
