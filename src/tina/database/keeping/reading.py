"""Opens the file for reading as a whole, also where nothing can be written.

On a read-only disk, or in a folder of somebody else, SQLite makes no log; the file is
then read as it stands.
"""

import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from tina.database.engine.sqlite import connect_in_place, storage_failures
from tina.database.keeping.interruption import Stop
from tina.domain.failures import BusyFailure


@contextmanager
def reading(
    path: Path, *, stop: Stop, told_as: Path | None = None
) -> Generator[apsw.Connection]:
    """A connection that reads, and that looks whether it is asked to stop.

    Args:
        told_as: the name in failures, if not that of the file.

    Raises:
        BusyFailure: somebody wrote into a file that could only be read as it stood.
        StorageFailure: it cannot be read.
    """
    named = told_as or path
    with storage_failures(named):
        before = _state_of(path)
        connection, is_as_it_stands = connect_in_place(path)
        with closing(connection):
            # It would forbid `VACUUM INTO`, and a large sort belongs on the disk.
            connection.execute("PRAGMA query_only = OFF")
            connection.execute("PRAGMA temp_store = DEFAULT")
            stop.watch(connection)
            try:
                yield connection
            finally:
                if is_as_it_stands and _state_of(path) != before:
                    # Nothing that was read is sure, nor is an error that it led to.
                    raise BusyFailure(
                        f"Somebody wrote into {named} while it was read. Try again."
                    )


def _state_of(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
