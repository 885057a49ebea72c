"""Backups: whole or not there, three of a kind, and Tina goes on working meanwhile."""

import fcntl
import re
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from tests.database.keeping.test_upgrade import V1, state_of
from tina.database import Database
from tina.database.files import filesystem
from tina.database.files.backup_folder import KEPT, BackupFolder, parse_name
from tina.database.keeping import backups
from tina.database.keeping.backups import (
    holds_conversations,
    make_backup,
    make_copy,
    make_daily_backup,
)
from tina.database.keeping.interruption import Stop, StoppedError, run_in_thread
from tina.domain.conversations import NewConversation
from tina.domain.failures import (
    DamagedFailure,
    DiskFullFailure,
    ForeignFileFailure,
    InvalidInputFailure,
    NotFoundFailure,
    StorageFailure,
    UnwritableFailure,
)
from tina.domain.keeping import BackupKind
from tina.testing.clock import START, FakeClock
from tina.testing.ids import FakeIds

NOW = START


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tina.db"
    path.write_bytes(V1.read_bytes())
    return path


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(
        tmp_path / "tina.db", leases=tmp_path, clock=FakeClock(), ids=FakeIds()
    )
    await database.open()
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "daily-20260131T093000Z.db",
            (BackupKind.DAILY, datetime(2026, 1, 31, 9, 30, tzinfo=UTC), 1),
        ),
        (
            "before-migration-20260131T093000Z-12.db",
            (BackupKind.BEFORE_MIGRATION, datetime(2026, 1, 31, 9, 30, tzinfo=UTC), 12),
        ),
        ("daily-20261331T093000Z.db", None),
        ("weekly-20260131T093000Z.db", None),
        ("daily-20260131T093000Z.db.part", None),
        ("daily.lock", None),
        ("notes.txt", None),
    ],
)
def test_a_name_tells_kind_and_time(name: str, expected: object) -> None:
    assert parse_name(name) == expected


def test_a_backup_holds_what_the_database_holds(path: Path) -> None:
    backup = make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())

    copied = Path(backup.path)
    assert state_of(copied) == state_of(path)
    assert (backup.kind, backup.made_at) == (BackupKind.MANUAL, NOW)
    assert backup.size_bytes == copied.stat().st_size
    assert copied.stat().st_mode & 0o777 == 0o600
    assert [child.name for child in copied.parent.iterdir()] == [backup.name]


def test_three_of_each_kind_are_kept_the_newest(path: Path) -> None:
    for day in range(5):
        now = NOW + timedelta(days=day)
        make_backup(path, BackupKind.DAILY, now=now, stop=Stop())
        make_backup(path, BackupKind.MANUAL, now=now, stop=Stop())
    (path.parent / "backups" / "notes.txt").touch()

    kept = BackupFolder(path).list()

    assert KEPT == 3
    assert [backup.made_at.day for backup in kept] == [5, 5, 4, 4, 3, 3]
    assert {backup.kind for backup in kept} == {BackupKind.DAILY, BackupKind.MANUAL}
    newest = BackupFolder(path).newest(BackupKind.DAILY)
    assert newest is not None
    assert newest.made_at == NOW + timedelta(days=4)


@pytest.mark.anyio
@pytest.mark.requirement("database:backup:beside-writers")
async def test_a_backup_is_made_while_others_write(
    database: Database, path: Path
) -> None:
    del path
    await database.conversations.create(NewConversation(title="before"))
    done = anyio.Event()

    async def write() -> None:
        while not done.is_set():
            await database.conversations.create(NewConversation(title="meanwhile"))

    async def back_up() -> None:
        await run_in_thread(
            lambda stop: make_backup(
                database.path, BackupKind.MANUAL, now=NOW, stop=stop
            )
        )
        done.set()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            group.start_soon(back_up)

    (backup,) = BackupFolder(database.path).list()
    connection = apsw.Connection(backup.path)
    titles = {
        title for (title,) in connection.execute("SELECT title FROM conversations")
    }
    assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
    connection.close()
    assert "before" in titles


@pytest.mark.anyio
@pytest.mark.requirement("database:backup:whole-or-nothing")
async def test_a_backup_that_is_cancelled_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path, megabytes=30)
    begun = threading.Event()

    class Telling(Stop):
        def watch(self, connection: apsw.Connection) -> None:
            super().watch(connection)
            begun.set()

    monkeypatch.setattr("tina.database.keeping.interruption.Stop", Telling)

    async def back_up() -> None:
        await run_in_thread(
            lambda stop: make_backup(path, BackupKind.DAILY, now=NOW, stop=stop)
        )
        pytest.fail("it went on after it was cancelled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(back_up)
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()

    assert list((path.parent / "backups").iterdir()) == []


def fill(path: Path, *, megabytes: int) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("BEGIN; CREATE TABLE filling (x)")
    for _ in range(megabytes * 250):
        connection.execute("INSERT INTO filling VALUES (randomblob(4000))")
    connection.execute("COMMIT")
    connection.close()


def test_a_backup_that_was_stopped_before_it_began_leaves_nothing(path: Path) -> None:
    stop = Stop()
    stop.ask()

    with pytest.raises(StoppedError):
        make_backup(path, BackupKind.DAILY, now=NOW, stop=stop)

    assert list((path.parent / "backups").iterdir()) == []


def test_a_damaged_file_gives_no_backup(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:8192] + b"\xff" * 40_000)

    with pytest.raises(DamagedFailure):
        make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())

    assert list((path.parent / "backups").iterdir()) == []


def test_a_disk_without_room_is_told_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free_bytes(_: Path) -> int:
        return path.stat().st_size - 1

    monkeypatch.setattr(filesystem, "free_bytes", free_bytes)

    with pytest.raises(DiskFullFailure, match="A backup needs 1 MiB"):
        make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())


def test_a_file_in_place_of_the_folder_is_told(path: Path) -> None:
    (path.parent / "backups").touch()

    with pytest.raises(UnwritableFailure, match="backups cannot be written"):
        make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())
    assert BackupFolder(path).list() == ()


def test_a_copy_goes_where_a_person_wants_it(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.db"

    backup = make_copy(path, target, now=NOW, stop=Stop())

    assert (backup.path, backup.kind) == (str(target), None)
    assert state_of(target) == state_of(path)


def test_a_copy_into_a_folder_gets_a_usual_name(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()

    backup = make_copy(path, folder, now=NOW, stop=Stop())

    assert Path(backup.path).parent == folder
    assert re.fullmatch(r"manual-\d{8}T\d{6}Z\.db", backup.name)
    assert len(list(folder.iterdir())) == 1


def test_a_copy_replaces_nothing(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere.db"
    target.write_text("mine", encoding="utf-8")

    with pytest.raises(InvalidInputFailure, match="already"):
        make_copy(path, target, now=NOW, stop=Stop())
    with pytest.raises(UnwritableFailure):
        make_copy(path, tmp_path / "nowhere" / "x.db", now=NOW, stop=Stop())

    assert target.read_text(encoding="utf-8") == "mine"


def test_a_daily_backup_sweeps_what_killed_ones_left(path: Path) -> None:
    folder = path.parent / "backups"
    folder.mkdir()
    (folder / "daily-20251231T000000Z.db.part").touch()
    (folder / "manual-20251231T000000Z.db.part").touch()
    being_made = folder / "manual-20251231T000001Z.db.part"
    with being_made.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        backup = make_daily_backup(path, now=NOW, stop=Stop())

    assert backup is not None
    assert {child.name for child in folder.iterdir()} == {
        backup.name,
        being_made.name,
        "daily.lock",
    }


def test_backups_of_the_future_give_way_to_those_of_now(path: Path) -> None:
    folder = path.parent / "backups"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"manual-2099010{day}T000000Z.db").touch()

    made = [
        make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop()).name
        for _ in range(3)
    ]

    assert {child.name for child in folder.iterdir()} == set(made)


def test_two_processes_make_one_daily_backup(path: Path) -> None:
    folder = BackupFolder(path)
    folder.path.mkdir()

    with backups._one_at_a_time(folder) as is_first:  # pyright: ignore[reportPrivateUsage]
        # The other process.
        second = make_daily_backup(path, now=NOW, stop=Stop())

    assert is_first
    assert second is None
    assert folder.list() == ()


def test_a_backup_is_found_by_name_or_path(path: Path) -> None:
    backup = make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())
    folder = BackupFolder(path)

    assert folder.find(backup.name) == backup
    assert folder.find(backup.name.removesuffix(".db")) == backup
    assert folder.find(str(path)).path == str(path)
    with pytest.raises(NotFoundFailure, match="tina db restore"):
        folder.find("nonsense")


def test_names_that_others_take_meanwhile_are_passed_over(path: Path) -> None:
    (path.parent / "backups").mkdir()
    (path.parent / "backups" / "manual-20260101T000000Z.db.part").touch()

    backup = make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())

    assert backup.name == "manual-20260101T000000Z-2.db"


def test_a_hundred_names_that_are_taken_are_enough(path: Path) -> None:
    folder = BackupFolder(path)
    folder.path.mkdir()
    for name in folder.free_names(BackupKind.MANUAL, NOW):
        (folder.path / f"{name}.part").touch()

    with pytest.raises(StorageFailure, match="a hundred"):
        make_backup(path, BackupKind.MANUAL, now=NOW, stop=Stop())


# --- what is not backed up, since a backup removes an older one ---


def change(path: Path, statements: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statements)
    connection.close()


@pytest.fixture
def kept(path: Path) -> tuple[Path, ...]:
    """Three daily backups that hold something."""
    for day in range(3):
        now = NOW + timedelta(days=day)
        make_backup(path, BackupKind.DAILY, now=now, stop=Stop())
    return tuple(sorted((path.parent / "backups").iterdir()))


@pytest.mark.parametrize("has_log", [False, True])
@pytest.mark.requirement("database:backup:only-of-something")
def test_a_file_of_another_program_removes_no_backup(
    path: Path, kept: tuple[Path, ...], *, has_log: bool
) -> None:
    path.unlink()
    foreign = apsw.Connection(str(path))
    if has_log:
        foreign.pragma("journal_mode", "WAL")
    foreign.execute("CREATE TABLE notes (text)")
    later = NOW + timedelta(days=9)

    with pytest.raises(ForeignFileFailure, match="another program"):
        make_backup(path, BackupKind.DAILY, now=later, stop=Stop())
    with pytest.raises(ForeignFileFailure, match="another program"):
        make_copy(path, path.with_name("x.db"), now=later, stop=Stop())
    with pytest.raises(ForeignFileFailure):
        make_daily_backup(path, now=later, stop=Stop())

    foreign.close()
    found = sorted((path.parent / "backups").iterdir())
    assert tuple(child for child in found if child.name != "daily.lock") == kept
    assert not path.with_name("x.db").exists()


@pytest.mark.requirement("database:backup:only-of-something")
def test_a_database_without_conversations_removes_no_backup(
    path: Path, kept: tuple[Path, ...]
) -> None:
    change(path, "PRAGMA foreign_keys = ON; DELETE FROM conversations")

    made = make_daily_backup(path, now=NOW + timedelta(days=9), stop=Stop())

    assert made is None
    assert tuple(sorted((path.parent / "backups").iterdir())) == kept


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("SELECT 1", True),
        ("DELETE FROM messages", True),
        ("PRAGMA foreign_keys = OFF; DELETE FROM conversations", True),
        ("PRAGMA foreign_keys = ON; DELETE FROM conversations", False),
        ("PRAGMA user_version = 99; DELETE FROM conversations", True),
        ("DROP TABLE conversations", True),
    ],
)
def test_what_may_hold_something_counts_as_something(
    path: Path, statements: str, *, expected: bool
) -> None:
    change(path, statements)

    assert holds_conversations(path, stop=Stop()) is expected


def test_an_empty_file_holds_nothing(path: Path) -> None:
    path.write_bytes(b"")

    assert not holds_conversations(path, stop=Stop())


def test_a_damaged_file_is_not_taken_for_an_empty_one(path: Path) -> None:
    change(path, "PRAGMA foreign_keys = ON; DELETE FROM conversations")
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xa5" * 4096
    path.write_bytes(content)

    with pytest.raises(DamagedFailure, match="tina db repair"):
        holds_conversations(path, stop=Stop())
