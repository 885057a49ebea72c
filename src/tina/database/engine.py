"""The engine: one writer thread, a few readers, one checkpointer, on one file.

A job crosses threads once per transaction, never once per statement.
"""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import apsw

from tina.database.checkpointer import Checkpointer
from tina.database.migrations import migrate
from tina.database.readers import Readers
from tina.database.sqlite import (
    check_library,
    open_reader,
    open_writer,
    storage_failures,
)
from tina.database.writer import Writer

T = TypeVar("T")

READER_THREADS = 2
CLOSE_TIMEOUT_S = 10.0


class Engine:
    """Runs reads and writes on one SQLite file. Close it when done."""

    def __init__(self, path: Path, *, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._checkpointer = Checkpointer(open_connection=partial(open_writer, path))
        self._readers = Readers(
            path, open_connection=partial(open_reader, path), threads=READER_THREADS
        )
        self._writer = Writer(
            path, open_connection=self._open_writer, monotonic=monotonic
        )

    async def open(self) -> None:
        """Open the file, make it if there is none, bring its schema up to date.

        Raises:
            StorageFailure: the file cannot be used; it is then untouched.
        """
        check_library(apsw.sqlite_lib_version())
        await self._writer.start()

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` against one snapshot, on a connection that cannot write."""
        return await self._readers.read(work)

    async def write(
        self, work: Callable[[apsw.Connection], T], *, is_durable: bool = True
    ) -> T:
        """Run `work` in a transaction.

        Args:
            is_durable: acknowledge only what survives a power cut. Otherwise it
                survives the death of the process, and a power cut after a second.
        """
        return await self._writer.write(work, is_durable=is_durable)

    async def close(self) -> None:
        """Finish what waits, close the file; bounded, and safe to call twice."""
        # Begun before the first await: no cancellation can leave the threads behind.
        stopping = threading.Thread(target=self._stop, name="tina-closer", daemon=True)
        stopping.start()
        with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await anyio.to_thread.run_sync(stopping.join, abandon_on_cancel=True)

    def _stop(self) -> None:
        self._readers.stop()
        self._writer.stop()
        self._checkpointer.stop()

    def _open_writer(self) -> apsw.Connection:
        connection = open_writer(self._path)
        try:
            with storage_failures(self._path):
                migrate(connection, self._path)
        except BaseException:
            connection.close()
            raise
        connection.set_wal_hook(self._after_commit)
        return connection

    def _after_commit(
        self, connection: apsw.Connection, schema: str, wal_pages: int
    ) -> int:
        self._checkpointer.ring(wal_pages)
        return apsw.SQLITE_OK
