"""Damage that one thread met stops every write; a quota is a full disk."""

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from tina.database.engine.engine import Engine
from tina.database.engine.health import Health
from tina.domain.failures import DamagedFailure, DiskFullFailure, StorageFailure

pytestmark = pytest.mark.anyio


def add(connection: apsw.Connection) -> None:
    connection.execute(
        "INSERT INTO journal (message_id, events) VALUES (x'00', :text)",
        {"text": "what was said " * 100},
    )


def read_all(connection: apsw.Connection) -> int:
    return len(connection.execute("SELECT * FROM journal").fetchall())


@pytest.fixture
async def damaged(tmp_path: Path) -> AsyncIterator[Engine]:
    """Whole at its head, with random bytes in the middle."""
    path = tmp_path / "tina.db"
    whole = Engine(path, monotonic=lambda: 0.0)
    await whole.open()
    for _ in range(200):
        await whole.write(add)
    await whole.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 20 * 4096)
        file.write(b"\xff" * 16 * 4096)
    engine = Engine(path, monotonic=lambda: 0.0)
    await engine.open()
    yield engine
    await engine.close()


@pytest.mark.requirement("database:damaged:not-written")
async def test_a_file_that_was_found_damaged_is_not_written_any_more(
    tmp_path: Path, damaged: Engine
) -> None:
    with pytest.raises(DamagedFailure):
        await damaged.read(read_all)
    before = (tmp_path / "tina.db").read_bytes()

    with pytest.raises(DamagedFailure, match="tina db repair"):
        await damaged.write(add)

    await damaged.close()
    assert (tmp_path / "tina.db").read_bytes() == before


async def test_what_is_not_damaged_can_still_be_read(damaged: Engine) -> None:
    with pytest.raises(DamagedFailure):
        await damaged.read(read_all)

    assert await damaged.read(lambda c: c.pragma("user_version")) > 0


async def test_a_search_index_that_does_not_fit_is_no_damage(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    await engine.open()

    def spoil(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO message_fts (rowid, text) VALUES (7, 'ghost')")

    def check(connection: apsw.Connection) -> None:
        connection.execute(
            "INSERT INTO message_fts (message_fts, rank) VALUES ('integrity-check', 1)"
        )

    await engine.write(spoil)
    with pytest.raises(DamagedFailure, match="search index"):
        await engine.write(check)
    await engine.write(add)

    assert await engine.read(read_all) == 1
    await engine.close()


class Connection(apsw.Connection):
    """Says which error of the system was the last one."""

    def __init__(self, number: int) -> None:
        super().__init__(":memory:")
        self.number = number

    @property
    def system_errno(self) -> int:
        return self.number


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.EDQUOT, DiskFullFailure),
        (errno.ENOSPC, DiskFullFailure),
        (errno.EIO, StorageFailure),
    ],
)
async def test_a_quota_is_a_full_disk(
    number: int, expected: type[StorageFailure]
) -> None:
    connection = Connection(number)

    failure = Health(Path("x")).judge(apsw.IOError("disk I/O error"), connection)

    assert type(failure) is expected
    connection.close()
