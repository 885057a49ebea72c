"""What the database asks of the file system beside SQLite: room, order, no network."""

import errno
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tina.database.files.mounts import find_type, is_network
from tina.domain.failures import (
    DiskFullFailure,
    StorageFailure,
    UnsupportedDiskFailure,
    UnwritableFailure,
)

MOUNTINFO = Path("/proc/self/mountinfo")
"""Linux only; other systems are not asked."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_MIB = 1024 * 1024

_ON_READ_ONLY_DISK = (
    "The disk is read-only; choose a folder on another one with TINA_HOME."
)


def refuse_network_disk(path: Path) -> None:
    """Refuse a database on a disk of another machine.

    Raises:
        UnsupportedDiskFailure: it would lie on a network file system.
    """
    try:
        mountinfo = MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    type_name = find_type(mountinfo, str(path.resolve()))
    if type_name is not None and is_network(type_name):
        raise UnsupportedDiskFailure(
            f"The database {path} would lie on a network file system ({type_name}), "
            "where it can be damaged when two programs use it. Choose a folder on a "
            "disk of this machine with TINA_HOME."
        )


def free_bytes(folder: Path) -> int:
    """Room that this user may fill."""
    return shutil.disk_usage(folder).free


def stored_bytes(path: Path) -> int:
    """Size of a database with its log; 0 if there is none."""
    return sum(size_of(file) for file in (path, log_of(path)))


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def index_of(path: Path) -> Path:
    """SQLite's index of that log, in shared memory."""
    return path.with_name(f"{path.name}-shm")


def require_room(folder: Path, needed_bytes: int, *, purpose: str) -> None:
    """Refuse to begin what the disk has no room for.

    Args:
        purpose: what cannot be done, as the beginning of a sentence.

    Raises:
        DiskFullFailure: it says how much is missing.
    """
    free = free_bytes(folder)
    if free < needed_bytes:
        missing_mib = -((free - needed_bytes) // _MIB)
        raise DiskFullFailure(
            f"{purpose} needs {-(-needed_bytes // _MIB)} MiB of room in {folder}; "
            f"{missing_mib} MiB are missing. Nothing was changed. "
            "Free some space and try again."
        )


def sync_file(path: Path) -> None:
    """Wait until what is in the file is on the disk.

    Never for a file that SQLite has open in this process: closing it by hand would
    drop SQLite's locks.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Wait until the names in the folder are on the disk."""
    sync_file(folder)


@contextmanager
def file_failures(path: Path) -> Generator[None]:
    """Turn the system's errors into failures that name the file and what to do."""
    try:
        yield
    except OSError as error:
        raise failure_for(error, path) from error


def failure_for(error: OSError, path: Path) -> StorageFailure:
    if error.errno in _FULL:
        return DiskFullFailure(
            f"No room left for {path}. Free some space and try again."
        )
    advice = _ON_READ_ONLY_DISK
    if error.errno != errno.EROFS:
        advice = advice_on_writing(path)
    return UnwritableFailure(f"{path} cannot be written: {error.strerror}. {advice}")


def advice_on_writing(path: Path) -> str:
    """What a person can do about a file that cannot be written."""
    if _is_on_read_only_disk(path):
        return _ON_READ_ONLY_DISK
    return (
        "Check the permissions of the file and its folder, or choose another folder "
        "with TINA_HOME."
    )


def _is_on_read_only_disk(path: Path) -> bool:
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False
