"""What the status says of the disk: whether it can be written, and the reserve."""

import shutil
from pathlib import Path

import pytest

from tests.database.test_migrations import KEPT
from tina.database.engine import reserve
from tina.database.engine.reserve import PLENTY_BYTES, Reserve
from tina.database.keeping.interruption import Stop
from tina.database.keeping.status import read_status
from tina.domain.keeping import DatabaseStatus, ReserveState
from tina.testing.clock import START


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shutil.copy(KEPT[0], tmp_path / "tina.db")
    return tmp_path / "tina.db"


def status_of(path: Path) -> DatabaseStatus:
    return read_status(path, now=START, stop=Stop())


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (PLENTY_BYTES - 1, ReserveState.NO_ROOM),
        (PLENTY_BYTES, ReserveState.MISSING),
    ],
)
def test_a_disk_without_room_for_a_reserve_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: ReserveState
) -> None:
    def free_bytes(_: Path) -> int:
        return free

    monkeypatch.setattr(reserve, "free_bytes", free_bytes)

    assert status_of(path).reserve is expected


def test_a_reserve_that_is_there_is_told(path: Path) -> None:
    Reserve(path, free=lambda _: PLENTY_BYTES).prepare()

    assert status_of(path).reserve is ReserveState.MADE


def test_a_folder_that_is_not_there_yet_has_no_reserve(tmp_path: Path) -> None:
    assert Reserve(tmp_path / "nowhere" / "tina.db").state() is ReserveState.MISSING


@pytest.mark.parametrize("locked", ["tina.db", "."])
def test_a_file_or_folder_that_cannot_be_written_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    unwritable = path.parent / locked

    def access(asked: Path, _: int) -> bool:
        return asked != unwritable

    assert status_of(path).why_read_only is None
    monkeypatch.setattr("os.access", access)

    why = status_of(path).why_read_only

    assert why is not None
    assert "can be read, but not written. Check the permissions" in why


def test_where_there_is_no_file_nothing_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access(_: Path, __: int) -> bool:
        return False

    monkeypatch.setattr("os.access", access)

    assert status_of(tmp_path / "tina.db").why_read_only is None
