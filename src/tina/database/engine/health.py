"""What the threads of one engine know about their file's health."""

import errno
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import apsw

from tina.database.engine.advice import advice_on_damage
from tina.database.engine.sqlite_failures import failure_for, full_failure, is_damage
from tina.domain.failures import DamagedFailure, StorageFailure

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Health:
    """Remembers damage that any thread met: a damaged file is never written again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._damage: StorageFailure | None = None

    def check(self) -> None:
        """Return if no damage is known.

        Raises:
            DamagedFailure: somebody read what cannot be right.
        """
        if self._damage is not None:
            raise DamagedFailure(
                f"The database {self._path} is damaged, so nothing more is stored in "
                f"it. {advice_on_damage(self._path)}"
            ) from self._damage

    def judge(
        self, error: apsw.Error, connection: apsw.Connection | None
    ) -> StorageFailure:
        """What an error of SQLite means; damage is remembered."""
        errno_ = connection.system_errno if connection is not None else 0
        if isinstance(error, apsw.IOError) and errno_ in _FULL:
            # A quota, or a disk that finds out late: SQLite has no code for those.
            failure: StorageFailure = full_failure(self._path)
        else:
            failure = failure_for(error, self._path, system_errno=errno_)
        if is_damage(error):
            self._damage = failure
        failure.__cause__ = error
        return failure

    def full(self) -> StorageFailure:
        """What a job is told that is not tried because the disk is full."""
        return full_failure(self._path)

    @contextmanager
    def judged(self, connection: apsw.Connection | None = None) -> Generator[None]:
        """Turn SQLite's errors into failures."""
        try:
            yield
        except apsw.Error as error:
            raise self.judge(error, connection) from error
