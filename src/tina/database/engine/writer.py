"""The one writer: a thread that commits the jobs of many tasks as one group.

Theory. Tasks put jobs into a queue; the thread takes all that wait and commits them at
once (`groups`). So a hundred writers share one transaction, one fsync and one crossing
back into the event loop.

This module needs the event loop itself: results are handed over from a thread.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import apsw

from tina.database.engine.groups import Groups, Job, Outcome
from tina.domain.failures import BusyFailure, ClosedFailure

T = TypeVar("T")

MAX_WAITING_JOBS = 10_000
MAX_GROUP = 512


class Writer:
    """Runs jobs in one thread on one connection.

    Args:
        open_connection: called in the thread; its failure is `start`'s failure.
        close_connection: called in the thread.
    """

    def __init__(
        self,
        groups: Groups,
        *,
        open_connection: Callable[[], apsw.Connection],
        close_connection: Callable[[apsw.Connection], None],
    ) -> None:
        self._groups = groups
        self._open_connection = open_connection
        self._close_connection = close_connection
        self._jobs: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
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
        self,
        work: Callable[[apsw.Connection], T],
        *,
        is_durable: bool,
        is_essential: bool,
    ) -> T:
        """Run `work` in a transaction of its own and commit it with its group.

        Cancelled while it waits, it is done whole or not at all.

        Raises:
            StorageFailure: nothing of it is stored.
            ClosedFailure: after `stop`.
        """
        job = Job(work, is_durable=is_durable, is_essential=is_essential)
        with self._lock:
            if self._is_closed:
                raise ClosedFailure("The database was closed.")
            if self._jobs.qsize() >= MAX_WAITING_JOBS:
                raise BusyFailure(
                    f"{MAX_WAITING_JOBS} writes wait for the database already; "
                    "try again."
                )
            self._jobs.put(job)
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
                jobs = [job for job in group if not job.future.cancelled()]
                if jobs:
                    _deliver(self._groups.commit(connection, jobs))
        finally:
            self._close_connection(connection)

    def _next_group(self) -> list[Job[Any]] | None:
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


def _deliver(outcomes: list[Outcome]) -> None:
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
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


def _settle(outcomes: list[Outcome]) -> None:
    for job, value, error in outcomes:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(value)
        else:
            job.future.set_exception(error)
