"""One suite for leases in memory and as lock files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tina.database.leases import FileLeases
from tina.domain.ids import LeaseId
from tina.domain.ports import Leases
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryLeases

pytestmark = pytest.mark.anyio

MakeLeases = Callable[[], Leases]


@pytest.fixture(params=["memory", "files"])
def process(request: pytest.FixtureRequest, tmp_path: Path) -> MakeLeases:
    """Each call is another process' leases, in one shared place."""
    ids = FakeIds()
    if request.param == "files":
        return lambda: FileLeases(tmp_path, ids=ids)
    alive: set[LeaseId] = set()
    return lambda: MemoryLeases(ids=ids, alive=alive)


async def test_a_process_holds_one_lease(process: MakeLeases) -> None:
    leases = process()

    assert await leases.hold() == await leases.hold()

    await leases.close()


async def test_a_held_lease_is_seen_by_itself_and_by_others(
    process: MakeLeases,
) -> None:
    mine, theirs = process(), process()
    lease_id = await mine.hold()

    assert await mine.is_held(lease_id)
    assert await theirs.is_held(lease_id)
    assert await theirs.is_held(lease_id)

    await mine.close()


async def test_a_closed_lease_is_held_by_nobody(process: MakeLeases) -> None:
    mine, theirs = process(), process()
    lease_id = await mine.hold()

    await mine.close()
    await mine.close()

    assert not await theirs.is_held(lease_id)


async def test_two_processes_hold_two_leases(process: MakeLeases) -> None:
    mine, theirs = process(), process()

    assert await mine.hold() != await theirs.hold()

    await mine.close()
    await theirs.close()


async def test_an_unknown_lease_is_not_held(process: MakeLeases) -> None:
    assert not await process().is_held(LeaseId("0" * 32))
