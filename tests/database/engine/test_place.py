"""A database that is moved, replaced or deleted while it is open is not written."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apsw
import pytest

from tina.database.engine.engine import Engine
from tina.database.engine.place import Place
from tina.database.engine.sqlite import open_writer
from tina.domain.failures import UnwritableFailure

pytestmark = pytest.mark.anyio


def add(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO journal (message_id, events) VALUES (x'00', 'a')")


def count(connection: apsw.Connection) -> int:
    found: int = connection.execute("SELECT count(*) FROM journal").get
    return found


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)


def move_log(path: Path) -> None:
    path.with_name("tina.db-wal").rename(path.with_name("elsewhere"))


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    await engine.open()
    await engine.write(add)
    yield engine
    await engine.close()


@pytest.mark.requirement("database:moved:refused")
@pytest.mark.parametrize("harm", [delete, replace, move_log])
async def test_a_durable_write_into_the_void_is_refused(
    tmp_path: Path, engine: Engine, harm: Callable[[Path], None]
) -> None:
    harm(tmp_path / "tina.db")

    with pytest.raises(UnwritableFailure, match="moved, replaced or deleted"):
        await engine.write(add)


async def test_what_was_put_back_is_written_again(
    tmp_path: Path, engine: Engine
) -> None:
    path = tmp_path / "tina.db"
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(UnwritableFailure):
        await engine.write(add)
    (tmp_path / "elsewhere").rename(path)

    await engine.write(add)

    assert await engine.read(count) == 2


async def test_closing_spares_the_log_of_whoever_took_the_place(
    tmp_path: Path,
) -> None:
    """SQLite deletes a log by its name, and the name is another database's by now."""
    path = tmp_path / "tina.db"
    engine = Engine(path, monotonic=lambda: 0.0)
    await engine.open()
    for name in ("tina.db", "tina.db-wal", "tina.db-shm"):
        (tmp_path / name).rename(tmp_path / f"old-{name}")
    other = Engine(path, monotonic=lambda: 0.0)
    await other.open()
    await other.write(add)

    await engine.close()

    await other.write(add)
    newest = open_writer(path)
    assert count(newest) == 2
    newest.close()
    await other.close()


def test_nothing_is_compared_before_it_is_remembered(tmp_path: Path) -> None:
    Place(tmp_path / "tina.db").check()
