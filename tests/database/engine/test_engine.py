"""The engine: groups, failures, cancellation, closing."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import apsw
import pytest

from tina.database.engine import writer as writer_module
from tina.database.engine.engine import Engine
from tina.domain.failures import ClosedFailure, StorageFailure

pytestmark = pytest.mark.anyio


class Time:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def engine(tmp_path: Path, time: Time) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path / "tina.db", monotonic=time)
    await engine.open()
    yield engine
    await engine.close()


def add(connection: apsw.Connection, text: str) -> int:
    connection.execute(
        "INSERT INTO journal (message_id, events) VALUES (x'00', :text)",
        {"text": text},
    )
    return threading.get_ident()


def texts(connection: apsw.Connection) -> list[str]:
    rows = connection.execute("SELECT events FROM journal ORDER BY rid")
    return [text for (text,) in rows]


async def test_what_was_written_is_read(engine: Engine) -> None:
    await engine.write(lambda connection: add(connection, "a"))

    assert await engine.read(texts) == ["a"]


async def test_all_writes_happen_in_one_thread_that_is_not_the_loops(
    engine: Engine,
) -> None:
    threads = {
        await engine.write(lambda connection: add(connection, "a")) for _ in range(5)
    }

    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_failing_job_takes_back_only_its_own_writes(engine: Engine) -> None:
    outcomes: list[str] = []

    def break_after_writing(connection: apsw.Connection) -> None:
        add(connection, "broken")
        raise ValueError("on purpose")

    async def write(text: str) -> None:
        try:
            if text == "broken":
                await engine.write(break_after_writing)
            else:
                await engine.write(lambda connection: add(connection, text))
        except ValueError:
            outcomes.append("failed")
        else:
            outcomes.append("stored")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for text in ("a", "broken", "b"):
                group.start_soon(write, text)

    assert sorted(outcomes) == ["failed", "stored", "stored"]
    assert await engine.read(texts) == ["a", "b"]


async def test_a_refused_statement_is_a_storage_failure_of_its_own_job(
    engine: Engine,
) -> None:
    with pytest.raises(StorageFailure):
        await engine.write(lambda connection: connection.execute("NO SQL"))

    await engine.write(lambda connection: add(connection, "a"))
    assert await engine.read(texts) == ["a"]


async def test_a_reader_cannot_write(engine: Engine) -> None:
    with pytest.raises(StorageFailure):
        await engine.read(lambda connection: add(connection, "a"))

    assert await engine.read(texts) == []


async def test_many_writers_share_commits(engine: Engine) -> None:
    commits: list[int] = []
    await engine.write(lambda connection: count_commits(connection, commits))

    async def write() -> None:
        await engine.write(lambda connection: add(connection, "a"))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for _ in range(500):
                group.start_soon(write)

    assert len(await engine.read(texts)) == 500
    assert len(commits) < 100


def count_commits(connection: apsw.Connection, commits: list[int]) -> None:
    def on_commit() -> bool:
        commits.append(1)
        return False  # do not turn it into a roll-back

    connection.set_commit_hook(on_commit)


async def test_a_cancelled_write_that_waits_is_not_done(engine: Engine) -> None:
    is_busy, may_go_on = threading.Event(), threading.Event()

    def occupy(connection: apsw.Connection) -> None:
        is_busy.set()
        may_go_on.wait(5)

    async def write_late() -> None:
        await engine.write(lambda connection: add(connection, "late"))
        pytest.fail("it went on after it was cancelled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as outer:
            outer.start_soon(engine.write, occupy)
            await anyio.to_thread.run_sync(is_busy.wait, 5)
            async with anyio.create_task_group() as inner:
                inner.start_soon(write_late)
                await anyio.lowlevel.checkpoint()
                inner.cancel_scope.cancel()
            may_go_on.set()

    assert await engine.read(texts) == []


async def test_after_closing_nothing_is_taken(tmp_path: Path, time: Time) -> None:
    engine = Engine(tmp_path / "tina.db", monotonic=time)
    await engine.open()
    await engine.close()
    await engine.close()

    with pytest.raises(ClosedFailure):
        await engine.write(lambda connection: add(connection, "a"))
    with pytest.raises(ClosedFailure):
        await engine.read(texts)


async def test_a_full_queue_is_a_busy_failure(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "MAX_WAITING_JOBS", 1)
    engine = Engine(tmp_path / "tina.db", monotonic=time)
    await engine.open()
    is_busy, may_go_on = threading.Event(), threading.Event()

    def occupy(connection: apsw.Connection) -> None:
        is_busy.set()
        may_go_on.wait(5)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(engine.write, occupy)
            await anyio.to_thread.run_sync(is_busy.wait, 5)
            group.start_soon(engine.write, texts)
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            with pytest.raises(StorageFailure, match="wait for the database"):
                await engine.write(texts)
            may_go_on.set()
    await engine.close()


async def test_durable_groups_are_synced_and_others_once_a_second(
    engine: Engine, time: Time
) -> None:
    def level(connection: apsw.Connection) -> int:
        number: int = connection.execute("PRAGMA synchronous").get
        return number

    time.now_s = 10.0
    levels = [await engine.write(level, is_durable=True)]
    time.now_s = 10.5
    levels.append(await engine.write(level, is_durable=False))
    time.now_s = 11.0
    levels.append(await engine.write(level, is_durable=False))
    time.now_s = 11.1
    levels.append(await engine.write(level, is_durable=False))

    full, normal = 2, 1
    assert levels == [full, normal, full, normal]


async def test_a_long_log_is_moved_into_the_file_beside_the_writer(
    engine: Engine, tmp_path: Path
) -> None:
    size_before = (tmp_path / "tina.db").stat().st_size
    page = "x" * 100_000

    with anyio.fail_after(20):
        while (tmp_path / "tina.db").stat().st_size < size_before + 1_000_000:
            await engine.write(lambda connection: add(connection, page))

    assert "tina-checkpointer" in {thread.name for thread in threading.enumerate()}
