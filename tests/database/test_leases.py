"""Lease files: what a killed process leaves, and a folder that refuses."""

import subprocess
import sys
from pathlib import Path

import pytest

from tina.database import Database
from tina.database.leases import FileLeases
from tina.domain.failures import ClosedFailure, UnwritableFailure
from tina.domain.ids import ConversationId, LeaseId
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio

HOLD = """
import sys, anyio
from pathlib import Path
from tina.database.leases import FileLeases
from tina.testing.ids import FakeIds

leases = FileLeases(Path(sys.argv[1]), ids=FakeIds())
print(anyio.run(leases.hold), flush=True)
sys.stdin.read()
"""


async def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lease_id = LeaseId(process.stdout.readline().strip())
    leases = FileLeases(tmp_path, ids=FakeIds())
    was_held = await leases.is_held(lease_id)

    process.kill()
    process.communicate()

    assert was_held
    assert not await leases.is_held(lease_id)
    assert list(tmp_path.iterdir()) == []


async def test_files_of_the_dead_are_swept_when_a_lease_is_taken(
    tmp_path: Path,
) -> None:
    (tmp_path / f"{'a' * 32}.lock").touch()
    leases = FileLeases(tmp_path, ids=FakeIds())

    lease_id = await leases.hold()

    assert [path.stem for path in tmp_path.iterdir()] == [lease_id]
    await leases.close()


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    leases = FileLeases(tmp_path / "nowhere", ids=FakeIds())

    with pytest.raises(UnwritableFailure, match="TINA_HOME"):
        await leases.hold()


async def test_a_database_closes_although_its_lease_cannot_be_removed(
    tmp_path: Path,
) -> None:
    """The file's place may be taken by anything meanwhile, a folder for example."""
    leases = tmp_path / "leases"
    leases.mkdir()
    database = Database(
        tmp_path / "tina.db", leases=leases, clock=FakeClock(), ids=FakeIds()
    )
    await database.open()
    lease_id = await database.leases.hold()
    (leases / f"{lease_id}.lock").unlink()
    (leases / f"{lease_id}.lock").mkdir()

    await database.close()

    with pytest.raises(ClosedFailure):
        await database.conversations.get(ConversationId("0" * 32))


async def test_a_database_closes_although_its_lease_fails(tmp_path: Path) -> None:
    database = Database(
        tmp_path / "tina.db", leases=tmp_path, clock=FakeClock(), ids=FakeIds()
    )
    await database.open()
    database.leases = BrokenLeases(tmp_path, ids=FakeIds())

    with pytest.raises(UnwritableFailure):
        await database.close()

    with pytest.raises(ClosedFailure):
        await database.conversations.get(ConversationId("0" * 32))


class BrokenLeases(FileLeases):
    async def close(self) -> None:
        raise UnwritableFailure("The folder of leases is gone.")
