"""The stores that fulfil the contracts: each test meets all of them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tina.database import Database
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.stores import MemoryStores


class Kept(NamedTuple):
    """Stores, and the clock and ids that they were given."""

    stores: Database | MemoryStores
    clock: FakeClock
    ids: FakeIds


@pytest.fixture(params=["memory", "sqlite"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    clock, ids = FakeClock(), FakeIds()
    if request.param == "memory":
        yield Kept(MemoryStores(clock=clock, ids=ids), clock, ids)
        return
    database = Database(tmp_path / "tina.db", leases=tmp_path, clock=clock, ids=ids)
    await database.open()
    yield Kept(database, clock, ids)
    await database.close()
