"""Leases: one lock file per process, released by the operating system.

The lock is never taken on the database itself: opening and closing the database file
would drop SQLite's own locks. A lease is held with an exclusive lock and asked about
with a shared one, so that two processes that ask do not take each other for the holder.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from tina.domain.failures import UnwritableFailure
from tina.domain.ids import LeaseId
from tina.domain.ports import IdFactory

_FILES = f"{'[0-9a-f]' * 32}.lock"


class FileLeases:
    """Fulfils `Leases` with files in a folder, which must exist."""

    def __init__(self, folder: Path, *, ids: IdFactory) -> None:
        self._folder = folder
        self._ids = ids
        self._held: tuple[LeaseId, int] | None = None

    async def hold(self) -> LeaseId:
        """This process' lease, taken at the first call.

        Raises:
            UnwritableFailure: the folder cannot be written.
        """
        # Decided and done without an await: two callers cannot both take one.
        if self._held is None:
            for left in self._folder.glob(_FILES):
                _is_locked(left)  # the dead leave files behind
            lease_id = LeaseId(self._ids.new())
            self._held = (lease_id, _take(self._file(lease_id)))
        return self._held[0]

    async def is_held(self, lease_id: LeaseId) -> bool:
        """Whether a living process holds it; the file of a dead one is removed."""
        return _is_locked(self._file(lease_id))

    def pid_of(self, lease_id: LeaseId) -> int | None:
        """The process that took the lease, if its file still says so."""
        try:
            text = self._file(lease_id).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return int(text) if text.strip().isdigit() else None

    async def close(self) -> None:
        if self._held is not None:
            lease_id, descriptor = self._held
            self._held = None
            with suppress(OSError):  # the next who looks removes it
                self._file(lease_id).unlink()
            os.close(descriptor)

    def _file(self, lease_id: LeaseId) -> Path:
        return self._folder / f"{lease_id}.lock"


def _take(path: Path) -> int:
    """Make the file and lock it; the descriptor that holds the lock."""
    unlocked = path.with_suffix(".new")
    try:
        descriptor = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with suppress(OSError):  # for people only: a full disk is no reason to refuse
        os.write(descriptor, b"%d\n" % os.getpid())
    # Named only once it is locked: nobody can see a living lease without its lock.
    unlocked.rename(path)
    return descriptor


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        with suppress(OSError):  # a folder that cannot be written keeps its dead
            path.unlink()
        return False
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: OSError) -> UnwritableFailure:
    return UnwritableFailure(
        f"Tina cannot use {str(path.parent)!r}: {error.strerror}. Check its "
        "permissions, or choose another folder with TINA_HOME."
    )
