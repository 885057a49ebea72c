"""Bringing an older file up to date: with room, with a backup, and with nobody else.

All of it or nothing: the steps are one transaction, and what was before is in a backup.
"""

from datetime import datetime
from pathlib import Path

from tina.database.engine.sqlite import open_writer, storage_failures
from tina.database.files.filesystem import require_room, stored_bytes
from tina.database.keeping.backups import holds_conversations, make_backup
from tina.database.keeping.interruption import Stop
from tina.database.migrations import LATEST_VERSION, migrate, version_of
from tina.domain.keeping import BackupKind, Migration

ROOM_FACTOR = 2
"""The backup takes the size of the file once, the log of the steps at most again."""


def upgrade(path: Path, *, now: datetime, stop: Stop) -> Migration | None:
    """Bring the file to the newest version; None if it is there already. Blocks.

    Whoever calls it holds the file lock alone.

    Raises:
        DiskFullFailure: there is no room for it; nothing was changed.
        NewerFileFailure: a later Tina wrote the file; it is untouched.
        StorageFailure: it could not be done; the file is as it was.
    """
    with storage_failures(path):
        connection = open_writer(path)
        try:
            stop.watch(connection)
            version = version_of(connection, path)
            if version in {0, LATEST_VERSION}:
                return None
            require_room(
                path.parent,
                ROOM_FACTOR * stored_bytes(path),
                purpose=f"Bringing the database {path} up to date",
            )
            backup = None
            if holds_conversations(path, stop=stop):
                backup = make_backup(
                    path, BackupKind.BEFORE_MIGRATION, now=now, stop=stop
                )
            migrate(connection, path)
            connection.execute("PRAGMA optimize")
        finally:
            connection.close()
    return Migration(from_version=version, to_version=LATEST_VERSION, backup=backup)
