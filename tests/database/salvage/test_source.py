"""The damaged file is read, whatever the disk says, and only read."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.database.salvage.files import make_file
from tina.database.salvage.source import read_pages
from tina.domain.failures import StorageFailure


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_file(tmp_path / "tina.db", "CREATE TABLE a (text); INSERT INTO a VALUES (1)")
    return tmp_path / "tina.db"


def test_a_block_that_the_disk_cannot_read_is_an_empty_page(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = os.pread

    def fail_behind(descriptor: int, length: int, offset: int) -> bytes:
        if offset >= 4096:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", fail_behind)

    with read_pages(path) as pages:
        assert pages.get(1) == path.read_bytes()[:4096]
        assert pages.get(2) == b""


def test_a_log_that_cannot_be_read_is_no_log(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.with_name("tina.db-wal").write_bytes(bytes(32))

    def fail(_: Path) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as context:
        context.setattr(Path, "read_bytes", fail)
        with read_pages(path) as pages:
            assert pages.count == 2


def test_a_log_that_is_a_folder_is_no_log(path: Path) -> None:
    path.with_name("tina.db-wal").mkdir()

    with read_pages(path) as pages:
        assert pages.count == 2


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageFailure, match=r"no file .*nowhere\.db"),
        read_pages(tmp_path / "nowhere.db"),
    ):
        pytest.fail("it was opened")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "tina.db")

    with (
        pytest.raises(StorageFailure, match="is no file"),
        read_pages(tmp_path / "tina.db"),
    ):
        pytest.fail("it was opened")


def test_a_file_that_may_not_be_read_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forced: permissions do not hold back the superuser, who may run the tests."""

    def refuse(_path: Path, _flags: int) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as context:
        context.setattr(os, "open", refuse)
        with (
            pytest.raises(StorageFailure, match=r"cannot be read .*Permission denied"),
            read_pages(path),
        ):
            pytest.fail("it was opened")
