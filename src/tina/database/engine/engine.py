"""The engine: one writer thread, a few readers, one checkpointer, on one file.

A job crosses threads once per transaction, never once per statement. A file that can be
read but not written is opened all the same: then there is no writer.
"""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import apsw

from tina.database.engine.checkpointer import Checkpointer
from tina.database.engine.groups import Groups
from tina.database.engine.health import Health
from tina.database.engine.place import Place
from tina.database.engine.readers import Readers
from tina.database.engine.reserve import Reserve
from tina.database.engine.room import Room
from tina.database.engine.sqlite import (
    check_library,
    close,
    open_reader,
    open_reader_in_place,
    open_writer,
    refuse_foreign,
)
from tina.database.engine.writer import Writer
from tina.database.live.changes import ChangeFeed, Tell
from tina.database.live.doorbell import (
    LOOK_INTERVAL_S,
    Doorbell,
    bell_of,
    open_ear,
)
from tina.database.live.listener import Listener
from tina.database.migrations import prepare
from tina.domain.failures import (
    DamagedFailure,
    DiskFullFailure,
    Failure,
    ForeignFileFailure,
    NewerFileFailure,
    OlderFileFailure,
    StorageFailure,
    UnwritableFailure,
)

T = TypeVar("T")

_REFUSALS = (
    DamagedFailure,
    ForeignFileFailure,
    NewerFileFailure,
    OlderFileFailure,
)
"""What is wrong with a file that can be read."""

READER_THREADS = 2
CLOSE_TIMEOUT_S = 10.0


class Engine:
    """Runs reads and writes on one SQLite file. Close it when done."""

    def __init__(
        self,
        path: Path,
        *,
        monotonic: Callable[[], float],
        look_interval_s: float | None = LOOK_INTERVAL_S,
    ) -> None:
        self._path = path
        self._why_read_only: StorageFailure | None = None
        self._after_write: list[Callable[[], None]] = []
        self._health = Health(path)
        self._place = Place(path)
        self._reserve = Reserve(path)
        self._checkpointer = Checkpointer(
            open_connection=self._open_checkpointer, close_connection=self._close
        )
        self._readers = Readers(
            self._health, open_connection=self._open_reader, threads=READER_THREADS
        )
        self._room = Room(
            self._reserve, monotonic=monotonic, on_full=self._checkpointer.wake
        )
        self._doorbell = Doorbell(bell_of(path))
        feed = ChangeFeed(self._doorbell)
        self._listener = Listener(
            feed,
            self._health,
            make_ear=partial(open_ear, bell_of(path), look_interval_s=look_interval_s),
            open_connection=self._open_reader,
        )
        groups = Groups(
            health=self._health,
            place=self._place,
            room=self._room,
            feed=feed,
            monotonic=monotonic,
        )
        self._writer = Writer(
            groups, open_connection=self._open_writer, close_connection=self._close
        )

    @property
    def is_read_only(self) -> bool:
        """Whether the file can be read, but not written, since it was opened."""
        return self._why_read_only is not None

    async def open(self) -> None:
        """Open the file, make it if there is none, and its schema if it is empty.

        A file that cannot be written is opened for reading.

        Raises:
            StorageFailure: the file cannot be used; it is then untouched.
        """
        check_library(apsw.sqlite_lib_version())
        self._why_read_only = None
        try:
            await self._writer.start()
        except (DiskFullFailure, UnwritableFailure) as failure:
            await self._open_for_reading(failure)

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` against one snapshot, on a connection that cannot write."""
        return await self._readers.read(work)

    async def write(
        self,
        work: Callable[[apsw.Connection], T],
        *,
        is_durable: bool = True,
        is_essential: bool = False,
    ) -> T:
        """Run `work` in a transaction; it may run more than once.

        Args:
            is_durable: acknowledge only what survives a power cut. Otherwise it
                survives the death of the process, and a power cut after a second.
            is_essential: tried even on a full disk, in the room of the reserve.

        Raises:
            StorageFailure: nothing of it is stored.
        """
        if (why := self._why_read_only) is not None:
            raise type(why)(why.message)
        value = await self._writer.write(
            work, is_durable=is_durable, is_essential=is_essential
        )
        for call in self._after_write:
            call()
        return value

    def after_write(self, call: Callable[[], None]) -> None:
        """Call it in the event loop whenever this process has written."""
        self._after_write.append(call)

    def listen(self, tell: Tell, *, on_ready: Callable[[Failure | None], None]) -> None:
        """Tell what changes in the file, whoever changes it, from `on_ready` on.

        Both are called in threads of the engine's, and must not block.
        """
        self._listener.start(tell, on_ready=on_ready)

    async def close(self) -> None:
        """Finish what waits, close the file; bounded, and safe to call twice."""
        # Begun before the first await: no cancellation can leave the threads behind.
        stopping = threading.Thread(target=self._stop, name="tina-closer", daemon=True)
        stopping.start()
        with anyio.move_on_after(CLOSE_TIMEOUT_S, shield=True):
            await anyio.to_thread.run_sync(stopping.join, abandon_on_cancel=True)

    def _stop(self) -> None:
        self._listener.stop()
        self._readers.stop()
        self._writer.stop()
        self._doorbell.close()
        self._checkpointer.stop()

    async def _open_for_reading(self, why: StorageFailure) -> None:
        self._why_read_only = why
        try:
            await self._readers.read(self._check_schema)
        except _REFUSALS:
            raise
        except StorageFailure as failure:
            # Why it cannot even be read says more, if that is a matter of permissions.
            is_telling = type(failure) is type(why) is UnwritableFailure
            raise (failure if is_telling else why) from failure.__cause__

    def _check_schema(self, connection: apsw.Connection) -> None:
        refuse_foreign(connection, self._path)
        prepare(connection, self._path)

    def _open_writer(self) -> apsw.Connection:
        try:
            connection = self._open_and_prepare()
        except DiskFullFailure:
            # Even opening takes a little room, for the log's index.
            self._room.ran_out()
            self._room.spend_reserve()
            connection = self._open_and_prepare()
        self._place.remember()
        self._reserve.prepare()
        connection.set_wal_hook(self._after_commit)
        return connection

    def _open_and_prepare(self) -> apsw.Connection:
        connection = open_writer(self._path)
        try:
            with self._health.judged(connection):
                prepare(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_checkpointer(self) -> apsw.Connection:
        self._place.check()
        return open_writer(self._path)

    def _open_reader(self) -> tuple[apsw.Connection, bool]:
        if self._why_read_only is not None:
            return open_reader_in_place(self._path)
        self._place.check()
        return open_reader(self._path), False

    def _close(self, connection: apsw.Connection) -> None:
        try:
            self._place.check()
        except UnwritableFailure:
            # SQLite would delete the log by its name, which may be another's by now.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        close(connection)

    def _after_commit(
        self, connection: apsw.Connection, schema: str, wal_pages: int
    ) -> int:
        self._checkpointer.ring(connection, wal_pages)
        return apsw.SQLITE_OK
