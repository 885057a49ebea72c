"""The daily work: a backup when one is due, and the removal of what is long deleted."""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from tests.database.keeping.test_backups import fill
from tests.database.test_migrations import KEPT
from tina.database import Database
from tina.database.files.backup_folder import BackupFolder
from tina.database.keeping import upkeep as upkeep_module
from tina.database.keeping.interruption import STOP_LIMIT_S, Stop
from tina.database.keeping.upkeep import BACKUP_AGE, LOOK_INTERVAL_S
from tina.domain.conversations import (
    KEPT_AFTER_DELETION,
    ConversationChange,
    NewConversation,
    Shelf,
)
from tina.domain.events import TextDelta
from tina.domain.ids import ConversationId, MessageId
from tina.domain.keeping import BackupKind
from tina.domain.queries import ListConversations
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def database(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Database]:
    """One with messages."""
    path = tmp_path / "tina.db"
    path.write_bytes(KEPT[0].read_bytes())
    database = Database(path, leases=tmp_path, clock=clock, ids=FakeIds())
    await database.open()
    yield database
    await database.close()


def daily(database: Database) -> list[str]:
    backups = BackupFolder(database.path).list()
    return [backup.name for backup in backups if backup.kind is BackupKind.DAILY]


@pytest.mark.requirement("database:backup:daily")
async def test_a_backup_is_made_once_a_day(
    database: Database, clock: FakeClock
) -> None:
    first = await database.upkeep.run_once()
    clock.advance((BACKUP_AGE - timedelta(seconds=1)).total_seconds())
    second = await database.upkeep.run_once()
    clock.advance(1)
    third = await database.upkeep.run_once()

    assert first is not None
    assert second is None
    assert third is not None
    assert daily(database) == [third.name, first.name]


@pytest.mark.requirement("database:backup:daily")
async def test_who_leaves_makes_the_backup_that_nobody_made(
    database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.advance(10 * BACKUP_AGE.total_seconds())
    with monkeypatch.context() as context:
        context.setattr(upkeep_module, "QUICK_BYTES", 1000)
        too_large = await database.upkeep.catch_up()
    overdue = await database.upkeep.catch_up()
    done = await database.upkeep.catch_up()
    clock.advance(BACKUP_AGE.total_seconds())
    next_day = await database.upkeep.catch_up()

    assert (too_large, done) == (None, None)
    assert overdue is not None
    assert next_day is not None
    assert daily(database) == [next_day.name, overdue.name]


async def test_the_first_day_needs_no_backup_on_leaving(tmp_path: Path) -> None:
    clock = FakeClock()
    database = Database(
        tmp_path / "tina.db", leases=tmp_path, clock=clock, ids=FakeIds()
    )
    await database.open()
    before = await database.upkeep.catch_up()
    await write(database)
    on_the_first_day = await database.upkeep.catch_up()

    await database.close()
    assert (before, on_the_first_day) == (None, None)


async def test_nothing_to_keep_needs_no_backup(tmp_path: Path) -> None:
    database = Database(
        tmp_path / "tina.db", leases=tmp_path, clock=FakeClock(), ids=FakeIds()
    )
    await database.open()
    await database.conversations.create(NewConversation(title="Empty"))

    assert await database.upkeep.run_once() is None

    await database.close()
    assert not (tmp_path / "backups").exists()


async def test_a_backup_of_the_future_stops_no_others(
    database: Database, clock: FakeClock
) -> None:
    clock.advance(5 * 86_400)
    await database.upkeep.run_once()
    clock.advance(-5 * 86_400)

    assert await database.upkeep.run_once() is not None


@pytest.mark.requirement("database:purge:after-a-month")
async def test_what_was_deleted_long_ago_is_removed_for_good(
    database: Database, clock: FakeClock
) -> None:
    listed = await database.conversations.list(ListConversations(limit=None))
    fjords = next(found for found in listed if found.title == "Fjords")
    weather = next(found for found in listed if found.title == "Weather")
    for conversation, days in ((fjords, 0), (weather, 1)):
        deleted_at = clock.now() + timedelta(days=days)
        await database.conversations.change(
            conversation.id, ConversationChange(deleted_at=deleted_at)
        )
    clock.advance(KEPT_AFTER_DELETION.total_seconds() + 1)

    await database.upkeep.run_once()

    shelf = await database.conversations.list(ListConversations(shelf=Shelf.DELETED))
    assert [conversation.title for conversation in shelf] == ["Weather"]
    assert await database.messages.list(fjords.id) == ()
    assert len(await database.messages.list(weather.id)) == 4
    assert await database.check() == ()


async def test_a_purge_says_how_many_it_took(
    database: Database, clock: FakeClock
) -> None:
    for conversation in await database.conversations.list(ListConversations()):
        await database.conversations.change(
            conversation.id, ConversationChange(deleted_at=clock.now())
        )

    purged = await database.upkeep.purge(clock.now() + timedelta(seconds=1))

    assert purged == 4
    assert await database.upkeep.purge(clock.now()) == 0


async def until(condition: Callable[[], bool], database: Database) -> None:
    """Give the work in other threads the time it needs."""
    while not condition():
        await database.conversations.get(ConversationId("0" * 32))


async def write(database: Database) -> None:
    await database.journal.append({MessageId("0" * 32): [TextDelta("text", "Ice")]})


async def write_a_little(database: Database) -> None:
    """And let whoever waits for a write do what it does then."""
    for _ in range(3):
        await write(database)
        await anyio.wait_all_tasks_blocked()


async def test_it_looks_again_when_something_is_written_an_hour_later(
    database: Database, clock: FakeClock
) -> None:
    too_early = 0
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(database.upkeep.run)
            await until(lambda: len(daily(database)) == 1, database)
            await write_a_little(database)
            clock.advance(LOOK_INTERVAL_S - 1)
            await write_a_little(database)
            too_early = len(daily(database))
            clock.advance(BACKUP_AGE.total_seconds())
            await write(database)
            await until(lambda: len(daily(database)) == 2, database)
            group.cancel_scope.cancel()

    assert too_early == 1


async def test_a_day_that_fails_is_logged_and_the_next_one_comes(
    database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    folder = database.path.parent / "backups"
    (folder / "daily.lock").mkdir()

    with anyio.fail_after(10), caplog.at_level(logging.ERROR, "tina"):
        async with anyio.create_task_group() as group:
            group.start_soon(database.upkeep.run)
            await until(lambda: bool(caplog.records), database)
            await write_a_little(database)
            (folder / "daily.lock").rmdir()
            clock.advance(LOOK_INTERVAL_S)
            await write(database)
            await until(lambda: len(daily(database)) == 1, database)
            group.cancel_scope.cancel()

    assert [record.message for record in caplog.records] == ["upkeep_failed"]


async def test_it_ends_with_the_database(database: Database, clock: FakeClock) -> None:
    await database.close()

    with anyio.fail_after(5):
        await database.upkeep.run()

    assert clock.slept == [1.0]


@pytest.mark.requirement("database:backup:whole-or-nothing")
async def test_whoever_closes_does_not_wait_for_the_backup(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database.path, megabytes=30)
    begun = threading.Event()

    class Telling(Stop):
        def watch(self, connection: apsw.Connection) -> None:
            super().watch(connection)
            begun.set()

    monkeypatch.setattr("tina.database.keeping.interruption.Stop", Telling)

    with anyio.fail_after(STOP_LIMIT_S + 3):
        async with anyio.create_task_group() as group:
            group.start_soon(database.upkeep.run)
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()

    left = {path.name for path in (database.path.parent / "backups").iterdir()}
    assert daily(database) == []
    assert not any(name.endswith(".part") for name in left)
