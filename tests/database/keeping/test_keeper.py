"""Restore, check, repair and the state of the file, through the keeper."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from tests.database.keeping.test_upgrade import state_of
from tests.database.test_migrations import KEPT
from tina.database import Database
from tina.database.engine.sqlite import open_writer
from tina.database.files import filesystem
from tina.database.files.filesystem import log_of
from tina.database.keeping.keeper import DatabaseKeeper
from tina.database.leases import FileLeases
from tina.database.migrations import LATEST_VERSION
from tina.domain.conversations import NewConversation
from tina.domain.failures import (
    BusyFailure,
    DamagedFailure,
    DiskFullFailure,
    ForeignFileFailure,
    NewerFileFailure,
    NotFoundFailure,
)
from tina.domain.ids import LeaseId
from tina.domain.keeping import Backup, BackupKind, Difference
from tina.domain.queries import ListConversations
from tina.domain.turns import TurnStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of this version, with data."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(KEPT[0], home / "tina.db")
    anyio.run(keeper_of(home / "tina.db").migrate)
    return home / "tina.db"


def keeper_of(path: Path) -> DatabaseKeeper:
    leases = FileLeases(path.parent, ids=FakeIds())
    return DatabaseKeeper(path, leases=leases, clock=FakeClock())


def database_of(path: Path) -> Database:
    return Database(path, leases=path.parent, clock=FakeClock(), ids=FakeIds())


def change(path: Path, statements: str, **bindings: object) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statements, bindings or None)
    connection.close()


async def titles_of(path: Path) -> set[str]:
    database = database_of(path)
    try:
        await database.open()
        found = await database.conversations.list(ListConversations(limit=None))
    finally:
        await database.close()
    return {conversation.title for conversation in found}


async def add(path: Path, *titles: str) -> None:
    database = Database(
        path, leases=path.parent, clock=FakeClock(), ids=ids_of_others()
    )
    await database.open()
    for title in titles:
        await database.conversations.create(NewConversation(title=title))
    await database.close()


def ids_of_others() -> FakeIds:
    ids = FakeIds()
    for _ in range(10_000):  # behind those of the kept file
        ids.new()
    return ids


@pytest.fixture
async def backup(path: Path) -> Backup:
    return await keeper_of(path).back_up()


# --- restore ---


@pytest.mark.requirement("database:restore:previewed")
async def test_it_is_said_what_a_restore_would_change(
    path: Path, backup: Backup
) -> None:
    await add(path, *(f"New {number}" for number in range(12)))
    change(
        path,
        "PRAGMA foreign_keys = ON; DELETE FROM conversations WHERE title = 'Weather'",
    )

    preview = await keeper_of(path).preview(backup)

    assert preview.problem is None
    assert preview.lost is not None
    assert (preview.lost.conversations, preview.lost.messages) == (12, 0)
    assert preview.lost.titles == tuple(f"New {number}" for number in range(11, 1, -1))
    assert preview.regained == Difference(
        conversations=1, messages=4, titles=("Weather",)
    )


@pytest.mark.requirement("database:restore:keeps-the-present")
async def test_a_restored_backup_is_there_and_what_was_there_is_kept(
    path: Path, backup: Backup
) -> None:
    await add(path, "New")

    restored = await keeper_of(path).restore(backup)

    assert "New" not in await titles_of(path)
    assert restored.kept is not None
    kept = keeper_of(path).find_backup(Path(restored.kept).name)
    assert kept.kind is BackupKind.BEFORE_RESTORE
    await keeper_of(path).restore(kept)
    assert "New" in await titles_of(path)
    assert await keeper_of(path).check() == ()


async def test_a_restore_is_refused_while_others_have_the_file_open(
    path: Path, backup: Backup
) -> None:
    database = database_of(path)
    await database.open()
    before = path.read_bytes()

    with pytest.raises(BusyFailure, match="has the database"):
        await keeper_of(path).restore(backup)

    await database.close()
    assert path.read_bytes() == before


@pytest.mark.requirement("database:damaged:original-kept")
async def test_a_damaged_file_is_kept_whole_when_a_backup_is_restored(
    path: Path, backup: Backup
) -> None:
    damage(path)
    damaged = path.read_bytes()
    log_of(path).write_bytes(b"its log")

    preview = await keeper_of(path).preview(backup)
    restored = await keeper_of(path).restore(backup)

    assert preview.lost is None
    assert preview.problem is not None
    assert restored.kept is not None
    assert "damaged" in Path(restored.kept).name
    assert Path(restored.kept).read_bytes() == damaged
    assert log_of(Path(restored.kept)).read_bytes() == b"its log"
    assert "Fjords" in await titles_of(path)


def damage(path: Path) -> None:
    """Every page but the first: the file can be told to be Tina's, and no more."""
    content = path.read_bytes()
    path.write_bytes(content[:PAGE] + b"\xa5" * (len(content) - PAGE))


async def test_a_second_damaged_file_gets_another_name(
    path: Path, backup: Backup
) -> None:
    kept: set[str | None] = set()
    for _ in range(2):
        damage(path)
        kept.add((await keeper_of(path).restore(backup)).kept)

    assert len(kept) == 2


@pytest.mark.requirement("database:restore:with-its-log")
async def test_what_stands_in_the_log_of_a_copied_database_is_restored_too(
    path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "killed"
    other.mkdir()
    writer = open_writer(path)
    writer.execute("UPDATE conversations SET title = 'in the log'")
    for name in ("tina.db", "tina.db-wal"):
        shutil.copy(path.with_name(name), other / name)
    writer.execute("UPDATE conversations SET title = 'later'")
    writer.close()
    keeper = keeper_of(path)

    await keeper.restore(keeper.find_backup(str(other / "tina.db")))

    assert await titles_of(path) == {"in the log"}


async def test_a_lost_file_is_restored(path: Path, backup: Backup) -> None:
    path.unlink()

    preview = await keeper_of(path).preview(backup)
    restored = await keeper_of(path).restore(backup)

    assert (preview.lost, preview.regained, preview.problem) == (None, None, None)
    assert restored.kept is None
    assert "Fjords" in await titles_of(path)


async def test_a_lost_file_whose_log_is_left_is_restored_without_it(
    path: Path, backup: Backup
) -> None:
    path.unlink()
    log_of(path).write_bytes(b"what was not moved into the file yet")

    restored = await keeper_of(path).restore(backup)

    assert restored.kept is not None
    kept = log_of(Path(restored.kept)).read_bytes()
    assert kept == b"what was not moved into the file yet"
    assert "Fjords" in await titles_of(path)


def write_foreign(backup: Path) -> None:
    backup.unlink()
    change(backup, "CREATE TABLE notes (text)")


def write_newer(backup: Path) -> None:
    change(backup, "PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("spoil", "failure"),
    [
        (damage, DamagedFailure),
        (write_foreign, ForeignFileFailure),
        (write_newer, NewerFileFailure),
    ],
)
async def test_a_backup_that_cannot_be_used_changes_nothing(
    path: Path, backup: Backup, spoil: object, failure: type[Exception]
) -> None:
    assert callable(spoil)
    spoil(Path(backup.path))
    before = path.read_bytes()

    with pytest.raises(failure):
        await keeper_of(path).preview(backup)
    with pytest.raises(failure):
        await keeper_of(path).restore(backup)

    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.new"))


async def test_a_restore_without_room_changes_nothing(
    path: Path, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(path, "New")
    before = path.read_bytes()

    def free_bytes(_: Path) -> int:
        return 2 * backup.size_bytes - 1

    monkeypatch.setattr(filesystem, "free_bytes", free_bytes)

    with pytest.raises(DiskFullFailure, match="Restoring a backup needs"):
        await keeper_of(path).restore(backup)

    assert path.read_bytes() == before


async def test_an_older_backup_is_brought_up_to_date_when_it_is_opened(
    path: Path,
) -> None:
    older = keeper_of(path).backups()[0]
    assert older.kind is BackupKind.BEFORE_MIGRATION

    await keeper_of(path).restore(older)

    status = await keeper_of(path).status()
    assert status.schema_version == 1
    assert "Fjords" in await titles_of(path)
    assert (await keeper_of(path).status()).schema_version == LATEST_VERSION


# For n = 0, 1, 2, … a process is killed before its n-th step on files, until one lives.
KILLS = """
import os, shutil, signal, sys
from pathlib import Path
from tina.database.keeping.interruption import Stop
from tina.database.keeping.restoring import restore
from tina.domain.keeping import Backup
from tina.testing.clock import START

STEPS = {"open", "os.rename", "os.remove", "os.link", "shutil.copyfile"}

def restore_until(left, path, backup):
    def watch(event, arguments):
        nonlocal left
        if event in STEPS:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    restore(path, backup, now=START, stop=Stop())

old, source, folder = (Path(argument) for argument in sys.argv[1:4])
backup = Backup(
    name="x", kind=None, path=str(source), made_at=START, size_bytes=0
)
for number in range(int(sys.argv[4])):
    path = folder / str(number) / "tina.db"
    path.parent.mkdir(parents=True)
    shutil.copy(old, path)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            restore_until(number, path, backup)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
sys.exit("more steps than expected")
"""
MOST_STEPS = 200


@pytest.mark.parametrize("is_damaged", [False, True], ids=["whole", "damaged"])
@pytest.mark.requirement("database:restore:all-or-nothing")
async def test_a_restore_killed_at_any_step_leaves_the_old_or_the_new_file(
    path: Path, backup: Backup, tmp_path: Path, *, is_damaged: bool
) -> None:
    await add(path, "New")
    if is_damaged:
        damage(path)
    old, folder = path.read_bytes(), tmp_path / "kills"
    arguments = [str(path), backup.path, str(folder), str(MOST_STEPS)]

    subprocess.run([sys.executable, "-c", KILLS, *arguments], check=True, timeout=120)

    copies = [child / "tina.db" for child in folder.iterdir()]
    olds = [
        copy
        for copy in copies
        if (copy.read_bytes() == old if is_damaged else _has_new(copy))
    ]
    news = [copy for copy in copies if copy not in olds]
    assert len(olds) > 5
    assert len(news) >= 1
    assert {state_of(copy)[0] for copy in news} == {LATEST_VERSION}
    assert {state_of(copy)[2] for copy in news} == {11}


def _has_new(path: Path) -> bool:
    assert state_of(path)[0] == LATEST_VERSION
    connection = apsw.Connection(str(path))
    found = connection.execute("SELECT count(*) FROM conversations WHERE title = 'New'")
    count = found.get
    connection.close()
    return bool(count)


# --- restores that would cost the only copy of something ---


def before_restores(path: Path) -> set[str]:
    return {
        backup.name
        for backup in keeper_of(path).backups()
        if backup.kind is BackupKind.BEFORE_RESTORE
    }


@pytest.mark.requirement("database:restore:twice-is-once")
async def test_a_restore_that_is_repeated_does_nothing(
    path: Path, backup: Backup
) -> None:
    await add(path, "New")
    first = await keeper_of(path).restore(backup)
    place = os.stat(path).st_ino

    again = [await keeper_of(path).restore(backup) for _ in range(4)]
    preview = await keeper_of(path).preview(backup)

    assert first.is_changed
    assert {(done.is_changed, done.kept) for done in again} == {(False, None)}
    assert preview.changes_nothing
    assert os.stat(path).st_ino == place
    assert first.kept is not None
    assert before_restores(path) == {Path(first.kept).name}
    await keeper_of(path).restore(keeper_of(path).find_backup(first.kept))
    assert "New" in await titles_of(path)


@pytest.mark.requirement("database:restore:twice-is-once")
async def test_going_to_and_fro_needs_no_more_backups(
    path: Path, backup: Backup
) -> None:
    await add(path, "New")
    first = await keeper_of(path).restore(backup)
    assert first.kept is not None
    kept = keeper_of(path).find_backup(Path(first.kept).name)

    moves = [
        (await keeper_of(path).restore(wanted)).kept
        for wanted in (kept, backup, kept, backup, kept, backup)
    ]

    assert moves == [backup.path, kept.path] * 3
    assert before_restores(path) == {kept.name}


async def test_an_older_backup_that_is_restored_again_and_again_costs_nothing(
    path: Path,
) -> None:
    """Each time it is opened between it is brought up to date: two versions of it."""
    shutil.copy(KEPT[0], path.with_name("older.db"))
    older = keeper_of(path).find_backup(str(path.with_name("older.db")))
    await add(path, "New")
    first = await keeper_of(path).restore(older)

    for _ in range(5):
        assert "New" not in await titles_of(path)
        await keeper_of(path).restore(older)

    assert first.kept is not None
    assert Path(first.kept).name in before_restores(path)
    assert len(before_restores(path)) == 2


async def test_what_is_damaged_is_replaced_by_the_same(
    path: Path, backup: Backup
) -> None:
    change(path, "DROP TRIGGER messages_added")

    preview = await keeper_of(path).preview(backup)
    restored = await keeper_of(path).restore(backup)

    assert not preview.changes_nothing
    assert (restored.is_changed, restored.kept) == (True, backup.path)
    assert await keeper_of(path).check() == ()


async def test_a_backup_that_is_damaged_itself_keeps_nothing(
    path: Path, backup: Backup
) -> None:
    await add(path, "New")
    copy = await keeper_of(path).back_up()
    spoil_index(Path(copy.path))

    restored = await keeper_of(path).restore(backup)

    assert restored.kept not in {copy.path, None}


def spoil_index(path: Path) -> None:
    """What the rows themselves do not show."""
    connection = apsw.Connection(str(path))
    root = connection.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'conversations_listed'"
    ).get
    connection.close()
    content = bytearray(path.read_bytes())
    content[(root - 1) * PAGE : root * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)


async def test_what_is_damaged_where_no_row_shows_it_is_replaced(
    path: Path, backup: Backup
) -> None:
    spoil_index(path)

    preview = await keeper_of(path).preview(backup)
    restored = await keeper_of(path).restore(backup)

    assert not preview.changes_nothing
    assert restored.is_changed
    assert await keeper_of(path).check() == ()


async def test_a_database_without_conversations_is_not_kept(
    path: Path, backup: Backup
) -> None:
    change(path, "PRAGMA foreign_keys = ON; DELETE FROM conversations")

    restored = await keeper_of(path).restore(backup)

    assert restored.kept is None
    assert before_restores(path) == set()
    assert "Fjords" in await titles_of(path)


# --- an emptied file ---


@pytest.mark.requirement("database:emptied:refused")
async def test_an_emptied_file_is_refused_while_there_are_backups(
    path: Path, backup: Backup
) -> None:
    path.write_bytes(b"")
    keeper = keeper_of(path)

    for call in (
        partial(titles_of, path),
        keeper.check,
        keeper.repair,
        keeper.back_up,
        keeper.vacuum,
        keeper.migrate,
    ):
        with pytest.raises(DamagedFailure) as caught:
            await call()
        assert backup.name.removesuffix(".db") in caught.value.message
        assert "To begin anew, delete the empty file." in caught.value.message

    assert path.read_bytes() == b""


async def test_an_emptied_file_gives_way_to_a_backup(
    path: Path, backup: Backup
) -> None:
    path.write_bytes(b"")

    preview = await keeper_of(path).preview(backup)
    restored = await keeper_of(path).restore(backup)

    assert (preview.lost, preview.problem) == (None, None)
    assert restored.kept is None
    assert "Fjords" in await titles_of(path)


async def test_an_empty_file_without_backups_is_a_new_database(path: Path) -> None:
    shutil.rmtree(path.parent / "backups")
    path.write_bytes(b"")

    assert await keeper_of(path).check() == ()
    with pytest.raises(NotFoundFailure, match="nothing to back up yet"):
        await keeper_of(path).back_up()
    assert await titles_of(path) == set()


async def test_a_database_that_another_process_just_makes_is_no_emptied_one(
    path: Path, backup: Backup
) -> None:
    del backup
    content = path.read_bytes()
    path.write_bytes(b"")

    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, path.write_bytes, content)

        assert await keeper_of(path).check() == ()


# --- check and repair ---

WRONGS = [
    pytest.param(
        "UPDATE conversations SET message_count = 99 WHERE title = 'Fjords'",
        "wrong count of their messages: 1",
        id="count",
    ),
    pytest.param(
        "UPDATE conversations SET tip_id = zeroblob(16) WHERE title = 'Fjords'",
        "newest message is not known: 1",
        id="tip-that-is-gone",
    ),
    pytest.param(
        "UPDATE conversations SET tip_id = NULL WHERE title = 'Fjords'",
        "newest message is not known: 1",
        id="no-tip",
    ),
    pytest.param(
        "UPDATE conversations SET tip_id = zeroblob(16) WHERE title = 'Empty'",
        "newest message is not known: 1",
        id="tip-without-messages",
    ),
    pytest.param(
        "DROP TRIGGER messages_added",
        "the trigger messages_added is missing",
        id="trigger",
    ),
    pytest.param(
        "DELETE FROM search_backlog",
        "messages that no search would find: 9",
        id="forgotten-by-the-index",
    ),
    pytest.param(
        "INSERT INTO message_fts (rowid, text) SELECT rid, text FROM messages;"
        " DELETE FROM search_backlog;"
        " UPDATE message_fts_data SET block = x'0000' WHERE id > 10",
        "the search index is damaged",
        id="damaged-index",
    ),
]


@pytest.mark.parametrize(("statements", "sentence"), WRONGS)
@pytest.mark.requirement("database:repair:derived")
async def test_what_is_derived_is_checked_and_repaired(
    path: Path, statements: str, sentence: str
) -> None:
    assert await keeper_of(path).check() == ()
    change(path, statements)

    found = await keeper_of(path).check()
    repair = await keeper_of(path).repair()
    again = await keeper_of(path).check()

    assert len(found) == 1
    assert sentence in found[0]
    assert len(repair.mended) >= 1
    assert repair.original is None
    assert again == ()
    assert (await keeper_of(path).repair()).mended == ()


async def test_previews_are_repaired(path: Path) -> None:
    change(path, "UPDATE conversations SET preview = 'nonsense'")

    repair = await keeper_of(path).repair()

    connection = apsw.Connection(str(path))
    previews = dict(
        list(connection.execute("SELECT title, preview FROM conversations"))
    )
    connection.close()
    assert repair.mended == ("previews written anew: 4",)
    assert previews == {
        "Fjords": "Sognefjord, Geirangerfjord, Hardangerfjord.",
        "Weather": "Tomorrow it",
        "Cut off": "Tell a story.",
        "Empty": "",
    }


async def test_a_file_of_nothing_is_whole(path: Path) -> None:
    path.unlink()

    assert await keeper_of(path).check() == ()
    for call in (keeper_of(path).migrate, keeper_of(path).vacuum):
        with pytest.raises(NotFoundFailure, match="no database yet"):
            await call()


async def test_a_row_without_its_parent_is_found_and_repaired(path: Path) -> None:
    change(
        path,
        "PRAGMA foreign_keys = OFF; DELETE FROM conversations WHERE title = 'Fjords'",
    )

    problems = await keeper_of(path).check()
    repair = await keeper_of(path).repair()

    assert any("of messages has no conversations" in found for found in problems)
    assert repair.original is not None
    assert any("(recovered)" in sentence for sentence in repair.left_out)
    assert "(recovered)" in await titles_of(path)
    assert await keeper_of(path).check() == ()


@pytest.mark.requirement("database:damaged:repaired")
async def test_of_a_damaged_file_what_can_be_read_is_saved(
    path: Path, backup: Backup
) -> None:
    await add(path, *(f"Title {number}" * 20 for number in range(200)))
    content = bytearray(path.read_bytes())
    # A leaf in the middle, full of titles.
    at = content.index(b"Title 100Title") // PAGE * PAGE
    content[at : at + PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)

    with pytest.raises(DamagedFailure, match="tina db repair"):
        await keeper_of(path).check()
    repair = await keeper_of(path).repair()

    assert repair.original is not None
    assert Path(repair.original).read_bytes() == content
    assert repair.saved is not None
    assert 150 < repair.saved["conversations"] < 204
    assert repair.saved["messages"] == 11
    assert repair.newest_backup == backup
    assert {"Fjords", "Weather"} <= await titles_of(path)
    assert await keeper_of(path).check() == ()


async def test_a_damaged_file_names_the_backup_and_the_repair(
    path: Path, backup: Backup
) -> None:
    path.write_bytes(b"Dear diary, " * 1000)
    database = database_of(path)

    with pytest.raises(DamagedFailure) as caught:
        await database.open()

    await database.close()
    assert "`tina db repair`" in caught.value.message
    assert (
        f"`tina db restore {backup.name.removesuffix('.db')}`" in caught.value.message
    )


async def test_a_file_of_which_nothing_is_left_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(DamagedFailure):
        await keeper_of(path).repair()

    assert path.read_bytes() == b"Dear diary, " * 1000


async def test_an_older_file_is_repaired_as_it_is(path: Path) -> None:
    shutil.copy(KEPT[0], path)

    repair = await keeper_of(path).repair()

    assert repair.mended == ()
    assert state_of(path) == state_of(KEPT[0])


# --- vacuum and status ---


async def test_a_vacuum_gives_room_back(path: Path) -> None:
    await add(path, *("x" * 900 for _ in range(1000)))
    change(path, "DELETE FROM conversations WHERE title LIKE 'xx%'")

    vacuumed = await keeper_of(path).vacuum()

    assert vacuumed.after_bytes < vacuumed.before_bytes // 2
    assert path.stat().st_size == vacuumed.after_bytes
    assert await keeper_of(path).check() == ()


@pytest.fixture
def worker(path: Path) -> Iterator[tuple[int, LeaseId]]:
    """A process that holds a lease."""
    hold = (
        "import sys, anyio; from pathlib import Path;"
        "from tina.database.leases import FileLeases;"
        "from tina.testing.ids import FakeIds;"
        "leases = FileLeases(Path(sys.argv[1]), ids=FakeIds());"
        "print(anyio.run(leases.hold), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(path.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield process.pid, LeaseId(process.stdout.readline().strip())
    process.communicate()


async def test_the_status_says_what_is_there_and_who_works(
    path: Path, backup: Backup, worker: tuple[int, LeaseId]
) -> None:
    pid, lease_id = worker
    change(
        path,
        "UPDATE turns SET lease_id = :lease_id WHERE status = 'running'",
        lease_id=bytes.fromhex(lease_id),
    )
    change(path, "UPDATE conversations SET deleted_at = 1 WHERE title = 'Empty'")

    status = await keeper_of(path).status()

    assert status.problem is None
    assert (status.schema_version, status.is_sqlite_safe) == (LATEST_VERSION, True)
    assert status.size_bytes == path.stat().st_size
    assert status.contents is not None
    assert (status.contents.conversations, status.contents.messages) == (4, 11)
    assert (status.contents.deleted, status.contents.search_backlog) == (1, 9)
    (turn,) = status.contents.open_turns
    assert (turn.status, turn.is_alive, turn.pid) == (TurnStatus.RUNNING, True, pid)
    assert status.backups[0] == backup


async def test_a_dead_process_and_a_queued_turn_are_told(path: Path) -> None:
    keeper = keeper_of(path)
    dead = await keeper.status()
    change(
        path,
        "UPDATE turns SET status = 'queued', lease_id = NULL WHERE status = 'running'",
    )
    queued = await keeper.status()

    assert dead.contents is not None
    assert queued.contents is not None
    assert [turn.is_alive for turn in dead.contents.open_turns] == [False]
    assert [turn.status for turn in queued.contents.open_turns] == [TurnStatus.QUEUED]


async def test_the_status_of_any_file_is_told(path: Path) -> None:
    keeper = keeper_of(path)
    change(path, "UPDATE turns SET status = 'nonsense' WHERE status = 'running'")
    nonsense = await keeper.status()
    change(path, "PRAGMA user_version = 99")
    newer = await keeper.status()
    path.write_bytes(b"Dear diary, " * 1000)
    damaged = await keeper.status()
    path.write_bytes(b"")
    emptied = await keeper.status()
    shutil.rmtree(path.parent / "backups")
    empty = await keeper.status()
    path.unlink()
    missing = await keeper.status()

    assert "nonsense" in (nonsense.problem or "")
    assert "newer Tina" in (newer.problem or "")
    assert "tina db repair" in (damaged.problem or "")
    assert "is empty (0 bytes)" in (emptied.problem or "")
    assert (empty.problem, empty.schema_version) == (None, 0)
    assert (missing.exists, missing.problem, missing.contents) == (False, None, None)


async def test_the_status_of_a_file_that_is_being_changed_is_told(path: Path) -> None:
    keeper, other = keeper_of(path), keeper_of(path)

    async with other._lock.alone():  # pyright: ignore[reportPrivateUsage]
        # What a migration in another process holds.
        status = await keeper.status()

    assert "as a whole" in (status.problem or "")
    assert status.size_bytes > 0


async def test_a_file_keeps_its_place_while_it_is_only_looked_at(path: Path) -> None:
    before = os.stat(path).st_ino, path.read_bytes()

    await keeper_of(path).status()
    await keeper_of(path).check()

    assert (os.stat(path).st_ino, path.read_bytes()) == before
