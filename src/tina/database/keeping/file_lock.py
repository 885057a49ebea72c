"""Who has the database open: a lock that the operating system releases with a process.

Whoever opens the database holds the lock together with others; whoever changes the file
as a whole (a migration, a restore, a repair) holds it alone. It is taken on a file of
its own: opening and closing the database by hand would drop SQLite's locks. The file is
never removed, or two processes could hold locks on two files of one name.

Holders write their process id into it, each at a place of its own, so that a person can
be told who is in the way. What a killed process left there is not believed: beside the
id stands when the process started, so that a later one with the same id is not taken
for it.
"""

import errno
import fcntl
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tina.database.files.filesystem import failure_for
from tina.database.files.regular_file import open_regular
from tina.domain.failures import BusyFailure
from tina.domain.ports import Clock

LOCK_TIMEOUT_S = 5.0
LOOK_INTERVAL_S = 0.02

_PLACES = 400
_PLACE = "\n{pid:>9} {start:>20}\n"
"""Begins with a line's end: what an older Tina wrote has other places."""
_PLACE_BYTES = 32
_EMPTY_PLACE = b"\n" + b" " * (_PLACE_BYTES - 2) + b"\n"


class FileLock:
    """The lock of one database; one object holds it at most once."""

    def __init__(self, database: Path, *, clock: Clock) -> None:
        self._database = database
        self._path = database.with_name(f"{database.name}.lock")
        self._clock = clock
        self._descriptor: int | None = None

    async def share(self) -> None:
        """Hold it together with others, until `release`.

        Where no lock file can be made, nobody can change the file as a whole either:
        then this does nothing.

        Raises:
            BusyFailure: somebody holds it alone, for longer than a few seconds.
            StorageFailure: this process can open no more files; others could lock it.
        """
        try:
            descriptor = self._open()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise failure_for(error, self._path) from error
            return
        await self._take(descriptor, fcntl.LOCK_SH)

    async def claim(self) -> None:
        """Hold it alone, until `release`; a share that is held is given up first.

        Raises:
            BusyFailure: others hold it; the message names them where they are known.
            UnwritableFailure, DiskFullFailure: the lock file cannot be made.
        """
        try:
            descriptor = self._open()
        except OSError as error:
            raise failure_for(error, self._path) from error
        await self._take(descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Give it up; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _sign_off(descriptor)
            # Not unlocked but closed: a copy (`duplicate`) goes on holding it.
            os.close(descriptor)

    def duplicate(self) -> int | None:
        """A descriptor that holds the lock too, until it is closed by the caller."""
        return None if self._descriptor is None else os.dup(self._descriptor)

    @asynccontextmanager
    async def shared(self) -> AsyncGenerator[None]:
        await self.share()
        try:
            yield
        finally:
            self.release()

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        await self.claim()
        try:
            yield
        finally:
            self.release()

    def holders(self) -> tuple[int, ...]:
        """Process ids of those who hold it, as far as they are known."""
        with suppress(OSError):
            notes = {_parse(line) for line in self._read().split(b"\n")}
            return tuple(sorted(note.pid for note in notes if note and note.is_true()))
        return ()

    def _read(self) -> bytes:
        descriptor = open_regular(self._path, os.O_RDONLY)
        with open(descriptor, "rb") as file:
            return file.read(_PLACES * _PLACE_BYTES)

    def _open(self) -> int:
        self.release()
        try:
            return open_regular(self._path, os.O_CREAT | os.O_RDWR)
        except PermissionError:
            return open_regular(self._path, os.O_RDONLY)

    async def _take(self, descriptor: int, mode: int) -> None:
        try:
            await self._wait_for(descriptor, mode)
        except BaseException:
            os.close(descriptor)
            raise
        _sign_on(descriptor)
        self._descriptor = descriptor

    async def _wait_for(self, descriptor: int, mode: int) -> None:
        deadline = self._clock.monotonic() + LOCK_TIMEOUT_S
        while not _is_taken(descriptor, mode):
            if self._clock.monotonic() >= deadline:
                raise self._busy(mode)
            await self._clock.sleep(LOOK_INTERVAL_S)

    def _busy(self, mode: int) -> BusyFailure:
        pids = self.holders()
        others = ", ".join(str(pid) for pid in pids if pid != os.getpid())
        who = f"Another process (pid {others})" if others else "Another process"
        if not others and os.getpid() in pids:
            who = "This very process"
        if mode == fcntl.LOCK_SH:
            return BusyFailure(
                f"{who} is changing the database {self._database} as a whole: it is "
                "being migrated, restored or repaired. Try again when it is done."
            )
        return BusyFailure(
            f"{who} has the database {self._database} open. "
            "Close it there and try again; nothing was changed."
        )


def _is_taken(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Note(NamedTuple):
    pid: int
    start: int

    def is_true(self) -> bool:
        """Whether that process, and no later one with its id, is alive."""
        return _start_of(self.pid) == self.start


def _parse(line: bytes) -> _Note | None:
    words = line.split() if len(line) <= _PLACE_BYTES else []
    if len(words) != len(_Note._fields) or not all(word.isdigit() for word in words):
        return None
    return _Note(*map(int, words))


def _own_note() -> _Note | None:
    pid = os.getpid()
    start = _start_of(pid)
    return None if start is None else _Note(pid, start)


def _sign_on(descriptor: int) -> None:
    if (note := _own_note()) is not None:
        text = _PLACE.format(pid=note.pid, start=note.start)
        with suppress(OSError):  # a full disk, or a file that can only be read
            os.pwrite(descriptor, text.encode(), _place_of(note.pid))


def _sign_off(descriptor: int) -> None:
    place = _place_of(os.getpid())
    with suppress(OSError):
        written = os.pread(descriptor, _PLACE_BYTES, place)
        if (note := _parse(written)) is not None and note == _own_note():
            os.pwrite(descriptor, _EMPTY_PLACE, place)


def _place_of(pid: int) -> int:
    """Two processes may share a place: then the later one is named."""
    return pid % _PLACES * _PLACE_BYTES


def _start_of(pid: int) -> int | None:
    """When it started, in the system's own units, 0 where that is not told.

    None if there is no such process.
    Source: Linux, proc_pid_stat(5): field 22; the second one is a name in parentheses,
    which may hold anything.
    """
    if not sys.platform.startswith("linux"):
        return 0 if _is_alive(pid) else None
    try:
        status = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return int(status.rpartition(b")")[2].split()[19])


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's
        return True
    except (OSError, OverflowError):
        return False
    return True
