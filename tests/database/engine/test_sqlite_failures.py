"""What SQLite's errors mean: limits of the system are told as such."""

import errno
import os
from pathlib import Path

import apsw
import pytest

from tina.database.engine import sqlite_failures as failures_module
from tina.database.engine.health import Health
from tina.database.engine.sqlite_failures import (
    failure_for,
    failure_to_write,
    storage_failures,
)
from tina.domain.failures import StorageFailure, UnwritableFailure

PATH = Path("somewhere") / "tina.db"


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EMFILE, "`ulimit -n`"),
        (errno.ENFILE, "this machine has too many files open"),
        (errno.EFBIG, "`ulimit -f`"),
    ],
)
@pytest.mark.parametrize("error", [apsw.CantOpenError, apsw.IOError])
def test_a_limit_of_the_system_is_told_as_one(
    error: type[apsw.Error], number: int, says: str
) -> None:
    failure = failure_for(error("no"), PATH, system_errno=number)

    assert type(failure) is StorageFailure
    assert str(PATH) in failure.message
    assert says in failure.message
    assert "ermission" not in failure.message


def test_an_old_error_of_the_system_is_not_taken_for_the_reason() -> None:
    failure = failure_for(apsw.ReadOnlyError("no"), PATH, system_errno=errno.EMFILE)

    assert type(failure) is UnwritableFailure
    assert "Check the permissions" in failure.message


def test_health_asks_the_connection_for_the_error_of_the_system() -> None:
    class Connection(apsw.Connection):
        @property
        def system_errno(self) -> int:
            return errno.EFBIG

    connection = Connection(":memory:")

    failure = Health(PATH).judge(apsw.IOError("disk I/O error"), connection)

    connection.close()
    assert "`ulimit -f`" in failure.message


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_are_found_out_without_a_connection(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = os.open, 0

    def one_is_left(path: str, flags: int) -> int:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise OSError(number, "no more")
        return real(path, flags)

    monkeypatch.setattr(failures_module.os, "open", one_is_left)
    before = os.listdir("/proc/self/fd")

    with (
        pytest.raises(StorageFailure, match="too many files open"),
        storage_failures(PATH),
    ):
        raise apsw.CantOpenError("unable to open database file")

    assert os.listdir("/proc/self/fd") == before


def test_a_file_that_cannot_be_opened_otherwise_is_a_matter_of_permissions() -> None:
    with (
        pytest.raises(UnwritableFailure, match="Check the permissions"),
        storage_failures(PATH),
    ):
        raise apsw.CantOpenError("unable to open database file")


def test_a_disk_that_is_read_only_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Disk:
        f_flag = os.ST_RDONLY

    def statvfs(_: Path) -> Disk:
        return Disk()

    here = tmp_path / "tina.db"
    assert "Check the permissions" in failure_to_write(here).message
    monkeypatch.setattr(failures_module.os, "statvfs", statvfs)

    told = failure_to_write(here)
    opened = failure_for(apsw.CantOpenError("no"), here)

    for failure in (told, opened):
        assert "The disk is read-only" in failure.message
        assert "TINA_HOME" in failure.message
