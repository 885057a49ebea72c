"""The reserve: made while there is plenty, given up once, made again when there is."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tina.database.engine import reserve as reserve_module
from tina.database.engine.reserve import ENOUGH_BYTES, PLENTY_BYTES, Reserve
from tina.domain.keeping import ReserveState


class Disk:
    def __init__(self, free_bytes: int = 10 * PLENTY_BYTES) -> None:
        self.free_bytes = free_bytes
        self.asked = 0

    def __call__(self, folder: Path) -> int:
        self.asked += 1
        return self.free_bytes


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def reserve(tmp_path: Path, disk: Disk) -> Reserve:
    return Reserve(tmp_path / "tina.db", free=disk)


def test_it_takes_its_room_from_the_disk(tmp_path: Path, reserve: Reserve) -> None:
    reserve.prepare()

    status = (tmp_path / "tina.db-reserve").stat()
    assert status.st_size == reserve_module.RESERVE_BYTES
    assert status.st_blocks * 512 >= reserve_module.RESERVE_BYTES


def test_it_is_eight_mebibytes_beside_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve_module, "RESERVE_BYTES", ENOUGH_BYTES)

    Reserve(tmp_path / "tina.db").prepare()

    assert (tmp_path / "tina.db-reserve").stat().st_size == 8 * 1024 * 1024


def test_it_is_made_once(reserve: Reserve, disk: Disk) -> None:
    reserve.prepare()
    before = reserve.path.stat()

    reserve.prepare()

    assert reserve.path.stat().st_ino == before.st_ino
    assert disk.asked == 1


@pytest.mark.parametrize(
    ("free_bytes", "is_made"),
    [(PLENTY_BYTES - 1, False), (PLENTY_BYTES, True), (PLENTY_BYTES + 1, True)],
)
def test_it_is_made_only_where_there_is_plenty(
    reserve: Reserve, disk: Disk, free_bytes: int, *, is_made: bool
) -> None:
    disk.free_bytes = free_bytes

    reserve.prepare()

    assert reserve.is_there() is is_made


def test_what_was_spent_is_made_again_when_there_is_room_for_more(
    reserve: Reserve, disk: Disk
) -> None:
    reserve.prepare()
    reserve.spend()
    disk.free_bytes = ENOUGH_BYTES
    assert not reserve.restore()
    assert not reserve.is_there()

    disk.free_bytes = ENOUGH_BYTES + reserve_module.RESERVE_BYTES

    assert reserve.restore()
    assert reserve.is_there()


def test_a_reserve_that_is_still_there_is_not_room_enough(
    reserve: Reserve, disk: Disk
) -> None:
    reserve.prepare()
    disk.free_bytes = ENOUGH_BYTES - 1
    assert not reserve.restore()

    disk.free_bytes = ENOUGH_BYTES

    assert reserve.restore()


def test_a_disk_that_cannot_be_asked_has_no_room(reserve: Reserve) -> None:
    def gone(_: Path) -> int:
        raise OSError(errno.EIO, "gone")

    reserve.prepare()
    late = Reserve(reserve.path.with_name("tina.db"), free=gone)

    assert late.is_there()
    assert not late.restore()


def test_half_a_reserve_is_not_left_behind(
    reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    monkeypatch.setattr(os, "pwrite", no_room)

    reserve.prepare()

    assert not reserve.path.exists()


def test_where_the_disk_cannot_be_asked_for_blocks_zeros_are_written(
    reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")

    reserve.prepare()

    assert reserve.path.read_bytes() == bytes(reserve_module.RESERVE_BYTES)


@pytest.mark.parametrize(
    "call", [Reserve.prepare, Reserve.restore, Reserve.spend, Reserve.is_there]
)
def test_a_folder_that_is_gone_is_no_failure(
    tmp_path: Path, call: Callable[[Reserve], object]
) -> None:
    reserve = Reserve(tmp_path / "gone" / "tina.db")

    assert not call(reserve)


@pytest.mark.requirement("database:side-files:hold-nobody-up")
@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, os.symlink])
def test_where_its_name_is_taken_there_is_none_and_the_room_counts(
    tmp_path: Path,
    reserve: Reserve,
    disk: Disk,
    put: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(bytes(reserve_module.RESERVE_BYTES))
    put(*((theirs, reserve.path) if put is os.symlink else (reserve.path,)))

    reserve.prepare()
    has_room = reserve.restore()
    disk.free_bytes = ENOUGH_BYTES
    has_enough = reserve.restore()
    reserve.spend()

    assert (has_room, has_enough) == (True, False)
    assert not reserve.is_there()
    assert reserve.path.is_symlink() or reserve.path.exists()
    assert theirs.read_bytes() == bytes(reserve_module.RESERVE_BYTES)
    assert [record.message for record in caplog.records] == ["no_reserve"]


def test_it_is_told_whether_there_is_a_reserve_or_room_for_one(tmp_path: Path) -> None:
    full = Reserve(tmp_path / "tina.db", free=lambda _: PLENTY_BYTES - 1)
    roomy = Reserve(tmp_path / "tina.db", free=lambda _: PLENTY_BYTES)
    before = full.state(), roomy.state()

    roomy.prepare()

    assert before == (ReserveState.NO_ROOM, ReserveState.MISSING)
    assert (full.state(), roomy.state()) == (ReserveState.MADE, ReserveState.MADE)
    nowhere = Reserve(tmp_path / "nowhere" / "tina.db")
    assert nowhere.state() is ReserveState.MISSING
