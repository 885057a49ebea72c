"""Which libraries and files are refused, and that refused files stay as they are."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from tina.database import Database
from tina.database.migrations import LATEST_VERSION
from tina.database.sqlite import check_library, has_wal_reset_bug
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
    assert [child.name for child in tmp_path.iterdir()] == ["tina.db"]


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
        "INSERT INTO turns (owner_id, id, conversation_id, answer_id, lease_id,"
        " status, journal_from, created_at)"
        " VALUES (1, zeroblob(16), zeroblob(16), x'', x'', 'done', 1, 1)"
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
    monkeypatch.setattr("tina.database.sqlite.BUSY_TIMEOUT_MS", 20)
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

    with pytest.raises(DiskFullFailure, match="Free some space"):
        await limited.conversations.create(NewConversation(title="x" * 500_000))

    listed = await limited.conversations.list(limit=None)
    assert [conversation.title for conversation in listed] == ["first"]
    assert await limited.check() == ()
    await limited.close()
