"""Readers, checkpointer and writer at their edges."""

import asyncio
import threading
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import apsw
import pytest

from tina.database.engine import readers as readers_module
from tina.database.engine.engine import Engine
from tina.database.engine.health import Health
from tina.database.engine.readers import Readers
from tina.domain.failures import BusyFailure, ClosedFailure, StorageFailure

pytestmark = pytest.mark.anyio


class Gate:
    """Keeps a thread busy until it is opened."""

    def __init__(self) -> None:
        self.is_reached, self._may_go_on = threading.Event(), threading.Event()

    def __call__(self, _: apsw.Connection) -> None:
        self.is_reached.set()
        self._may_go_on.wait(5)

    def open(self) -> None:
        self._may_go_on.set()

    async def wait_until_reached(self) -> None:
        await anyio.to_thread.run_sync(self.is_reached.wait, 5)


def memory() -> apsw.Connection:
    return apsw.Connection(":memory:")


def make_readers() -> Readers:
    return Readers(
        Health(Path("x")), open_connection=lambda: (memory(), False), threads=1
    )


async def test_too_many_reads_are_a_busy_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers_module, "MAX_WAITING_READS", 1)
    readers = make_readers()
    gate = Gate()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(readers.read, gate)
            await gate.wait_until_reached()
            group.start_soon(readers.read, gate)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(BusyFailure, match="wait for the database"):
                await readers.read(gate)
            gate.open()
        await anyio.to_thread.run_sync(readers.stop)


async def test_a_cancelled_read_that_waits_is_not_done() -> None:
    readers = make_readers()
    gate, done = Gate(), threading.Event()

    async def read_late() -> None:
        await readers.read(lambda _: done.set())
        pytest.fail("it went on after it was cancelled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as outer:
            outer.start_soon(readers.read, gate)
            await gate.wait_until_reached()
            async with anyio.create_task_group() as inner:
                inner.start_soon(read_late)
                await anyio.wait_all_tasks_blocked()
                inner.cancel_scope.cancel()
            gate.open()
        await anyio.to_thread.run_sync(readers.stop)

    assert not done.is_set()


async def test_a_read_that_is_cancelled_while_it_runs_harms_nobody() -> None:
    readers = make_readers()
    gate = Gate()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(readers.read, gate)
            await gate.wait_until_reached()
            group.cancel_scope.cancel()
        gate.open()
        answer = await readers.read(lambda c: c.execute("SELECT 7").get)
        await anyio.to_thread.run_sync(readers.stop)

    assert answer == 7


async def test_a_write_that_is_cancelled_while_it_runs_is_done_whole(
    tmp_path: Path,
) -> None:
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    await engine.open()
    gate = Gate()

    def write(connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO journal (message_id, events) VALUES (x'', '')")
        gate(connection)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(engine.write, write)
            await gate.wait_until_reached()
            group.cancel_scope.cancel()
        gate.open()
        await engine.write(lambda _: None)
        count = await engine.read(
            lambda c: c.execute("SELECT count(*) FROM journal").get
        )
        await engine.close()

    assert count == 1


async def test_a_transaction_that_the_disk_ended_fails_its_whole_group(
    tmp_path: Path,
) -> None:
    """SQLite rolls back by itself when the disk is full; a job does so here."""
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    await engine.open()

    def end_transaction(connection: apsw.Connection) -> None:
        connection.execute("ROLLBACK")
        raise OSError("the disk is gone")

    with anyio.fail_after(5):
        with pytest.raises(OSError, match="the disk is gone"):
            await engine.write(end_transaction)
        await engine.write(lambda _: None)
        await engine.close()


def test_an_answer_for_a_closed_loop_is_dropped(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)
    write_gate, read_gate = Gate(), Gate()

    async def leave_in_the_middle() -> None:
        await engine.open()
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(engine.write(write_gate)),
            loop.create_task(engine.read(read_gate)),
        ]
        await write_gate.wait_until_reached()
        await read_gate.wait_until_reached()
        for task in tasks:
            task.cancel()

    asyncio.run(leave_in_the_middle())
    write_gate.open()
    read_gate.open()

    asyncio.run(engine.close())

    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"tina-writer", "tina-reader"}


async def test_no_write_and_no_read_is_left_waiting_when_the_database_closes(
    tmp_path: Path,
) -> None:
    """Every call that races with closing ends: done, or with a `ClosedFailure`."""
    ends: list[str] = []

    async def use(engine: Engine) -> None:
        try:
            await engine.write(lambda _: None)
            await engine.read(lambda _: None)
        except ClosedFailure:
            ends.append("closed")
        else:
            ends.append("done")

    with anyio.fail_after(20):
        for number in range(20):
            engine = Engine(tmp_path / f"{number}.db", monotonic=lambda: 0.0)
            await engine.open()
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(use, engine)
                group.start_soon(engine.close)
                await anyio.lowlevel.checkpoint()
                for _ in range(10):
                    group.start_soon(use, engine)

    assert len(ends) == 20 * 20
    assert set(ends) <= {"closed", "done"}


async def test_a_database_that_is_held_while_it_is_made_is_a_busy_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tina.database.engine.sqlite.BUSY_TIMEOUT_MS", 20)
    holder = apsw.Connection(str(tmp_path / "tina.db"))
    holder.pragma("journal_mode", "wal")
    holder.execute("BEGIN IMMEDIATE")
    engine = Engine(tmp_path / "tina.db", monotonic=lambda: 0.0)

    with pytest.raises(BusyFailure):
        await engine.open()

    await engine.close()
    holder.close()


async def test_a_read_that_ended_its_transaction_says_why_it_failed() -> None:
    """An I/O error makes SQLite roll back; there is nothing to commit then."""
    readers = make_readers()

    def fail(connection: apsw.Connection) -> None:
        connection.execute("ROLLBACK")
        raise apsw.IOError("the disk is gone")

    with anyio.fail_after(5), pytest.raises(StorageFailure, match="the disk is gone"):
        await readers.read(fail)

    assert await readers.read(lambda connection: connection.in_transaction)
    await anyio.to_thread.run_sync(readers.stop)
