"""A file that is written after each commit, so that other processes hear of it.

The byte means nothing; writing it wakes those who wait with inotify. It is rung once
the commit can be seen, so one look is enough. (Waiting for writes to SQLite's own log
hears of a commit before it can be seen: a look then misses up to a third of them.) A
writer that dies between its commit and the bell, and a program that is not Tina, are
found by a slow look at the log. Where there is no inotify, whoever waits looks every
50 ms.

The bell is a file of its own: opening or closing one of the database's files by hand
would drop SQLite's locks.
"""

import logging
import os
import select
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tina.database.files.regular_file import is_in_the_way, open_regular

_logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 1.0
POLL_INTERVAL_S = 0.05

_IN_MODIFY = 0x2
_IN_DONT_FOLLOW = 0x2000000
_BUFFER_BYTES = 4096


def bell_of(database: Path) -> Path:
    return database.with_name(f"{database.name}-bell")


class Doorbell:
    """Rings. Used by the writer's thread alone; opened with the first ring.

    Where the file cannot be written nobody hears, and others look by themselves.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._is_broken = False

    def ring(self) -> None:
        if self._descriptor is None:
            self._open()
        if self._descriptor is not None:
            with suppress(OSError):  # a full disk cannot be told
                os.pwrite(self._descriptor, b"\0", 0)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        if self._is_broken:
            return
        try:
            self._descriptor = _open_bell(self._path)
        except OSError as error:
            self._is_broken = True
            _logger.warning("bell_not_rung", extra={"error": str(error)})


class Ear(Protocol):
    """Waits for the bell, in a thread of its own, which also closes it."""

    def wait(self) -> None:
        """Return when the bell rang since the last wait, or it is time to look."""
        ...

    def wake(self) -> None:
        """End the wait, or the next one; from any thread, and also when closed."""
        ...

    def close(self) -> None: ...


def open_ear(path: Path, *, look_interval_s: float | None) -> Ear:
    """An ear for the bell at this path.

    Args:
        look_interval_s: the longest wait where the bell can be heard; None: for ever.

    Raises:
        OSError: this process has too many files open.
    """
    inotify = _open_inotify(path)
    if inotify is None:
        return PollingEar()
    try:
        return InotifyEar(inotify, look_interval_s=look_interval_s)
    except OSError:
        os.close(inotify)
        raise


class InotifyEar:
    """Hears the bell the moment it rings.

    Args:
        inotify: a descriptor that watches the bell; closed with the ear.
    """

    def __init__(self, inotify: int, *, look_interval_s: float | None) -> None:
        self._inotify = inotify
        self._waker = os.pipe()
        self._poll = select.poll()
        for descriptor in (inotify, *self._waker):
            os.set_blocking(descriptor, False)
        for descriptor in (inotify, self._waker[0]):
            self._poll.register(descriptor, select.POLLIN)
        self._limit_ms = None if look_interval_s is None else look_interval_s * 1000
        self._is_closed = False
        # So that none wakes a descriptor that is somebody else's by now.
        self._lock = threading.Lock()

    def wait(self) -> None:
        for descriptor, _ in self._poll.poll(self._limit_ms):
            with suppress(BlockingIOError):
                os.read(descriptor, _BUFFER_BYTES)

    def wake(self) -> None:
        with self._lock, suppress(BlockingIOError):  # full: it wakes anyway
            if not self._is_closed:
                os.write(self._waker[1], b"\0")

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for descriptor in (self._inotify, *self._waker):
                os.close(descriptor)


class PollingEar:
    """Hears nothing, so it is time to look again and again."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def wait(self) -> None:
        self._woken.wait(POLL_INTERVAL_S)

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """Nothing is open."""


def _open_bell(path: Path) -> int:
    return open_regular(path, os.O_WRONLY | os.O_CREAT)


def _open_inotify(path: Path) -> int | None:
    """A descriptor that becomes readable when the file is written; None if refused."""
    if not sys.platform.startswith("linux"):
        return None
    # Imported here: only who watches pays for it.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:  # too many of them on this machine
        return None
    with suppress(OSError):  # a folder that cannot be written
        os.close(_open_bell(path))
    events = _IN_MODIFY | _IN_DONT_FOLLOW
    if (
        is_in_the_way(path)  # nobody rings what is no file
        or libc.inotify_add_watch(descriptor, os.fsencode(path), events) < 0
    ):
        os.close(descriptor)
        return None
    return int(descriptor)
