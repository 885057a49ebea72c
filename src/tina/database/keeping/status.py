"""What state the database file is in, as far as it can be read."""

import os
from datetime import datetime
from pathlib import Path

import apsw
from msgspec import structs

from tina.database.engine.advice import advice_on_damage
from tina.database.engine.reserve import Reserve
from tina.database.engine.sqlite import check_library, refuse_unusable
from tina.database.engine.sqlite_failures import failure_to_write
from tina.database.files.backup_folder import BackupFolder
from tina.database.files.filesystem import log_of, size_of
from tina.database.keeping.interruption import Stop
from tina.database.keeping.reading import reading
from tina.database.migrations import LATEST_VERSION, version_of
from tina.domain.failures import (
    DamagedFailure,
    StorageFailure,
    UnsupportedSqliteFailure,
)
from tina.domain.ids import ConversationId, LeaseId, TurnId
from tina.domain.keeping import Contents, DatabaseStatus, TurnHolder
from tina.domain.turns import TurnStatus

_ENTER = os.W_OK | os.X_OK

_COUNTS = """
SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM messages)
"""

_LATER_COUNTS = """
SELECT (SELECT count(*) FROM conversations WHERE deleted_at IS NOT NULL),
  (SELECT count(*) FROM search_backlog)
"""

_OPEN_TURNS = """
SELECT id, conversation_id, status, lease_id FROM turns WHERE status <> 'done'
ORDER BY +rid
"""


def read_status(path: Path, *, now: datetime, stop: Stop) -> DatabaseStatus:
    """The state of the file; a file that cannot be read is a `problem`. Blocks.

    Who lives and who does not is left to the caller.
    """
    version, contents, problem = None, None, None
    try:
        if path.exists():
            version, contents = _read(path, stop=stop)
    except StorageFailure as failure:
        problem = failure.message
    status = unread_status(path, problem, now=now)
    return structs.replace(status, schema_version=version, contents=contents)


def unread_status(path: Path, problem: str | None, *, now: datetime) -> DatabaseStatus:
    """What can be said without opening the file."""
    library = apsw.sqlite_lib_version()
    return DatabaseStatus(
        path=str(path),
        exists=path.exists(),
        size_bytes=size_of(path),
        log_bytes=size_of(log_of(path)),
        schema_version=None,
        latest_version=LATEST_VERSION,
        sqlite_version=library,
        is_sqlite_safe=_is_safe(library),
        contents=None,
        backups=BackupFolder(path).list(),
        problem=problem,
        why_read_only=_why_read_only(path),
        reserve=Reserve(path).state(),
        read_at=now,
    )


def _why_read_only(path: Path) -> str | None:
    """Why nothing can be written, as a sentence; None if it can, or there is no file.

    A log needs a folder that can be written, too.
    """
    if not path.exists() or (
        os.access(path, os.W_OK) and os.access(path.parent, _ENTER)
    ):
        return None
    return failure_to_write(path).message


def _read(path: Path, *, stop: Stop) -> tuple[int, Contents]:
    refuse_unusable(path)
    with reading(path, stop=stop) as connection:
        version = version_of(connection, path)
        try:
            return version, _contents(connection, version)
        except ValueError as error:
            raise DamagedFailure(
                f"The database {path} holds what no Tina writes: {error}. "
                f"{advice_on_damage(path)}"
            ) from error


def _contents(connection: apsw.Connection, version: int) -> Contents:
    if version == 0:
        return Contents(
            conversations=0,
            messages=0,
            deleted=None,
            search_backlog=None,
            open_turns=(),
        )
    conversations, messages = next(connection.execute(_COUNTS))
    deleted = backlog = None
    if version == LATEST_VERSION:
        deleted, backlog = next(connection.execute(_LATER_COUNTS))
    return Contents(
        conversations=conversations,
        messages=messages,
        deleted=deleted,
        search_backlog=backlog,
        open_turns=tuple(
            TurnHolder(
                turn_id=TurnId(row_id.hex()),
                conversation_id=ConversationId(conversation_id.hex()),
                status=TurnStatus(status),
                lease_id=None if lease_id is None else LeaseId(lease_id.hex()),
            )
            for row_id, conversation_id, status, lease_id in connection.execute(
                _OPEN_TURNS
            )
        ),
    )


def _is_safe(library: str) -> bool:
    try:
        check_library(library)
    except UnsupportedSqliteFailure:
        return False
    return True
