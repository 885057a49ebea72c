"""Which libraries and files are refused, and that refused files stay as they are."""

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tina.database import Database
from tina.database.engine.sqlite import (
    check_library,
    has_wal_reset_bug,
    open_writer,
)
from tina.database.migrations import LATEST_VERSION
from tina.domain.conversations import NewConversation
from tina.domain.failures import (
    BusyFailure,
    DamagedFailure,
    DiskFullFailure,
    ForeignFileFailure,
    NewerFileFailure,
    UnsupportedSqliteFailure,
    UnwritableFailure,
)
from tina.domain.queries import ListConversations
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds


@pytest.mark.parametrize(
    ("version", "is_refused"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 54, 1), False),
    ],
)
def test_versions_with_the_wal_reset_bug_are_known(
    version: tuple[int, int, int], is_refused: bool
) -> None:
    assert has_wal_reset_bug(version) is is_refused


def test_a_sqlite_that_corrupts_files_is_refused() -> None:
    check_library(apsw.sqlite_lib_version())

    with pytest.raises(UnsupportedSqliteFailure, match=r"3\.40\.1"):
        check_library("3.40.1")


def make_database(path: Path) -> Database:
    return Database(path, leases=path.parent, clock=FakeClock(), ids=FakeIds())


async def open_and_close(path: Path) -> None:
    database = make_database(path)
    try:
        await database.open()
    finally:
        await database.close()


def write_foreign(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')")
    connection.close()


def write_marked(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("application_id", 7)
    connection.close()


@pytest.mark.anyio
@pytest.mark.parametrize("write", [write_foreign, write_marked])
async def test_a_foreign_database_is_refused_and_untouched(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    path = tmp_path / "tina.db"
    write(path)
    before = path.read_bytes()

    with pytest.raises(ForeignFileFailure, match="another program"):
        await open_and_close(path)

    assert path.read_bytes() == before
    names = {child.name for child in tmp_path.iterdir()}
    assert names == {"tina.db", "tina.db.lock"}


@pytest.mark.anyio
async def test_a_file_that_is_no_database_is_refused_and_untouched(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tina.db"
    path.write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(DamagedFailure, match="left it as it is"):
        await open_and_close(path)

    assert path.read_bytes() == b"Dear diary, " * 1000


@pytest.mark.anyio
async def test_a_damaged_file_is_told_by_a_check(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"
    database = make_database(path)
    await database.open()
    for number in range(300):
        await database.conversations.create(NewConversation(title=f"{number}" * 50))
    await database.close()
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096)

    damaged = make_database(path)
    await damaged.open()
    try:
        problems = await damaged.check()
    except DamagedFailure as failure:
        problems = (failure.message,)
    await damaged.close()

    assert problems


@pytest.mark.anyio
async def test_a_whole_file_passes_the_check(tmp_path: Path) -> None:
    database = make_database(tmp_path / "tina.db")
    await database.open()

    assert await database.check() == ()

    await database.close()


@pytest.mark.anyio
async def test_a_row_without_its_parent_is_told_by_a_check(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"
    await open_and_close(path)
    connection = apsw.Connection(str(path))
    connection.execute(
        "INSERT INTO turns (owner_id, id, conversation_id, answer_id, request,"
        " status, created_at)"
        " VALUES (1, zeroblob(16), zeroblob(16), x'', '', 'done', 1)"
    )
    connection.close()
    database = make_database(path)
    await database.open()

    problems = await database.check()

    await database.close()
    assert problems == ("row 1 of turns has no conversations",)


@pytest.mark.anyio
async def test_a_file_of_a_newer_tina_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"
    await open_and_close(path)
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", LATEST_VERSION + 1)
    connection.close()
    before = path.read_bytes()

    with pytest.raises(NewerFileFailure, match="newer Tina"):
        await open_and_close(path)

    assert path.read_bytes() == before


@pytest.mark.anyio
async def test_a_folder_in_place_of_the_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "tina.db").mkdir()

    with pytest.raises(UnwritableFailure, match="TINA_HOME"):
        await open_and_close(tmp_path / "tina.db")


@pytest.mark.anyio
async def test_a_database_that_another_process_holds_is_a_busy_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tina.database.engine.sqlite.BUSY_TIMEOUT_MS", 20)
    path = tmp_path / "tina.db"
    database = make_database(path)
    await database.open()
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(BusyFailure, match="Another process"):
        await database.conversations.create(NewConversation(title="x"))

    other.close()
    await database.conversations.create(NewConversation(title="y"))
    await database.close()


@pytest.mark.anyio
async def test_a_full_disk_is_a_failure_that_leaves_the_file_whole(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tina.db"
    ids = FakeIds()
    database = Database(path, leases=tmp_path, clock=FakeClock(), ids=ids)
    await database.open()
    await database.conversations.create(NewConversation(title="first"))
    await database.close()
    limited = Database(path, leases=tmp_path, clock=FakeClock(), ids=ids)
    await limited.open()
    await limited._engine.write(  # pyright: ignore[reportPrivateUsage]
        lambda connection: connection.execute("PRAGMA max_page_count = 20")
    )

    with pytest.raises(DiskFullFailure, match="free some space"):
        await limited.conversations.create(NewConversation(system="x" * 500_000))

    listed = await limited.conversations.list(ListConversations())
    assert [conversation.title for conversation in listed] == ["first"]
    assert await limited.check() == ()
    await limited.close()


def zero_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


def halve(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def spoil_schema(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 500)


def lose_file(path: Path) -> None:
    """Only the log is left: SQLite would begin anew and delete it."""
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE conversations SET title = 'only in the log'")
    log = path.with_name("tina.db-wal").read_bytes()
    connection.close()
    path.unlink()
    path.with_name("tina.db-wal").write_bytes(log)


@pytest.mark.anyio
@pytest.mark.requirement("database:damaged:untouched")
@pytest.mark.parametrize("damage", [zero_header, halve, spoil_schema, lose_file])
async def test_a_damaged_file_is_refused_and_nothing_is_written_near_it(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "tina.db"
    database = make_database(path)
    await database.open()
    await database.conversations.create(NewConversation(title="first"))
    await database.close()
    damage(path)
    before = contents(tmp_path)

    with pytest.raises(DamagedFailure):
        await open_and_close(path)

    assert contents(tmp_path) == before


@pytest.mark.anyio
async def test_a_foreign_log_is_not_moved_into_its_file(tmp_path: Path) -> None:
    """Its own program died; the log is that program's to move."""
    path = tmp_path / "tina.db"
    write_foreign(path)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.execute("INSERT INTO notes VALUES ('in the log')")
    left = {name: (tmp_path / name).read_bytes() for name in ("tina.db", "tina.db-wal")}
    connection.close()
    for name, content in left.items():
        (tmp_path / name).write_bytes(content)

    with pytest.raises(ForeignFileFailure):
        await open_and_close(path)

    assert {name: (tmp_path / name).read_bytes() for name in left} == left


@pytest.mark.anyio
async def test_a_file_that_only_looks_damaged_while_others_write_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two looks another process has begun a log that says what is true."""
    path = tmp_path / "tina.db"
    await open_and_close(path)
    whole = path.read_bytes()
    halve(path)
    looks: list[str] = []

    def has_log(_: Path) -> bool:
        looks.append("looked")
        if len(looks) == 2:
            path.write_bytes(whole)
        return len(looks) >= 2

    monkeypatch.setattr("tina.database.engine.sqlite.has_log", has_log)

    await open_and_close(path)

    assert len(looks) == 2


def contents(folder: Path) -> dict[str, bytes]:
    return {
        child.name: child.read_bytes()
        for child in folder.iterdir()
        if child.name != "tina.db.lock"
    }


@pytest.mark.requirement("database:private")
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_database_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "tina.db"
    before = os.umask(umask)
    try:
        connection = open_writer(path)
    finally:
        os.umask(before)
    connection.execute("CREATE TABLE notes (text)")

    modes = {child.name: child.stat().st_mode & 0o777 for child in tmp_path.iterdir()}
    connection.close()
    assert modes == {"tina.db": 0o600, "tina.db-wal": 0o600, "tina.db-shm": 0o600}


def test_a_database_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"
    path.touch()
    path.chmod(0o640)

    open_writer(path).close()

    assert path.stat().st_mode & 0o777 == 0o640


def test_an_emptied_file_beside_its_backups_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"
    path.touch()
    (tmp_path / "backups").mkdir()
    open_writer(path).close()  # a folder without backups says nothing
    path.write_bytes(b"")
    (tmp_path / "backups" / "manual-20260101T000000Z.db").touch()

    with pytest.raises(DamagedFailure, match="restore manual-20260101T000000Z`"):
        open_writer(path)

    assert path.read_bytes() == b""
