"""Who has the database open, and that a dead process is in nobody's way."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tina.database import Database
from tina.database.keeping import file_lock as file_lock_module
from tina.database.keeping.file_lock import LOCK_TIMEOUT_S, FileLock
from tina.domain.failures import BusyFailure, UnwritableFailure
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio

HOLD = """
import sys, anyio
from pathlib import Path
from tina.database.keeping.file_lock import FileLock
from tina.testing.clock import FakeClock

lock = FileLock(Path(sys.argv[1]), clock=FakeClock())
anyio.run(lock.share if sys.argv[2] == "shared" else lock.claim)
print("held", flush=True)
sys.stdin.read()
"""


def lock_of(path: Path) -> FileLock:
    return FileLock(path, clock=FakeClock())


def hold_elsewhere(path: Path, how: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tina.db"


@pytest.fixture
def reader(path: Path) -> Iterator["subprocess.Popen[str]"]:
    process = hold_elsewhere(path, "shared")
    yield process
    process.kill()
    process.communicate()


async def test_many_share_it(path: Path) -> None:
    first, second = lock_of(path), lock_of(path)

    await first.share()
    await second.share()

    first.release()
    second.release()
    assert [child.name for child in path.parent.iterdir()] == ["tina.db.lock"]


async def test_who_is_in_the_way_is_named(
    path: Path, reader: "subprocess.Popen[str]"
) -> None:
    clock = FakeClock()
    lock = FileLock(path, clock=clock)

    with pytest.raises(BusyFailure, match=rf"pid {reader.pid}\) has the database"):
        await lock.claim()

    assert clock.monotonic() == pytest.approx(LOCK_TIMEOUT_S, abs=0.1)
    await lock.share()
    lock.release()


async def test_a_killed_process_is_in_nobodys_way(
    path: Path, reader: "subprocess.Popen[str]"
) -> None:
    reader.kill()
    reader.wait()
    lock = lock_of(path)

    await lock.claim()

    assert lock.holders() == (os.getpid(),)
    lock.release()


async def test_nobody_opens_a_database_that_is_changed_as_a_whole(path: Path) -> None:
    process = hold_elsewhere(path, "alone")
    database = Database(path, leases=path.parent, clock=FakeClock(), ids=FakeIds())

    try:
        with pytest.raises(BusyFailure, match=rf"pid {process.pid}\) is changing"):
            await database.open()
    finally:
        await database.close()
        process.kill()
        process.communicate()

    assert not path.exists()


async def test_an_open_database_is_not_changed_as_a_whole(path: Path) -> None:
    database = Database(path, leases=path.parent, clock=FakeClock(), ids=FakeIds())
    await database.open()

    with pytest.raises(BusyFailure, match="This very process has the database"):
        await lock_of(path).claim()

    await database.close()
    lock = lock_of(path)
    await lock.claim()
    lock.release()


async def test_a_wait_that_is_cancelled_leaves_nothing(
    path: Path, reader: "subprocess.Popen[str]"
) -> None:
    lock = lock_of(path)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(lock.claim)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    assert lock.duplicate() is None
    assert reader.poll() is None


async def test_a_copy_holds_it_until_it_is_closed(path: Path) -> None:
    lock = lock_of(path)
    await lock.claim()
    copy = lock.duplicate()
    assert copy is not None

    lock.release()

    with pytest.raises(BusyFailure):
        await lock_of(path).share()
    os.close(copy)
    other = lock_of(path)
    await other.share()
    other.release()


async def test_a_claim_gives_up_the_share(path: Path) -> None:
    lock = lock_of(path)
    await lock.share()

    await lock.claim()

    with pytest.raises(BusyFailure):
        await lock_of(path).share()
    lock.release()
    lock.release()


async def test_it_holds_only_within_its_block(path: Path) -> None:
    async with lock_of(path).alone():
        with pytest.raises(BusyFailure):
            await lock_of(path).share()
    async with lock_of(path).shared(), lock_of(path).shared():
        with pytest.raises(BusyFailure):
            await lock_of(path).claim()


async def test_a_folder_without_room_for_a_lock_is_read_without(
    tmp_path: Path,
) -> None:
    lock = lock_of(tmp_path / "nowhere" / "tina.db")

    await lock.share()

    assert lock.duplicate() is None
    with pytest.raises(UnwritableFailure, match=r"tina\.db\.lock"):
        await lock.claim()


async def test_a_stranger_with_the_id_of_one_that_held_it_is_not_named(
    path: Path, reader: "subprocess.Popen[str]"
) -> None:
    """Ids come around again; when a process started does not."""
    file = path.parent / "tina.db.lock"
    started = file.read_text().replace("\0", " ").split()[1]
    claimant = lock_of(path)
    assert claimant.holders() == (reader.pid,)

    file.write_text(f"\n{reader.pid:>9} {int(started) - 1:>20}\n")

    assert claimant.holders() == ()
    with pytest.raises(BusyFailure, match=r"^Another process has the database"):
        await claimant.claim()


async def test_a_note_without_a_start_is_not_believed(path: Path) -> None:
    """As an older Tina wrote them."""
    (path.parent / "tina.db.lock").write_bytes(b"%9d\n" % os.getpid())

    assert lock_of(path).holders() == ()


async def test_a_note_is_read_among_those_of_an_older_tina(path: Path) -> None:
    (path.parent / "tina.db.lock").write_bytes(b"%9d\n" % os.getpid() * 1300)
    lock = lock_of(path)

    await lock.share()

    assert lock.holders() == (os.getpid(),)
    lock.release()
    assert lock.holders() == ()


async def test_a_note_that_is_another_s_by_now_is_left(path: Path) -> None:
    """Two processes may share a place."""
    lock = lock_of(path)
    await lock.share()
    file = path.parent / "tina.db.lock"
    theirs = file.read_bytes().replace(b"%d" % os.getpid(), b"%d" % 1)
    file.write_bytes(theirs)

    lock.release()

    assert file.read_bytes() == theirs


@pytest.mark.parametrize(
    ("answer", "is_named"),
    [(None, True), (PermissionError, True), (ProcessLookupError, False)],
)
async def test_where_no_start_is_told_the_id_alone_counts(
    path: Path,
    answer: type[OSError] | None,
    is_named: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kill(_: int, number: int) -> None:
        assert number == 0
        if answer is not None:
            raise answer

    monkeypatch.setattr(file_lock_module.sys, "platform", "darwin")
    lock = lock_of(path)
    await lock.share()
    monkeypatch.setattr(os, "kill", kill)

    assert lock.holders() == ((os.getpid(),) if is_named else ())
    monkeypatch.undo()
    lock.release()


async def test_where_processes_cannot_be_looked_at_nobody_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_of(_: int) -> None:
        return None

    monkeypatch.setattr(file_lock_module, "_start_of", start_of)
    lock = lock_of(path)

    await lock.share()

    assert lock.holders() == ()
    lock.release()


@pytest.mark.requirement("database:side-files:hold-nobody-up")
async def test_a_pipe_is_no_lock(path: Path) -> None:
    os.mkfifo(path.parent / "tina.db.lock")
    lock = lock_of(path)

    await lock.share()

    assert lock.duplicate() is None
    assert lock.holders() == ()
    with pytest.raises(UnwritableFailure, match=r"tina\.db\.lock.*not an ordinary"):
        await lock.claim()


async def test_what_is_no_number_names_nobody(path: Path) -> None:
    (path.parent / "tina.db.lock").write_bytes(
        b"\0\0 abc\n        0x1 12\n 99999999 7\n1 2 3\n" + b"1 " + b"9" * 5000
    )

    assert lock_of(path).holders() == ()
    assert lock_of(path.parent / "other.db").holders() == ()
