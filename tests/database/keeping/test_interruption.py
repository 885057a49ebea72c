"""Work in a thread: its result, its error, and that it ends when it is cancelled."""

import os
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import apsw
import pytest

from tina.database.keeping.interruption import Stop, StoppedError, run_in_thread

pytestmark = pytest.mark.anyio


async def test_the_result_comes_back() -> None:
    assert await run_in_thread(lambda stop: 1 + 1) == 2


async def test_the_error_comes_back() -> None:
    def work(_: Stop) -> None:
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        await run_in_thread(work)


async def test_work_that_is_cancelled_is_asked_to_stop_and_waited_for() -> None:
    ended = threading.Event()
    begun = threading.Event()

    def work(stop: Stop) -> None:
        begun.set()
        try:
            while True:
                stop.check()
        finally:
            ended.set()

    async def run() -> None:
        await run_in_thread(work)
        pytest.fail("it went on after it was cancelled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()

    assert ended.is_set()


async def test_what_it_keeps_is_closed_when_it_ends(tmp_path: Path) -> None:
    kept = os.open(tmp_path, os.O_RDONLY)

    await run_in_thread(lambda stop: os.fstat(kept), lock=lambda: kept)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(kept)


def test_a_statement_ends_when_it_is_asked_to_stop() -> None:
    stop = Stop()
    connection = apsw.Connection(":memory:")
    stop.watch(connection)
    stop.ask()

    with pytest.raises(apsw.InterruptError):
        connection.execute(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
            " SELECT count(*) FROM n"
        )
    with pytest.raises(StoppedError):
        stop.watch(connection)
    connection.close()
