"""The one writer: a thread that commits the jobs of many tasks as one group.

Theory. Tasks put jobs into a queue; the thread takes all that wait, opens one
transaction, gives each job a savepoint and commits once. So a hundred writers share
one fsync, and a job that fails takes back only its own savepoint. A group is synced to
the disk (`synchronous = FULL`) when one of its jobs must survive a power cut, and at
least once a second while anything is written at all: a synced commit makes all earlier
ones durable with it, which bounds what a power cut can take from a running answer.

This module needs the event loop itself: results are handed over from a thread.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import apsw

from tina.database.sqlite import storage_failures
from tina.domain.failures import BusyFailure, ClosedFailure

T = TypeVar("T")

MAX_WAITING_JOBS = 10_000
MAX_GROUP = 512
SYNC_INTERVAL_S = 1.0


class _Job(Generic[T]):
    __slots__ = ("future", "is_durable", "loop", "work")

    def __init__(
        self, work: Callable[[apsw.Connection], T], *, is_durable: bool
    ) -> None:
        self.work = work
        self.is_durable = is_durable
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()


_Outcome = tuple[_Job[Any], Any, BaseException | None]


class Writer:
    """Runs jobs in one thread on one connection.

    Args:
        open_connection: called in the thread; its failure is `start`'s failure.
        monotonic: seconds from anywhere.
    """

    def __init__(
        self,
        path: Path,
        *,
        open_connection: Callable[[], apsw.Connection],
        monotonic: Callable[[], float],
    ) -> None:
        self._path = path
        self._open_connection = open_connection
        self._monotonic = monotonic
        self._jobs: queue.Queue[_Job[Any] | None] = queue.Queue(MAX_WAITING_JOBS)
        self._last_sync_s = float("-inf")
        self._thread: threading.Thread | None = None
        self._is_closed = False
        # So that no job can come behind the one that ends the thread.
        self._lock = threading.Lock()

    async def start(self) -> None:
        """Open the connection; jobs may follow.

        Raises:
            StorageFailure: the file cannot be used.
        """
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(
            target=self._run, args=(loop, opened), name="tina-writer", daemon=True
        )
        self._thread.start()
        await opened

    async def write(
        self, work: Callable[[apsw.Connection], T], *, is_durable: bool
    ) -> T:
        """Run `work` in a transaction of its own and commit it with its group.

        Cancelled while it waits, it is done whole or not at all.

        Raises:
            StorageFailure: nothing of it is stored.
            ClosedFailure: after `stop`.
        """
        job = _Job(work, is_durable=is_durable)
        try:
            with self._lock:
                if self._is_closed:
                    raise ClosedFailure("The database was closed.")
                self._jobs.put_nowait(job)
        except queue.Full:
            raise BusyFailure(
                f"{MAX_WAITING_JOBS} writes wait for the database already; try again."
            ) from None
        return await job.future

    def stop(self) -> None:
        """Finish what waits and close; blocks, so call it in a thread."""
        with self._lock:
            self._is_closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _run(
        self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[None]
    ) -> None:
        try:
            connection = self._open_connection()
        except Exception as error:  # noqa: BLE001
            # The supervisor's door: whatever it is belongs to whoever waits.
            _hand_over(loop, _settle_start, opened, error)
            return
        _hand_over(loop, _settle_start, opened, None)
        try:
            while (group := self._next_group()) is not None:
                self._deliver(self._commit(connection, group))
        finally:
            connection.close()

    def _next_group(self) -> list[_Job[Any]] | None:
        first = self._jobs.get()
        if first is None:
            return None
        group = [first]
        while len(group) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            group.append(job)
        return group

    def _commit(
        self, connection: apsw.Connection, group: list[_Job[Any]]
    ) -> list[_Outcome]:
        jobs = [job for job in group if not job.future.cancelled()]
        if not jobs:
            return []
        try:
            with storage_failures(self._path):
                return self._transact(connection, jobs)
        except Exception as error:  # noqa: BLE001
            # The supervisor's door: the thread lives on, every caller is told.
            return [(job, None, error) for job in jobs]

    def _transact(
        self, connection: apsw.Connection, jobs: list[_Job[Any]]
    ) -> list[_Outcome]:
        now_s = self._monotonic()
        is_synced = any(job.is_durable for job in jobs)
        is_synced = is_synced or now_s - self._last_sync_s >= SYNC_INTERVAL_S
        connection.execute(
            "PRAGMA synchronous = FULL" if is_synced else "PRAGMA synchronous = NORMAL"
        )
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._run_in_savepoint(connection, job) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
        if is_synced:
            self._last_sync_s = now_s
        return outcomes

    def _run_in_savepoint(
        self, connection: apsw.Connection, job: _Job[Any]
    ) -> _Outcome:
        connection.execute("SAVEPOINT job")
        try:
            with storage_failures(self._path):
                value = job.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # a full disk ends the whole transaction, so the group fails
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            # Not swallowed: it is raised where the job was asked for.
            return job, None, error
        connection.execute("RELEASE job")
        return job, value, None

    def _deliver(self, outcomes: list[_Outcome]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
        for outcome in outcomes:
            by_loop.setdefault(outcome[0].loop, []).append(outcome)
        for loop, of_loop in by_loop.items():
            _hand_over(loop, _settle, of_loop)


def _hand_over(
    loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object
) -> None:
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        # The loop was closed: nobody waits for the answer any more.
        return


def _settle_start(opened: asyncio.Future[None], error: Exception | None) -> None:
    if opened.done():
        return
    if error is None:
        opened.set_result(None)
    else:
        opened.set_exception(error)


def _settle(outcomes: list[_Outcome]) -> None:
    for job, value, error in outcomes:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)
