"""What SQLite's errors mean for a person: which failure, and what to do next."""

import errno
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apsw

from tina.database.engine.advice import advice_on_damage
from tina.database.files.filesystem import advice_on_writing
from tina.domain.failures import (
    BusyFailure,
    DamagedFailure,
    DiskFullFailure,
    StorageFailure,
    UnwritableFailure,
)

BUSY_TIMEOUT_MS = 5000

_DESCRIPTORS = 4
"""What one connection may open at once: the file, its log, their index, a journal."""


@contextmanager
def storage_failures(path: Path) -> Generator[None]:
    """Turn SQLite's errors into failures that name the file and what to do."""
    try:
        yield
    except apsw.Error as error:
        raise failure_for(error, path) from error


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
        (apsw.NotADBError, apsw.CorruptError, apsw.FormatError),
        DamagedFailure,
        "The file {path} is damaged or is no database; Tina left it as it is. {advice}",
    ),
    (
        (apsw.ReadOnlyError, apsw.CantOpenError, apsw.PermissionsError),
        UnwritableFailure,
        "The database {path} cannot be opened for writing. {advice}",
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


_LIMITS = {
    errno.EMFILE: "The database {path} cannot be opened: this process has too many "
    "files open. Raise that limit (`ulimit -n`) and try again.",
    errno.ENFILE: "The database {path} cannot be opened: this machine has too many "
    "files open. Close some programs and try again.",
    errno.EFBIG: "The database {path} cannot grow: the limit for the size of a file is "
    "reached. Raise it (`ulimit -f`) and try again.",
}


def failure_for(
    error: apsw.Error, path: Path, *, system_errno: int = 0
) -> StorageFailure:
    """What an error of SQLite means for a person; the first that fits.

    Args:
        system_errno: the system's error behind it, if the connection is there to say.
    """
    if (limit := _limit_behind(error, system_errno)) is not None:
        return StorageFailure(limit.format(path=path))
    if _is_of_index(error):
        return DamagedFailure(
            f"The search index in {path} does not fit the messages any more; they are "
            "not affected. `tina db repair` builds it anew."
        )
    if isinstance(error, apsw.FullError):
        return full_failure(path)
    failure, sentence = next(
        (failure, sentence)
        for classes, failure, sentence in _MEANINGS
        if isinstance(error, classes)
    )
    advice = _ADVICE[failure](path) if failure in _ADVICE else ""
    return failure(sentence.format(path=path, error=error, advice=advice))


def _limit_behind(error: apsw.Error, system_errno: int) -> str | None:
    """Which limit of the system was met, if one was, as a sentence."""
    if not isinstance(error, apsw.CantOpenError | apsw.IOError):
        return None  # SQLite notes the system's error with these two alone
    return _LIMITS.get(system_errno or _errno_of_opening())


def _errno_of_opening() -> int:
    """Why no connection could be opened now, if files cannot be.

    One that could not be opened is gone, and cannot say what the system said.
    """
    try:
        with ExitStack() as stack:
            for _ in range(_DESCRIPTORS):
                descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
    except OSError as error:
        return error.errno or 0
    return 0


def is_damage(error: apsw.Error) -> bool:
    """Whether pages of the file are not what they should be."""
    is_corrupt = isinstance(error, apsw.CorruptError | apsw.NotADBError)
    return is_corrupt and not _is_of_index(error)


def _is_of_index(error: apsw.Error) -> bool:
    """An index that does not fit its table is "corrupt" too; the file is whole."""
    return getattr(error, "extendedresult", 0) == apsw.SQLITE_CORRUPT_VTAB


def full_failure(path: Path) -> DiskFullFailure:
    return DiskFullFailure(
        f"No room left for the database {path}. What is stored can be read; to store "
        "more, free some space (20 MB are enough) and try again."
    )


def failure_to_write(path: Path) -> UnwritableFailure:
    return UnwritableFailure(
        f"The database {path} can be read, but not written. {advice_on_writing(path)}"
    )


_ADVICE = {
    DamagedFailure: advice_on_damage,
    UnwritableFailure: advice_on_writing,
}
