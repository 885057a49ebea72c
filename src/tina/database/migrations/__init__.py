"""The schema, as numbered steps forward. `user_version` says how far a file is."""

from pathlib import Path

import apsw

from tina.database.engine.sqlite import APPLICATION_ID
from tina.database.engine.transaction import transaction
from tina.database.migrations.triggers import remake_triggers, remove_triggers
from tina.database.migrations.triggers import wrong_triggers as find_wrong_triggers
from tina.domain.failures import (
    NewerFileFailure,
    OlderFileFailure,
    StorageFailure,
)

__all__ = ["LATEST_VERSION", "migrate", "prepare", "version_of"]

_STEPS = ("0001_first.sql", "0002_alive.sql")

LATEST_VERSION = len(_STEPS)


def prepare(connection: apsw.Connection, path: Path) -> None:
    """Make the schema in an empty file; refuse a file of another version.

    Raises:
        NewerFileFailure: a later Tina wrote it; it is untouched.
        OlderFileFailure: it has to be brought up to date first, which is done with a
            backup and without others (`database.upgrade`); it is untouched.
    """
    version = version_of(connection, path)
    if version == 0:
        migrate(connection, path)
    elif version < LATEST_VERSION:
        raise OlderFileFailure(
            f"The database {path} was written by an older Tina (version {version}, "
            f"not {LATEST_VERSION}). `tina db migrate` brings it up to date."
        )


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Bring the file to the newest version, in one transaction: all of it or nothing.

    Raises:
        NewerFileFailure: a later Tina wrote the file; it is untouched.
        StorageFailure: it does not fit the steps; it is as it was.
    """
    if version_of(connection, path) == LATEST_VERSION:
        return
    # A table that is rebuilt is dropped in between, which would empty its children.
    # Inside of a transaction the pragma does nothing.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        with transaction(connection):
            _migrate(connection, path)
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def version_of(connection: apsw.Connection, path: Path) -> int:
    """How far the file is; 0 if it is empty.

    Raises:
        NewerFileFailure: further than this Tina knows.
    """
    version = int(connection.pragma("user_version") or 0)
    if version > LATEST_VERSION:
        raise NewerFileFailure(
            f"The database {path} was written by a newer Tina (version {version}, "
            f"this one knows {LATEST_VERSION}). Update Tina; the file is untouched."
        )
    return version


def _migrate(connection: apsw.Connection, path: Path) -> None:
    # Looked at again: another process may have migrated while this one waited.
    version = version_of(connection, path)
    if version == LATEST_VERSION:
        return
    remove_triggers(connection)  # they would fire while the steps move rows
    for step in _STEPS[version:]:
        text = (Path(__file__).parent / step).read_text(encoding="utf-8")
        connection.execute(text)
    remake_triggers(connection)
    _verify(connection, path)
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", LATEST_VERSION)


def _verify(connection: apsw.Connection, path: Path) -> None:
    orphans = {row[0] for row in connection.execute("PRAGMA foreign_key_check")}
    wrong = find_wrong_triggers(connection)
    if orphans or wrong:
        found = ", ".join([*(f"rows of {table}" for table in orphans), *wrong])
        raise StorageFailure(
            f"The database {path} could not be brought up to date: {found} would be "
            "wrong. It is as it was. `tina db check` looks at the whole file."
        )
