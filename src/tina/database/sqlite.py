"""Opening SQLite files safely: which library, which file, which settings.

Nothing is written into a file before it is known to be Tina's or empty.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tina.domain.failures import (
    BusyFailure,
    DamagedFailure,
    DiskFullFailure,
    ForeignFileFailure,
    StorageFailure,
    UnsupportedSqliteFailure,
    UnwritableFailure,
)

APPLICATION_ID = 0x54494E41
"""`TINA` in ASCII, in the header of every file that is ours."""

BUSY_TIMEOUT_MS = 5000

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


@contextmanager
def storage_failures(path: Path) -> Generator[None]:
    """Turn SQLite's errors into failures that name the file and what to do."""
    try:
        yield
    except apsw.Error as error:
        raise _failure_for(error, path) from error


_MEANINGS: tuple[
    tuple[tuple[type[apsw.Error], ...], type[StorageFailure], str], ...
] = (
    (
        (apsw.BusyError, apsw.LockedError),
        BusyFailure,
        "Another process has held the database {path} for "
        f"{BUSY_TIMEOUT_MS // 1000} s. Try again when it is done.",
    ),
    (
        (apsw.FullError,),
        DiskFullFailure,
        "No room left for the database {path}. Free some space and try again.",
    ),
    (
        (apsw.NotADBError, apsw.CorruptError, apsw.FormatError),
        DamagedFailure,
        "The file {path} is damaged or is no database; Tina left it as it is. "
        "Put a backup in its place, or move it away to begin with an empty one.",
    ),
    (
        (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError),
        UnwritableFailure,
        "The database {path} cannot be opened for writing. Check the permissions of "
        "the file and its folder, or choose another folder with TINA_HOME.",
    ),
    (
        (apsw.IOError,),
        StorageFailure,
        "The disk failed under the database {path} ({error}). "
        "Is it full, unplugged or damaged?",
    ),
    (
        (apsw.Error,),
        StorageFailure,
        "The database {path} could not do it: {error}",
    ),
)


def _failure_for(error: apsw.Error, path: Path) -> StorageFailure:
    """What an error of SQLite means for a person; the first that fits."""
    failure, sentence = next(
        (failure, sentence)
        for classes, failure, sentence in _MEANINGS
        if isinstance(error, classes)
    )
    return failure(sentence.format(path=path, error=error))


def open_writer(path: Path) -> apsw.Connection:
    """The one connection of this process that writes; closed by the caller.

    Raises:
        StorageFailure: the file cannot be used; it is then untouched.
    """
    with storage_failures(path):
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            _refuse_foreign_files(connection, path)
            for pragma in _WRITER_PRAGMAS:
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
    return connection


def open_reader(path: Path) -> apsw.Connection:
    """A connection that cannot write; closed by the caller."""
    with storage_failures(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        for pragma in _READER_PRAGMAS:
            connection.execute(pragma)
    return connection


_WRITER_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
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


def _refuse_foreign_files(connection: apsw.Connection, path: Path) -> None:
    application_id = connection.pragma("application_id")
    if application_id == APPLICATION_ID:
        return
    is_empty = connection.execute("SELECT count(*) FROM sqlite_schema").get == 0
    if application_id != 0 or not is_empty:
        raise ForeignFileFailure(
            f"The file {path} is a database of another program; Tina left it as it "
            "is. Move it away, or choose another folder with TINA_HOME."
        )
