"""A file that cannot be written is opened for reading, and says so when written.

`tests/faults/test_read_only.py` does it to real files; here SQLite's refusals are made.
"""

from pathlib import Path

import apsw
import pytest

from tina.database.engine import sqlite
from tina.database.engine.engine import Engine
from tina.database.engine.sqlite import open_reader_in_place
from tina.domain.failures import (
    DiskFullFailure,
    NewerFileFailure,
    StorageFailure,
    UnwritableFailure,
)

pytestmark = pytest.mark.anyio

UNWRITABLE = UnwritableFailure("It cannot be written.")
FULL = DiskFullFailure("No room left.")


def add(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO journal (message_id, events) VALUES (x'00', 'a')")


def count(connection: apsw.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM journal").get
    return found


def refuse(monkeypatch: pytest.MonkeyPatch, failure: StorageFailure) -> None:
    def open_writer(_: Path) -> apsw.Connection:
        raise failure

    monkeypatch.setattr("tina.database.engine.engine.open_writer", open_writer)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database with one row, closed."""
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    await engine.open()
    await engine.write(add)
    await engine.close()
    return tmp_path / "tina.db"


@pytest.mark.parametrize("failure", [UNWRITABLE, FULL])
async def test_it_is_read_and_each_write_is_told_why_not(
    path: Path, failure: StorageFailure, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, failure)
    engine = Engine(path, monotonic=lambda: 0.0)

    await engine.open()

    assert engine.is_read_only
    assert await engine.read(count) == 1
    with pytest.raises(type(failure), match=failure.message):
        await engine.write(add)
    await engine.close()


async def test_a_writable_file_is_not_read_only(path: Path) -> None:
    engine = Engine(path, monotonic=lambda: 0.0)
    await engine.open()

    assert not engine.is_read_only
    await engine.close()


async def test_a_newer_file_is_refused_for_reading_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    refuse(monkeypatch, UNWRITABLE)
    engine = Engine(path, monotonic=lambda: 0.0)

    with pytest.raises(NewerFileFailure):
        await engine.open()

    await engine.close()


async def test_a_file_that_is_not_there_is_no_empty_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, FULL)
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)

    with pytest.raises(DiskFullFailure, match="No room left"):
        await engine.open()

    await engine.close()
    assert not (tmp_path / "tina.db").exists()


class Folder:
    """A folder in which SQLite can make no log and no index of one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def lock(self) -> None:
        def connect(_: Path) -> apsw.Connection:
            raise apsw.ReadOnlyError("attempt to write a readonly database")

        self._monkeypatch.setattr(sqlite, "_connect_reader", connect)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(monkeypatch)


async def test_where_no_log_can_be_made_each_read_looks_at_the_file_anew(
    path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, UNWRITABLE)
    folder.lock()
    engine = Engine(path, monotonic=lambda: 0.0)
    await engine.open()
    assert await engine.read(count) == 1
    other = apsw.Connection(str(path))
    add(other)
    other.close()

    assert await engine.read(count) == 2

    await engine.close()


async def test_a_log_that_cannot_be_read_is_not_passed_over(
    path: Path, folder: Folder
) -> None:
    other = apsw.Connection(str(path))
    add(other)
    folder.lock()

    with pytest.raises(UnwritableFailure, match="lies in a log"):
        open_reader_in_place(path)

    other.close()


async def test_a_reader_that_cannot_look_into_the_file_is_closed(
    tmp_path: Path,
) -> None:
    (tmp_path / "tina.db").write_bytes(b"Dear diary, " * 1000)

    with pytest.raises(StorageFailure):
        open_reader_in_place(tmp_path / "tina.db")

    connection = apsw.Connection(str(tmp_path / "tina.db"))
    connection.close()


async def test_a_file_that_sqlite_opens_for_reading_only_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Locked(apsw.Connection):
        def readonly(self, name: str) -> bool:
            return name == "main"

    monkeypatch.setattr(apsw, "Connection", Locked)

    with pytest.raises(UnwritableFailure, match="but not written"):
        sqlite.open_writer(path)
