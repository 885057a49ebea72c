"""Commits the jobs of many tasks as one transaction; used by the writer's thread alone.

Theory. Each job has a savepoint, so one that fails takes back only its own writes. A
group is synced to the disk (`synchronous = FULL`) when one of its jobs must survive a
power cut, and at least once a second while anything is written at all: a synced commit
makes all earlier ones durable with it, which bounds what a power cut can take from a
running answer.

When the disk is full, SQLite takes back the whole group. Its essential jobs are then
run once more, in the room that the reserve gives up. So the work of a job may run more
than once; it has no effect outside its connection.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import apsw

from tina.database.engine.health import Health
from tina.database.engine.place import Place
from tina.database.engine.room import Room
from tina.database.live.changes import ChangeFeed
from tina.domain.failures import DiskFullFailure

T = TypeVar("T")

SYNC_INTERVAL_S = 1.0


class Job(Generic[T]):
    """One piece of work, and where its outcome is waited for."""

    __slots__ = ("future", "is_durable", "is_essential", "loop", "work")

    def __init__(
        self,
        work: Callable[[apsw.Connection], T],
        *,
        is_durable: bool,
        is_essential: bool,
    ) -> None:
        self.work = work
        self.is_durable = is_durable
        self.is_essential = is_essential
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()


Outcome = tuple[Job[Any], Any, BaseException | None]


class Groups:
    """Runs groups of jobs on one connection.

    Args:
        monotonic: seconds from anywhere.
    """

    def __init__(
        self,
        *,
        health: Health,
        place: Place,
        room: Room,
        feed: ChangeFeed,
        monotonic: Callable[[], float],
    ) -> None:
        self._health = health
        self._place = place
        self._room = room
        self._feed = feed
        self._monotonic = monotonic
        self._last_sync_s = float("-inf")

    def commit(
        self, connection: apsw.Connection, jobs: Sequence[Job[Any]]
    ) -> list[Outcome]:
        """Run the jobs and commit them; never raises an `Exception`.

        Returns:
            One outcome for each job, in any order: its value, or why it is not stored.
        """
        if not self._room.is_full():
            try:
                return self._try(connection, jobs)
            except DiskFullFailure:
                self._room.ran_out()
        return self._commit_essentials(connection, jobs)

    def _commit_essentials(
        self, connection: apsw.Connection, jobs: Sequence[Job[Any]]
    ) -> list[Outcome]:
        essential = [job for job in jobs if job.is_essential]
        others = [job for job in jobs if not job.is_essential]
        failure = self._health.full()
        outcomes = _fail(others, failure)
        if not essential:
            return outcomes
        try:
            return outcomes + self._try(connection, essential)
        except DiskFullFailure:
            self._room.ran_out()
        self._room.spend_reserve()
        try:
            return outcomes + self._try(connection, essential)
        except DiskFullFailure:
            self._room.ran_out()
        return outcomes + _fail(essential, failure)

    def _try(
        self, connection: apsw.Connection, jobs: Sequence[Job[Any]]
    ) -> list[Outcome]:
        """Commit, or fail all of them alike; raises `DiskFullFailure` only."""
        try:
            self._health.check()
            return self._transact(connection, jobs)
        except apsw.Error as error:
            failure = self._health.judge(error, connection)
            if isinstance(failure, DiskFullFailure):
                raise failure from error
            return _fail(jobs, failure)
        except Exception as error:  # noqa: BLE001
            # The supervisor's door: the thread lives on, every caller is told.
            return _fail(jobs, error)

    def _transact(
        self, connection: apsw.Connection, jobs: Sequence[Job[Any]]
    ) -> list[Outcome]:
        now_s = self._monotonic()
        is_synced = any(job.is_durable for job in jobs)
        is_synced = is_synced or now_s - self._last_sync_s >= SYNC_INTERVAL_S
        connection.execute(
            "PRAGMA synchronous = FULL" if is_synced else "PRAGMA synchronous = NORMAL"
        )
        connection.execute("BEGIN IMMEDIATE")
        try:
            outcomes = [self._run_in_savepoint(connection, job) for job in jobs]
            if is_synced:
                self._place.check()
            with self._feed.committing(connection):
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite may have rolled back by itself
                connection.execute("ROLLBACK")
            raise
        if is_synced:
            self._last_sync_s = now_s
        return outcomes

    def _run_in_savepoint(self, connection: apsw.Connection, job: Job[Any]) -> Outcome:
        connection.execute("SAVEPOINT job")
        outcome: Outcome
        try:
            outcome = job, job.work(connection), None
        except apsw.Error as error:
            failure = self._health.judge(error, connection)
            if isinstance(failure, DiskFullFailure) or not connection.in_transaction:
                raise  # it ends the whole transaction, so the group fails
            outcome = job, None, failure
        except Exception as error:
            if not connection.in_transaction:
                raise
            # Not swallowed: it is raised where the job was asked for.
            outcome = job, None, error
        if outcome[2] is not None:
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return outcome


def _fail(jobs: Sequence[Job[Any]], error: Exception) -> list[Outcome]:
    return [(job, None, error) for job in jobs]
