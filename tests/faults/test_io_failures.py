"""The n-th call to the system fails, for every n of a session and every kind of call.

Nothing that was acknowledged is lost or changed, whoever met the fault gets a failure
in Tina's words within a second, what failed is not stored in part, and the same
database goes on as soon as the disk does.
"""

import errno
import threading
import time
from collections.abc import Awaitable, Iterator
from enum import Enum, auto
from pathlib import Path

import anyio
import pytest

from tests.conftest import list_descriptors
from tests.faults.disk import FAULTS, Fault, FaultyDisk
from tests.faults.story import REOPEN, Author, Everything, Step, read_everything
from tests.faults.vfs import disk_beneath
from tina.database import Database
from tina.database.engine import checkpointer
from tina.domain.failures import DiskFullFailure, StorageFailure, UnwritableFailure
from tina.testing.clock import FakeClock
from tina.testing.memory import MemoryDatabase

pytestmark = pytest.mark.anyio

LONG_TEXT = "It was a dark and stormy night. " * 200
CHECKPOINT_PAGES = 20
"""So small that the log is moved into the file in the middle of the session."""
PATIENCE_S = 3.0
"""Of the engine's clock: when it looks again whether the disk is full."""
SLOWEST_S = 3.0
"""Promised is one; a machine with other work may stall. SQLite's own patience with
another process, which must not be what is waited for, would be five."""
GIVE_UP_S = 30.0
LASTING_FAULTS = 20
"""So many of the calls of one kind are the first of a disk that stays broken."""
ALIKE = ("write-full-half", "write-quota", "write-broken-half")
"""Every third call fails like this: every call fails as `write-full` and the like."""
SQLITE_DOES_WITHOUT = (
    "delete-broken",
    "delete-refused",
    "truncate-broken",
    "unlock-broken",
)
"""Nobody need be told: an old log is only in the way."""


class AfterIt(Enum):
    """How it goes on after the first failure."""

    IT_WORKS_AGAIN = auto()
    WE_GO_ON = auto()
    """It stays broken until somebody was told; then it is mended."""
    WE_GIVE_UP = auto()
    """It stays broken, and the database is closed on it."""


def session(author: Author) -> Iterator[Step]:
    """What is done, in order; each step is made when the one before is stored."""
    first, step = author.create("First")
    yield step
    running, step = author.begin(first, "What is a fjord?")
    yield step
    yield author.append(running)
    yield author.append(running)
    second, step = author.create("Second")
    yield step
    other, step = author.begin(second, LONG_TEXT)
    yield step
    yield author.append(running, other)
    yield author.fold(running)
    yield author.append(running, words=200)
    yield author.settle(running, LONG_TEXT)
    yield REOPEN
    yield author.append(other)
    yield author.call_tool(other)
    yield author.rename(first, "Renamed")
    yield author.request_stop(other)
    yield author.settle(other, "Because of the ice.")
    again, step = author.begin(first, "Why?")
    yield step
    yield author.append(again)


class Sitting:
    """One session on one disk, with the model of what was acknowledged.

    Attributes:
        failures: what was raised, oldest first.
        slowest_s: the longest that any call took.
    """

    def __init__(self, folder: Path, disk: FaultyDisk) -> None:
        self._folder, self._disk = folder, disk
        self._clock = FakeClock()
        self._author = Author(self._clock)
        self._model = MemoryDatabase(clock=self._clock, ids=self._author.ids)
        self._database = self._new_database()
        self._in_doubt: Step | None = None
        """Failed, and nothing was stored after it."""
        self.failures: list[StorageFailure] = []
        self.slowest_s = 0.0

    async def run(self) -> None:
        await self._open()
        for step in session(self._author):
            self._clock.advance(0.4)
            if step is REOPEN:
                await self._try(self._database.close())
                await self._open()
            else:
                await self._take(step)
        await self._try(self._database.close())

    async def run_until_it_fails(self) -> None:
        """Close the database on the broken disk, as a person would."""
        try:
            await self._database.open()
            for step in session(self._author):
                self._clock.advance(0.4)
                if step is REOPEN:
                    await self._database.close()
                    self._database = self._new_database()
                    await self._database.open()
                else:
                    self._in_doubt = step
                    await step.act(self._database)
                    self._in_doubt = None
                    await step.act(self._model)
        except StorageFailure as failure:
            self.failures.append(failure)
        await self._try(self._database.close())

    async def look_after(self) -> None:
        """On a disk that works: all that was acknowledged is there, nothing is left."""
        assert open_files(self._folder) == []
        assert tina_threads() == []
        database = self._new_database()
        await database.open()
        assert await database.check() == ()
        found = await read_everything(database)
        if self._in_doubt is not None and found != await self._expected():
            # Written, but the sync failed: what was refused may be there, as a whole.
            await self._in_doubt.act(self._model)
        assert found == await self._expected()
        await database.close()

    def _new_database(self) -> Database:
        return Database(
            self._folder / "tina.db",
            leases=self._folder,
            clock=self._clock,
            ids=self._author.ids,
        )

    async def _open(self) -> None:
        self._database = self._new_database()
        if await self._try(self._database.open()) and not self._database.is_read_only:
            return
        await self._try(self._database.close())
        self._disk.heal()
        self._database = self._new_database()
        await self._database.open()
        assert not self._database.is_read_only

    async def _take(self, step: Step) -> None:
        if not await self._try(step.act(self._database)):
            self._disk.heal()
            self._clock.advance(PATIENCE_S)
            assert await read_everything(self._database) == await self._expected()
            await step.act(self._database)
        await step.act(self._model)

    async def _try(self, call: Awaitable[object]) -> bool:
        begun_s = time.perf_counter()
        try:
            await call
        except StorageFailure as failure:
            self.failures.append(failure)
            return False
        finally:
            self.slowest_s = max(self.slowest_s, time.perf_counter() - begun_s)
        return True

    async def _expected(self) -> Everything:
        return await read_everything(self._model)


def open_files(folder: Path) -> list[str]:
    return [
        path for path in list_descriptors().values() if path.startswith(str(folder))
    ]


def tina_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("tina-")]


@pytest.fixture(autouse=True)
def small_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "WAL_PAGES", CHECKPOINT_PAGES)
    monkeypatch.setattr(checkpointer, "FLOOD_PAGES", CHECKPOINT_PAGES)


async def calls_of_a_whole_session(folder: Path) -> FaultyDisk:
    disk = FaultyDisk()
    with disk_beneath(disk):
        sitting = Sitting(folder, disk)
        await sitting.run()
    assert sitting.failures == []
    await sitting.look_after()
    return disk


async def failures_of_sessions(
    name: str, numbers: range, folder: Path, after_it: AfterIt
) -> list[StorageFailure]:
    """Of one session for each number: the call of that number is the one to fail."""
    failures: list[StorageFailure] = []
    for number in numbers:
        place = folder / str(number)
        place.mkdir()
        disk = FaultyDisk(
            FAULTS[name], at=number, is_lasting=after_it is not AfterIt.IT_WORKS_AGAIN
        )
        sitting = Sitting(place, disk)
        with anyio.fail_after(GIVE_UP_S), disk_beneath(disk):
            if after_it is AfterIt.WE_GIVE_UP:
                await sitting.run_until_it_fails()
            else:
                await sitting.run()
        await sitting.look_after()
        assert disk.struck > 0
        assert sitting.slowest_s < SLOWEST_S
        failures += sitting.failures
    return failures


def told_as(fault: Fault) -> type[StorageFailure]:
    """What a person is told, where SQLite cannot do without the call."""
    if fault.errno in {errno.ENOSPC, errno.EDQUOT} and fault.kind != "open":
        return DiskFullFailure
    return UnwritableFailure if fault.kind in {"open", "path"} else StorageFailure


@pytest.mark.requirement("disk:fails:nothing-lost")
@pytest.mark.parametrize("name", FAULTS)
async def test_whichever_call_fails_once_nothing_is_lost(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = await calls_of_a_whole_session(tmp_path / "whole")
    calls = range(1, whole.counts[FAULTS[name].kind] + 1, 3 if name in ALIKE else 1)

    failures = await failures_of_sessions(name, calls, tmp_path, AfterIt.IT_WORKS_AGAIN)

    assert len(calls) > 0
    if name not in SQLITE_DOES_WITHOUT:
        assert told_as(FAULTS[name]) in {type(failure) for failure in failures}


@pytest.mark.requirement("disk:fails:nothing-lost")
@pytest.mark.parametrize("after_it", [AfterIt.WE_GO_ON, AfterIt.WE_GIVE_UP])
@pytest.mark.parametrize("name", FAULTS)
async def test_a_disk_that_stays_broken_takes_nothing_with_it(
    name: str, after_it: AfterIt, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = await calls_of_a_whole_session(tmp_path / "whole")
    count = whole.counts[FAULTS[name].kind]
    calls = range(1, count + 1, 1 + count // LASTING_FAULTS)

    failures = await failures_of_sessions(name, calls, tmp_path, after_it)

    assert len(calls) > 0
    if name not in SQLITE_DOES_WITHOUT:
        assert failures
