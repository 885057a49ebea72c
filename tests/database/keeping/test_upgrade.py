"""An older file is brought up to date with a backup, alone, and all or not at all."""

import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.database.test_migrations import KEPT, fresh_schema, schema_of
from tina.database import Database
from tina.database.files import filesystem
from tina.database.files.backup_folder import BackupFolder
from tina.database.keeping.file_lock import FileLock
from tina.database.keeping.interruption import Stop
from tina.database.keeping.upgrade import upgrade
from tina.database.migrations import LATEST_VERSION
from tina.domain.failures import (
    BusyFailure,
    DiskFullFailure,
    NewerFileFailure,
    StorageFailure,
)
from tina.domain.keeping import BackupKind
from tina.testing.clock import START, FakeClock
from tina.testing.ids import FakeIds

V1 = KEPT[0]
MOST_STATEMENTS = 300

# For n = 0, 1, 2, … a process is killed before its n-th statement, until one lives.
KILLS = """
import os, shutil, signal, sys
from pathlib import Path
import apsw
from tina.database.keeping.interruption import Stop
from tina.database.keeping.upgrade import upgrade
from tina.testing.clock import START

def upgrade_until(left, path):
    def trace(cursor, statement, bindings):
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    def watch(connection):
        connection.exec_trace = trace

    apsw.connection_hooks.append(watch)
    upgrade(path, now=START, stop=Stop())

source, folder, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
for number in range(most):
    path = folder / str(number) / "tina.db"
    path.parent.mkdir()
    shutil.copy(source, path)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            upgrade_until(number, path)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
sys.exit("more statements than expected")
"""


def state_of(path: Path) -> tuple[int, set[tuple[str, ...]], int]:
    connection = apsw.Connection(str(path))
    try:
        assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
        version = connection.pragma("user_version")
        count = connection.execute("SELECT count(*) FROM messages").get
        return version, schema_of(connection), count
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "tina.db"
    shutil.copy(V1, path)
    return path


def database_of(path: Path) -> Database:
    return Database(path, leases=path.parent, clock=FakeClock(), ids=FakeIds())


@pytest.mark.requirement("database:migration:all-or-nothing")
def test_a_kill_at_any_statement_leaves_the_old_or_the_new_schema(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "kills"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-c", KILLS, str(V1), str(folder), str(MOST_STATEMENTS)],
        check=True,
        timeout=120,
    )
    old = state_of(V1)
    new = (LATEST_VERSION, fresh_schema(tmp_path), old[2])

    paths = [child / "tina.db" for child in folder.iterdir()]
    found = [state_of(path) for path in paths]
    for path in paths:
        upgrade(path, now=START, stop=Stop())

    assert len(paths) > 50
    assert [state for state in found if state not in (old, new)] == []
    assert old in found
    assert new in found
    assert all(state_of(path) == new for path in paths)
    for path in paths:
        for backup in BackupFolder(path).list():
            assert state_of(Path(backup.path)) == old


def test_a_failure_at_any_statement_takes_all_of_it_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = state_of(path)
    taken_back = 0

    for number in range(MOST_STATEMENTS):
        failed = _fails_at(number, path, monkeypatch)
        if state_of(path) != old:
            if failed:
                break
            shutil.copy(V1, path)  # it found another way to read what it copies
            continue
        assert not list(path.parent.glob("backups/*.part"))
        taken_back += 1

    # Behind the commit, in `PRAGMA optimize`, a failure takes nothing back.
    version, _, count = state_of(path)
    assert 50 < taken_back < MOST_STATEMENTS
    assert (version, count) == (LATEST_VERSION, old[2])


def _fails_at(number: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    left = number

    def trace(_: apsw.Cursor, statement: str, __: object) -> bool:
        nonlocal left
        left -= 1
        if left == -1:
            raise apsw.FullError(statement)
        return True

    def watch(connection: apsw.Connection) -> None:
        connection.exec_trace = trace

    with monkeypatch.context() as patched:
        patched.setattr(apsw, "connection_hooks", [watch])
        try:
            upgrade(path, now=START, stop=Stop())
        except StorageFailure:
            return True
    return False


@pytest.mark.anyio
@pytest.mark.requirement("database:migration:backup-before")
async def test_how_it_was_before_is_in_a_backup(path: Path) -> None:
    old = state_of(path)
    database = database_of(path)

    await database.open()

    await database.close()
    (backup,) = BackupFolder(path).list()
    assert backup.kind is BackupKind.BEFORE_MIGRATION
    assert state_of(Path(backup.path)) == old
    assert state_of(path)[0] == LATEST_VERSION


def test_three_such_backups_are_kept(path: Path) -> None:
    for _ in range(5):
        shutil.copy(V1, path)
        upgrade(path, now=START, stop=Stop())

    assert [backup.name for backup in BackupFolder(path).list()] == [
        "before-migration-20260101T000000Z-5.db",
        "before-migration-20260101T000000Z-4.db",
        "before-migration-20260101T000000Z-3.db",
    ]


def test_a_file_without_conversations_needs_no_backup(path: Path) -> None:
    others = BackupFolder(path)
    for _ in range(3):
        shutil.copy(V1, path)
        upgrade(path, now=START, stop=Stop())
    kept = others.list()
    shutil.copy(V1, path)
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA foreign_keys = ON; DELETE FROM conversations")
    connection.close()

    done = upgrade(path, now=START, stop=Stop())

    assert done is not None
    assert done.backup is None
    assert state_of(path)[0] == LATEST_VERSION
    assert others.list() == kept


@pytest.mark.anyio
async def test_without_room_nothing_is_begun(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def free_bytes(_: Path) -> int:
        return 2 * len(before) - 1

    monkeypatch.setattr(filesystem, "free_bytes", free_bytes)
    database = database_of(path)

    with pytest.raises(DiskFullFailure, match="missing"):
        await database.open()

    await database.close()
    assert path.read_bytes() == before
    assert BackupFolder(path).list() == ()


@pytest.mark.anyio
async def test_a_file_that_others_have_open_is_left_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    other = FileLock(path, clock=FakeClock())
    await other.share()
    database = database_of(path)

    with pytest.raises(BusyFailure, match="nothing was changed"):
        await database.open()

    await database.close()
    other.release()
    assert path.read_bytes() == before


def test_a_file_that_is_up_to_date_needs_nothing(path: Path) -> None:
    first = upgrade(path, now=START, stop=Stop())

    assert first is not None
    assert (first.from_version, first.to_version) == (1, LATEST_VERSION)
    assert upgrade(path, now=START, stop=Stop()) is None


def test_a_newer_file_is_refused_and_untouched(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", LATEST_VERSION + 1)
    connection.close()
    before = path.read_bytes()

    with pytest.raises(NewerFileFailure):
        upgrade(path, now=START, stop=Stop())

    assert path.read_bytes() == before
    assert BackupFolder(path).list() == ()
