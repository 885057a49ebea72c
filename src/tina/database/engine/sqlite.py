"""Opening SQLite files safely: which library, which file, which settings.

Nothing is written into a file before it is known to be Tina's or empty.
"""

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

import apsw

from tina.database.engine.advice import advice_on_backup, newest_backup
from tina.database.engine.sqlite_failures import (
    BUSY_TIMEOUT_MS,
    failure_to_write,
    storage_failures,
)
from tina.database.files.filesystem import log_of, size_of
from tina.domain.failures import (
    DamagedFailure,
    ForeignFileFailure,
    UnsupportedSqliteFailure,
    UnwritableFailure,
)

__all__ = [
    "APPLICATION_ID",
    "BUSY_TIMEOUT_MS",
    "check_library",
    "close",
    "connect_in_place",
    "has_log",
    "has_wal_reset_bug",
    "open_reader",
    "open_reader_in_place",
    "open_writer",
    "refuse_emptied",
    "refuse_foreign",
    "refuse_unusable",
    "storage_failures",
]

_logger = logging.getLogger(__name__)

APPLICATION_ID = 0x54494E41
"""`TINA` in ASCII, in the header of every file that is ours."""

_MAKING_S = 0.5
"""So long an empty file may be one that another process is just making."""

_LOOK_MS = 20
"""So long is waited before it is tried again to give a file its log."""

_BACKPORTS = {(3, 44): 6, (3, 50): 7}
_FIXED = (3, 51, 3)


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite can corrupt a file that two connections share.

    Source: SQLite, "Write-Ahead Logging", section "The WAL-Reset Bug": 3.7.0 to
    3.51.2, with the fix also in 3.44.6 and 3.50.7.
    """
    if version < (3, 7, 0) or version >= _FIXED:
        return False
    fixed_patch = _BACKPORTS.get(version[:2])
    return fixed_patch is None or version[2] < fixed_patch


def check_library(version_text: str) -> None:
    """Refuse a SQLite that corrupts files.

    Raises:
        UnsupportedSqliteFailure: it has the bug.
    """
    major, minor, patch = (int(number) for number in version_text.split(".")[:3])
    if has_wal_reset_bug((major, minor, patch)):
        raise UnsupportedSqliteFailure(
            f"SQLite {version_text} can corrupt files (the WAL-reset bug). "
            "Install apsw 3.51.3 or newer: pip install -U apsw"
        )


def close(connection: apsw.Connection) -> None:
    """Close at the end of a thread: the disk may fail even then, and nothing is lost.

    What was committed is in the log, and whoever opens the file next finds it there.
    """
    try:
        connection.close()
    except apsw.Error as error:
        _logger.warning("close_failed", extra={"error": str(error)})


def open_writer(path: Path) -> apsw.Connection:
    """The one connection of this process that writes; closed by the caller.

    Raises:
        StorageFailure: the file cannot be used; it is then untouched.
    """
    refuse_unusable(path)
    _make_private(path)
    with storage_failures(path):
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            _refuse_unwritable(connection, path)
            # Until it is known to be ours, closing must not move its log into it.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            refuse_foreign(connection, path)
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            _set_to_wal(connection)
            for pragma in _WRITER_PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_to_wal(connection: apsw.Connection) -> None:
    """Give a new file its log, whoever else is just doing the same.

    SQLite waits for no lock that it needs while it holds one, as it does here: of
    several processes that make a file together all but one would be told "locked".
    """
    connection.set_busy_timeout(0)
    for _ in range(BUSY_TIMEOUT_MS // _LOOK_MS):
        with suppress(apsw.BusyError):
            connection.execute("PRAGMA journal_mode = WAL")
            break
        threading.Event().wait(_LOOK_MS / 1000)
    else:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.set_busy_timeout(BUSY_TIMEOUT_MS)


def _make_private(path: Path) -> None:
    """Make the file, if there is none, for its owner alone.

    SQLite would leave the mode to the umask; it gives the log the mode of the file.
    """
    # By hand only because it is new: nobody here has locks on it that this could drop.
    with suppress(OSError):  # it is there; or SQLite finds out what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def open_reader(path: Path) -> apsw.Connection:
    """A connection that cannot write; closed by the caller."""
    with storage_failures(path):
        return _connect_reader(path)


def open_reader_in_place(path: Path) -> tuple[apsw.Connection, bool]:
    """A connection to a file in a folder that may be unwritable; closed by the caller.

    SQLite reads a database with a log only where it may write, or where a log stands
    already. Without one the file itself is all there is, and can be read as
    *immutable*: right until somebody else begins to write, so for one read.

    Returns:
        The connection, and whether it is good for one read only.

    Raises:
        StorageFailure: it cannot be read here.
    """
    with storage_failures(path):
        return connect_in_place(path)


def connect_in_place(path: Path) -> tuple[apsw.Connection, bool]:
    """The same as `open_reader_in_place`, but with SQLite's own errors."""
    try:
        return _connect_reader(path), False
    except _CANNOT_SHARE as error:
        if has_log(path):
            raise UnwritableFailure(
                f"The newest part of {path} lies in a log beside it, which can be "
                "read only in a folder that can be written. Copy the folder to "
                "such a place and choose that with TINA_HOME."
            ) from error
    return _set_up_reader(_open_immutable(path)), True


def _connect_reader(path: Path) -> apsw.Connection:
    return _set_up_reader(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY))


_CANNOT_SHARE = (
    apsw.CantOpenError,
    apsw.FullError,
    apsw.IOError,
    apsw.ReadOnlyError,
)
"""How SQLite says that it cannot make the log or its index."""


def _set_up_reader(connection: apsw.Connection) -> apsw.Connection:
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        for pragma in _READER_PRAGMAS:
            connection.execute(pragma)
        # Looks into the file: what cannot be read fails here.
        connection.pragma("schema_version")
    except BaseException:
        connection.close()
        raise
    return connection


_WRITER_PRAGMAS = (
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA trusted_schema = OFF",
    # macOS: without these a FULL commit does not reach the disk; ignored elsewhere.
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
)

_READER_PRAGMAS = (
    "PRAGMA query_only = ON",
    "PRAGMA cache_size = -16384",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)


def has_log(path: Path) -> bool:
    """Whether a log beside the database holds what the file itself may not."""
    journal = path.with_name(f"{path.name}-journal")
    return size_of(log_of(path)) > 0 or size_of(journal) > 0


def refuse_unusable(path: Path) -> None:
    """Judge a file without writing anything, not even beside it.

    Raises:
        DamagedFailure: it is no database, or not whole, or only its log is left, or
            it is empty and there are backups.
        ForeignFileFailure: it belongs to another program.
    """
    # A database gets its first page before it gets a log, so a log alone is a remnant;
    # SQLite would delete it without a word.
    if size_of(log_of(path)) > 0 and size_of(path) == 0:
        raise DamagedFailure(
            f"The database {path} is gone, but its log {log_of(path).name} is still "
            "there. Put the file back, or move the log away to begin anew."
        )
    refuse_emptied(path)
    if has_log(path) or size_of(path) == 0 or not path.is_file():
        return  # the file alone does not say what it holds; SQLite looks at both
    with storage_failures(path):
        connection = _open_immutable(path)
        try:
            refuse_foreign(connection, path)
        except (apsw.CorruptError, apsw.NotADBError):
            # Not if another process has just begun to write: then it only looks so.
            if not has_log(path):
                raise
        finally:
            connection.close()


def refuse_emptied(path: Path) -> None:
    """Refuse a file without a byte that has backups: what it held is gone.

    A new database in its place would say that all is well.

    Raises:
        DamagedFailure: it says how to go back, and how to begin anew.
    """
    if not _is_empty_file(path) or (newest := newest_backup(path)) is None:
        return
    # A new database is such a file, too, until the process that makes it goes on.
    threading.Event().wait(_MAKING_S)
    if _is_empty_file(path):
        raise DamagedFailure(
            f"The database {path} is empty (0 bytes), but there are backups of it. "
            f"{advice_on_backup(newest)} To begin anew, delete the empty file."
        )


def _is_empty_file(path: Path) -> bool:
    return path.is_file() and size_of(path) == 0 and not has_log(path)


def _open_immutable(path: Path) -> apsw.Connection:
    """Read the file alone: no lock is taken, no log looked at, nothing made."""
    return apsw.Connection(
        f"{path.absolute().as_uri()}?immutable=1",
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
    )


def _refuse_unwritable(connection: apsw.Connection, path: Path) -> None:
    # SQLite opens what cannot be written for reading, without a word.
    if connection.readonly("main"):
        raise failure_to_write(path)


def refuse_foreign(connection: apsw.Connection, path: Path) -> None:
    """Raise `ForeignFileFailure` unless the database is Tina's, or empty."""
    # In this order: another process may be making it ours in between.
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    application_id = connection.pragma("application_id")
    if application_id == APPLICATION_ID:
        return
    if application_id != 0 or not is_empty:
        raise ForeignFileFailure(
            f"The file {path} is a database of another program; Tina left it as it "
            "is. Move it away, or choose another folder with TINA_HOME."
        )
