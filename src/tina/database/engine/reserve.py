"""Eight megabytes beside the database, given up when the disk is full.

What runs at that moment still has to be stored, and SQLite cannot even delete without
room to write. The file is made once, while there is plenty, and stays; whoever needs it
first, in any process, deletes it.
"""

import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tina.database.files.filesystem import free_bytes
from tina.database.files.regular_file import is_in_the_way, open_regular
from tina.domain.keeping import ReserveState

_logger = logging.getLogger(__name__)

RESERVE_BYTES = 8 * 1024 * 1024
PLENTY_BYTES = 4 * RESERVE_BYTES
"""A reserve is first made only where so much is free: it must not fill the disk."""

ENOUGH_BYTES = RESERVE_BYTES
"""So much must be free beside the reserve before a full disk counts as cured."""

_CHUNK_BYTES = 64 * 1024
_BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's own is (POSIX, sys/stat.h)."""


class Reserve:
    """The reserve of one database.

    Args:
        free: how many bytes are free in a folder; the system's word if not given.
    """

    def __init__(
        self, database: Path, *, free: Callable[[Path], int] | None = None
    ) -> None:
        self.path = database.with_name(f"{database.name}-reserve")
        self._free = free or free_bytes
        self._was_refused = False

    def prepare(self) -> None:
        """Make it if there is none and the disk has plenty of room; never fails."""
        with suppress(OSError):
            if not self.is_there() and self._has_room(PLENTY_BYTES):
                self._make()

    def restore(self) -> bool:
        """Make it again after it was spent; whether there is room for more, too.

        Where something else has its name, there is no reserve, only room.
        """
        with suppress(OSError):
            if self.is_there():
                return self._has_room(ENOUGH_BYTES)
            if self._has_room(RESERVE_BYTES + ENOUGH_BYTES):
                return self._make() or is_in_the_way(self.path)
        return False

    def spend(self) -> None:
        """Give its room back to the disk; never fails."""
        with suppress(OSError):
            if not is_in_the_way(self.path):
                self.path.unlink()

    def is_there(self) -> bool:
        """Whether it is whole: its blocks are taken from the disk, not promised."""
        try:
            status = self.path.lstat()
        except OSError:
            return False
        is_whole = status.st_blocks * _BLOCK_BYTES >= RESERVE_BYTES
        return stat.S_ISREG(status.st_mode) and is_whole

    def state(self) -> ReserveState:
        """Whether it is there, and if not, whether it could be made."""
        if self.is_there():
            return ReserveState.MADE
        try:
            has_room = self._has_room(PLENTY_BYTES)
        except OSError:  # there is no such folder yet
            return ReserveState.MISSING
        return ReserveState.MISSING if has_room else ReserveState.NO_ROOM

    def _has_room(self, needed_bytes: int) -> bool:
        return self._free(self.path.parent) >= needed_bytes

    def _make(self) -> bool:
        try:
            descriptor = open_regular(self.path, os.O_CREAT | os.O_WRONLY)
        except OSError as error:
            if not self._was_refused:
                _logger.warning("no_reserve", extra={"error": str(error)})
            self._was_refused = True
            return False
        try:
            _fill(descriptor)
        except OSError:
            self.spend()  # half a reserve only takes room away
            return False
        finally:
            os.close(descriptor)
        return True


def _fill(descriptor: int) -> None:
    """Take the blocks from the disk; zeros where it cannot be asked for them."""
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    except (AttributeError, OSError):
        for at in range(0, RESERVE_BYTES, _CHUNK_BYTES):
            os.pwrite(descriptor, bytes(_CHUNK_BYTES), at)
