"""Network disks are refused, missing room is told before anything begins."""

import errno
from pathlib import Path

import pytest

from tina.database import Database
from tina.database.files import filesystem
from tina.database.files.filesystem import (
    failure_for,
    file_failures,
    refuse_network_disk,
    require_room,
    stored_bytes,
)
from tina.domain.failures import (
    DiskFullFailure,
    UnsupportedDiskFailure,
    UnwritableFailure,
)
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

MIB = 1024 * 1024


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says about its disks, to be written by the test."""
    mounts = tmp_path / "mountinfo"
    monkeypatch.setattr(filesystem, "MOUNTINFO", mounts)
    return mounts


@pytest.mark.anyio
@pytest.mark.requirement("database:network-disk:refused")
async def test_a_database_on_a_network_disk_is_refused(
    tmp_path: Path, mounts: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    mounts.write_text(f"40 1 0:40 / {home} rw - nfs4 server:/home rw\n")
    database = Database(home / "tina.db", leases=home, clock=FakeClock(), ids=FakeIds())

    with pytest.raises(UnsupportedDiskFailure, match=r"\(nfs4\).*TINA_HOME"):
        await database.open()

    await database.close()
    assert list(home.iterdir()) == []


def test_a_link_to_a_network_disk_is_followed(tmp_path: Path, mounts: Path) -> None:
    far = tmp_path / "far"
    far.mkdir()
    (tmp_path / "near").symlink_to(far)
    mounts.write_text(f"40 1 0:40 / {far} rw - fuse.sshfs host: rw\n")

    with pytest.raises(UnsupportedDiskFailure, match="sshfs"):
        refuse_network_disk(tmp_path / "near" / "tina.db")


def test_a_local_disk_and_a_silent_system_are_accepted(
    tmp_path: Path, mounts: Path
) -> None:
    refuse_network_disk(tmp_path / "tina.db")
    mounts.write_text("27 1 254:0 / / rw - ext4 /dev/vda rw\n")

    refuse_network_disk(tmp_path / "tina.db")

    assert mounts.exists()


@pytest.mark.parametrize(
    ("free", "missing"), [(10 * MIB, None), (10 * MIB - 1, "1 MiB"), (0, "10 MiB")]
)
def test_missing_room_is_told(
    free: int, missing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free_bytes(_: Path) -> int:
        return free

    monkeypatch.setattr(filesystem, "free_bytes", free_bytes)

    if missing is None:
        require_room(tmp_path, 10 * MIB, purpose="A backup")
        return
    with pytest.raises(DiskFullFailure) as caught:
        require_room(tmp_path, 10 * MIB, purpose="A backup")
    assert f"; {missing} are missing. Nothing was changed." in caught.value.message
    assert caught.value.message.startswith("A backup needs 10 MiB of room in ")


def test_the_disk_says_how_much_is_free(tmp_path: Path) -> None:
    assert filesystem.free_bytes(tmp_path) > 0


def test_a_database_is_as_large_as_its_file_and_its_log(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"
    assert stored_bytes(path) == 0
    path.write_bytes(b"12")
    (tmp_path / "tina.db-wal").write_bytes(b"345")

    assert stored_bytes(path) == 5


@pytest.mark.parametrize(
    ("number", "failure", "advice"),
    [
        (errno.ENOSPC, DiskFullFailure, "Free some space"),
        (errno.EDQUOT, DiskFullFailure, "Free some space"),
        (errno.EACCES, UnwritableFailure, "Check the permissions"),
        (errno.EROFS, UnwritableFailure, "The disk is read-only"),
    ],
)
def test_errors_of_the_system_are_failures(
    number: int, failure: type[Exception], advice: str, tmp_path: Path
) -> None:
    error = OSError(number, "it did not work")

    told = failure_for(error, tmp_path)
    assert isinstance(told, failure)
    assert advice in told.message
    with pytest.raises(failure, match=str(tmp_path)), file_failures(tmp_path):
        raise error
