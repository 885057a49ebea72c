"""Whether the open files are still those that their names lead to.

A database that is deleted, moved or replaced while it is open goes on taking commits
that nobody will ever find. So the writer compares before it promises durability; asking
for a file's status costs about a microsecond and, unlike opening it, no locks.
"""

import os
from pathlib import Path

from tina.database.files.filesystem import log_of
from tina.domain.failures import UnwritableFailure

_Identity = tuple[int, int] | None


class Place:
    """The names of one database and what they led to when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names = (str(path), str(log_of(path)))
        self._opened: tuple[_Identity, ...] | None = None

    def remember(self) -> None:
        """Called once the database and its log are open."""
        self._opened = tuple(map(_identity_of, self._names))

    def check(self) -> None:
        """Return if everything is where it was, or nothing is remembered.

        Raises:
            UnwritableFailure: what is written now would be lost.
        """
        if self._opened is None:
            return
        if tuple(map(_identity_of, self._names)) != self._opened:
            raise UnwritableFailure(
                f"The database {self._path} was moved, replaced or deleted while Tina "
                "had it open, so nothing more is stored. Put it back, or start Tina "
                "again to use what is there now."
            )


def _identity_of(name: str) -> _Identity:
    try:
        status = os.stat(name)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
