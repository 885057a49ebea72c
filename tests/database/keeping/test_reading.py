"""Reading a file where no log can be made: right, or refused."""

import os
import shutil
from pathlib import Path

import apsw
import pytest

from tests.database.test_migrations import KEPT
from tina.database.engine import sqlite
from tina.database.keeping.interruption import Stop, StoppedError
from tina.database.keeping.reading import reading
from tina.domain.failures import BusyFailure, DamagedFailure

COUNT = "SELECT count(*) FROM messages"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shutil.copy(KEPT[0], tmp_path / "tina.db")
    return tmp_path / "tina.db"


@pytest.fixture
def locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a folder in which SQLite can make no log."""

    def connect(_: Path) -> apsw.Connection:
        raise apsw.CantOpenError("unable to open database file")

    monkeypatch.setattr(sqlite, "_connect_reader", connect)
    return path


def test_a_file_is_read_where_no_log_can_be_made(locked: Path) -> None:
    with reading(locked, stop=Stop()) as connection:
        assert connection.execute(COUNT).get == 11


def write_into(path: Path) -> None:
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))


def test_what_was_written_into_meanwhile_is_not_believed(locked: Path) -> None:
    with (
        pytest.raises(BusyFailure, match="Try again"),
        reading(locked, stop=Stop()),
    ):
        write_into(locked)


def test_damage_that_a_writer_can_have_made_up_is_not_told(locked: Path) -> None:
    with (
        pytest.raises(BusyFailure, match="Try again"),
        reading(locked, stop=Stop()),
    ):
        _meet_damage(locked)


def _meet_damage(path: Path) -> None:
    path.unlink()
    raise apsw.CorruptError("database disk image is malformed")


def test_a_writer_beside_a_log_is_none_of_a_readers_business(path: Path) -> None:
    with reading(path, stop=Stop()) as connection:
        write_into(path)

        assert connection.execute(COUNT).get == 11


def test_a_failure_names_the_file_that_was_meant(path: Path) -> None:
    path.write_bytes(b"Dear diary, " * 1000)

    with (
        pytest.raises(DamagedFailure, match=r"mine\.db"),
        reading(path, stop=Stop(), told_as=path.with_name("mine.db")),
    ):
        pytest.fail("it was opened")


def test_reading_ends_when_it_is_asked_to(path: Path) -> None:
    stop = Stop()
    stop.ask()

    with pytest.raises(StoppedError), reading(path, stop=stop):
        pytest.fail("it was not asked")
