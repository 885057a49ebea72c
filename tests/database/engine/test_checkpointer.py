"""The log is moved beside the writer, stays small, and is cut when nobody writes."""

import logging
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from tina.database.engine import checkpointer as checkpointer_module
from tina.database.engine.checkpointer import (
    ALARM_PAGES,
    FLOOD_PAGES,
    WAL_PAGES,
    Checkpointer,
)
from tina.database.engine.engine import Engine
from tina.domain.failures import BusyFailure

pytestmark = pytest.mark.anyio

PAGE_BYTES = 4096
MIB = 1024 * 1024


def memory() -> apsw.Connection:
    return apsw.Connection(":memory:")


def adding(text_bytes: int) -> Callable[[apsw.Connection], None]:
    def add(connection: apsw.Connection) -> None:
        connection.execute(
            "INSERT INTO journal (message_id, events) VALUES (x'00', :text)",
            {"text": "x" * text_bytes},
        )

    return add


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    await engine.open()
    yield engine
    await engine.close()


async def test_a_checkpoint_that_fails_is_tried_again() -> None:
    """Locks of another process make a checkpoint fail; the log keeps everything."""
    calls: list[str] = []
    connected = threading.Event()

    def open_connection() -> apsw.Connection:
        calls.append("opened")
        connected.set()
        if len(calls) == 1:
            raise BusyFailure("on purpose")
        connection = memory()
        connection.execute("BEGIN EXCLUSIVE; CREATE TABLE t (x)")
        return connection

    checkpointer = Checkpointer(open_connection=open_connection)
    checkpointer.ring(memory(), WAL_PAGES - 1)
    assert calls == []

    checkpointer.ring(memory(), WAL_PAGES)
    await anyio.to_thread.run_sync(connected.wait, 5)
    checkpointer.wake()
    await anyio.to_thread.run_sync(checkpointer.stop)
    checkpointer.wake()

    assert calls[0] == "opened"


@pytest.mark.requirement("database:log:bounded")
async def test_another_process_that_moves_the_log_is_worth_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried = threading.Event()

    class Locked(apsw.Connection):
        def wal_checkpoint(
            self, dbname: str | None = None, mode: int = 0
        ) -> tuple[int, int]:
            tried.set()
            raise apsw.BusyError("database is locked")

    checkpointer = Checkpointer(open_connection=lambda: Locked(":memory:"))
    with caplog.at_level(logging.WARNING):
        checkpointer.wake()
        await anyio.to_thread.run_sync(tried.wait, 5)
        await anyio.to_thread.run_sync(checkpointer.stop)

    assert tried.is_set()
    assert caplog.records == []


async def test_the_log_stays_small_under_a_flood_of_writes(
    tmp_path: Path, engine: Engine
) -> None:
    log = tmp_path / "tina.db-wal"
    largest_bytes = 0

    with anyio.fail_after(60):
        for _ in range(300):
            await engine.write(adding(512 * 1024), is_durable=False)
            await engine.read(lambda connection: connection.pragma("user_version"))
            largest_bytes = max(largest_bytes, log.stat().st_size)

    assert largest_bytes <= 64 * MIB


async def test_a_log_that_is_held_by_a_reader_is_moved_when_he_is_gone(
    tmp_path: Path, engine: Engine
) -> None:
    log = tmp_path / "tina.db-wal"
    is_reading, may_go_on = threading.Event(), threading.Event()
    held_bytes = 0

    def read_for_long(connection: apsw.Connection) -> None:
        connection.pragma("user_version")
        is_reading.set()
        may_go_on.wait(30)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(engine.read, read_for_long)
            await anyio.to_thread.run_sync(is_reading.wait, 5)
            for _ in range(80):
                await engine.write(adding(MIB), is_durable=False)
            held_bytes = log.stat().st_size
            may_go_on.set()
        for _ in range(40):
            await engine.write(adding(MIB), is_durable=False)

    assert held_bytes > 64 * MIB
    assert log.stat().st_size <= 64 * MIB


@pytest.mark.parametrize(
    ("pages", "warnings"),
    [
        ([ALARM_PAGES - 1], 0),
        ([ALARM_PAGES, ALARM_PAGES + 1], 1),
        ([ALARM_PAGES, WAL_PAGES - 1, ALARM_PAGES], 2),
    ],
)
async def test_a_log_that_grows_and_grows_is_told_once(
    pages: list[int], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    checkpointer = Checkpointer(open_connection=memory)
    connection = memory()

    with caplog.at_level(logging.WARNING):
        for count in pages:
            checkpointer.ring(connection, count)

    connection.close()
    assert caplog.text.count("log_is_large") == warnings


async def test_a_writer_that_cannot_move_the_log_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    checkpointer = Checkpointer(open_connection=memory)
    closed = memory()
    closed.close()

    checkpointer.ring(closed, FLOOD_PAGES)

    assert "checkpoint_failed" in caplog.text


async def test_when_nobody_writes_the_log_is_cut_to_nothing(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer_module, "IDLE_S", 0.01)
    monkeypatch.setattr(checkpointer_module, "PAUSE_S", 0.01)
    log = tmp_path / "tina.db-wal"
    for _ in range(10):
        await engine.write(adding(MIB))

    with anyio.fail_after(10):
        while log.stat().st_size > 0:
            await anyio.to_thread.run_sync(threading.Event().wait, 0.01)

    assert log.stat().st_size == 0


async def test_a_cut_that_somebody_prevents_is_tried_again(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer_module, "IDLE_S", 0.01)
    monkeypatch.setattr(checkpointer_module, "PAUSE_S", 0.01)
    log = tmp_path / "tina.db-wal"
    is_reading, may_go_on = threading.Event(), threading.Event()
    held_bytes = 0

    def read_for_long(connection: apsw.Connection) -> None:
        connection.pragma("user_version")
        is_reading.set()
        may_go_on.wait(30)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(engine.read, read_for_long)
            await anyio.to_thread.run_sync(is_reading.wait, 5)
            for _ in range(10):
                await engine.write(adding(MIB))
            await anyio.to_thread.run_sync(threading.Event().wait, 0.2)
            held_bytes = log.stat().st_size
            may_go_on.set()
        while log.stat().st_size > 0:
            await anyio.to_thread.run_sync(threading.Event().wait, 0.01)

    assert held_bytes >= 10 * MIB
