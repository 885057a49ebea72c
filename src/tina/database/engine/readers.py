"""Reader threads: each with a connection that cannot write.

This module needs the event loop itself: results are handed over from a thread.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from tina.database.engine.health import Health
from tina.database.engine.sqlite import close
from tina.domain.failures import BusyFailure, ClosedFailure

T = TypeVar("T")

MAX_WAITING_READS = 10_000

_Read = tuple[
    Callable[[apsw.Connection], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"
]


class Readers:
    """Runs reads, each in one snapshot. Threads start with the first read.

    Args:
        open_connection: called in a thread; a connection, and whether it is good for
            one read only.
    """

    def __init__(
        self,
        health: Health,
        *,
        open_connection: Callable[[], tuple[apsw.Connection, bool]],
        threads: int,
    ) -> None:
        self._health = health
        self._open_connection = open_connection
        self._most = threads
        self._reads: queue.SimpleQueue[_Read | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._is_closed = False
        # So that no read can come behind those that end the threads.
        self._lock = threading.Lock()

    async def read(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run `work` against one snapshot of the database.

        Raises:
            StorageFailure: it could not be read.
            ClosedFailure: after `stop`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._is_closed:
                raise ClosedFailure("The database was closed.")
            if self._reads.qsize() >= MAX_WAITING_READS:
                raise BusyFailure(
                    f"{MAX_WAITING_READS} reads wait for the database already; "
                    "try again."
                )
            self._reads.put((work, loop, future))
            self._busy += 1
            self._grow()
        try:
            return await future
        finally:
            self._busy -= 1

    def stop(self) -> None:
        """Finish what waits and close; blocks, so call it in a thread."""
        with self._lock:
            self._is_closed = True
        for _ in self._threads:
            self._reads.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _grow(self) -> None:
        if len(self._threads) < min(self._busy, self._most):
            thread = threading.Thread(target=self._run, name="tina-reader", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while (read := self._reads.get()) is not None:
            work, loop, future = read
            if future.cancelled():
                continue
            value, error, is_for_one_read = None, None, False
            try:
                with self._health.judged(connection):
                    if connection is None:
                        connection, is_for_one_read = self._open_connection()
                    value = _in_snapshot(connection, work)
            except Exception as caught:  # noqa: BLE001
                # The supervisor's door: the thread lives on, the caller is told.
                error = caught
            if connection is not None and is_for_one_read:
                close(connection)
                connection = None
            _hand_over(loop, future, value, error)
        if connection is not None:
            close(connection)


def _in_snapshot(
    connection: apsw.Connection, work: Callable[[apsw.Connection], T]
) -> T:
    connection.execute("BEGIN")
    try:
        return work(connection)
    finally:
        if connection.in_transaction:  # an I/O error ends it by itself
            connection.execute("COMMIT")


def _hand_over(
    loop: asyncio.AbstractEventLoop,
    future: "asyncio.Future[Any]",
    value: object,
    error: Exception | None,
) -> None:
    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        # The loop was closed: nobody waits for the answer any more.
        return
