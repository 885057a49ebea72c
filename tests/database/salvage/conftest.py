import anyio
import pytest

from tests.database.salvage.history import Image, write_closed, write_open


@pytest.fixture(scope="session")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A file that was closed in peace."""
    return anyio.run(write_closed, tmp_path_factory.mktemp("closed"))


@pytest.fixture(scope="session")
def still_open(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """A file and its log as they were while the database was open."""
    return anyio.run(write_open, tmp_path_factory.mktemp("open"))
