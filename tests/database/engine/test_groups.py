"""On a full disk what is essential is stored, and everything else is told at once."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import apsw
import pytest

from tina.database.engine.engine import Engine
from tina.database.engine.reserve import PLENTY_BYTES
from tina.database.engine.room import LOOK_INTERVAL_S
from tina.domain.failures import DiskFullFailure

pytestmark = pytest.mark.anyio


class Disk:
    """A disk that is full for so many writes, and a clock.

    SQLite says "full" only when it is: the jobs here say it for the disk.
    """

    def __init__(self) -> None:
        self.refusals = 0
        self.tries = 0
        self.free_bytes = PLENTY_BYTES
        self.now_s = 100.0

    def adding(self, text: str) -> Callable[[apsw.Connection], None]:
        def add(connection: apsw.Connection) -> None:
            self.tries += 1
            if self.refusals:
                self.refusals -= 1
                raise apsw.FullError("database or disk is full")
            connection.execute(
                "INSERT INTO journal (message_id, events) VALUES (x'00', :text)",
                {"text": text},
            )

        return add


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()

    def free_bytes(_: Path) -> int:
        return disk.free_bytes

    monkeypatch.setattr("tina.database.engine.reserve.free_bytes", free_bytes)
    return disk


@pytest.fixture
async def engine(tmp_path: Path, disk: Disk) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: disk.now_s)
    await engine.open()
    yield engine
    await engine.close()


async def texts(engine: Engine) -> list[str]:
    def read(connection: apsw.Connection) -> list[str]:
        rows = connection.execute("SELECT events FROM journal ORDER BY rid")
        return [text for (text,) in rows]

    return await engine.read(read)


@pytest.mark.requirement("database:full:reserve")
async def test_an_essential_write_is_stored_in_the_room_of_the_reserve(
    tmp_path: Path, engine: Engine, disk: Disk
) -> None:
    assert (tmp_path / "tina.db-reserve").exists()
    disk.refusals, disk.free_bytes = 2, 0

    await engine.write(disk.adding("end"), is_essential=True)

    assert await texts(engine) == ["end"]
    assert not (tmp_path / "tina.db-reserve").exists()


async def test_the_reserve_is_kept_for_what_is_essential(
    tmp_path: Path, engine: Engine, disk: Disk
) -> None:
    disk.refusals, disk.free_bytes = 1, 0

    with pytest.raises(DiskFullFailure, match="can be read"):
        await engine.write(disk.adding("prompt"))

    assert (tmp_path / "tina.db-reserve").exists()
    assert disk.tries == 1


@pytest.mark.requirement("database:full:refused-at-once")
async def test_on_a_full_disk_other_writes_are_refused_without_a_try(
    engine: Engine, disk: Disk
) -> None:
    disk.refusals, disk.free_bytes = 1, 0
    with pytest.raises(DiskFullFailure):
        await engine.write(disk.adding("first"))

    with pytest.raises(DiskFullFailure, match="free some space"):
        await engine.write(disk.adding("second"))
    await engine.write(disk.adding("end"), is_essential=True)

    assert await texts(engine) == ["end"]
    assert disk.tries == 2


async def test_in_one_group_the_essential_jobs_are_stored_and_the_others_told(
    engine: Engine, disk: Disk
) -> None:
    ends: dict[str, str] = {}
    disk.refusals, disk.free_bytes = 1, 0

    async def write(text: str, *, is_essential: bool) -> None:
        try:
            await engine.write(disk.adding(text), is_essential=is_essential)
        except DiskFullFailure:
            ends[text] = "refused"
        else:
            ends[text] = "stored"

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for number in range(10):
                is_essential = number % 2 == 0
                group.start_soon(
                    lambda n=number, e=is_essential: write(str(n), is_essential=e)
                )

    assert await texts(engine) == ["0", "2", "4", "6", "8"]
    assert {ends[text] for text in "13579"} == {"refused"}


async def test_an_essential_write_that_finds_no_room_at_all_is_told(
    engine: Engine, disk: Disk
) -> None:
    disk.refusals, disk.free_bytes = 99, 0

    with pytest.raises(DiskFullFailure):
        await engine.write(disk.adding("end"), is_essential=True)

    assert await texts(engine) == []


@pytest.mark.requirement("database:full:ends-by-itself")
async def test_everything_is_stored_again_when_there_is_room(
    tmp_path: Path, engine: Engine, disk: Disk
) -> None:
    disk.refusals, disk.free_bytes = 2, 0
    await engine.write(disk.adding("end"), is_essential=True)
    with pytest.raises(DiskFullFailure):
        await engine.write(disk.adding("too early"))
    disk.free_bytes = PLENTY_BYTES
    disk.now_s += LOOK_INTERVAL_S

    await engine.write(disk.adding("prompt"))

    assert await texts(engine) == ["end", "prompt"]
    assert (tmp_path / "tina.db-reserve").exists()


async def test_a_full_disk_while_opening_costs_the_reserve(
    tmp_path: Path,
    engine: Engine,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full = [apsw.FullError("database or disk is full")]

    def prepare(*_: object) -> None:
        if full:
            raise full.pop()

    monkeypatch.setattr("tina.database.engine.engine.prepare", prepare)
    disk.free_bytes = 0
    late = Engine(tmp_path / "tina.db", monotonic=lambda: disk.now_s)

    await late.open()

    assert not (tmp_path / "tina.db-reserve").exists()
    with pytest.raises(DiskFullFailure):
        await late.write(disk.adding("prompt"))
    await late.write(disk.adding("end"), is_essential=True)
    await late.close()
