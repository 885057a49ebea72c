"""Many processes write into one file: nobody is told "locked", nothing is lost."""

import json
import subprocess
import sys
from pathlib import Path

import anyio
import apsw
import pytest

from tina.database.engine.engine import Engine
from tina.domain.failures import BusyFailure
from tina.wiring.system import SystemClock

PROCESSES = 16
WRITES = 1000
GIVE_UP_S = 120
MOST_LOG_BYTES = 64 * 1024 * 1024

SCRIPT = """
import json, sys
from pathlib import Path
import anyio
from tina.database.engine.engine import Engine
from tina.domain.failures import Failure
from tina.wiring.system import SystemClock

ADD = "INSERT INTO journal (message_id, events) VALUES (x'00', :text)"

async def main(path, name, writes):
    engine = Engine(Path(path), monotonic=SystemClock().monotonic)
    failures, longest_bytes = [], 0
    try:
        await engine.open()
        for number in range(int(writes)):
            text = f"{name} {number}"
            try:
                await engine.write(lambda c: c.execute(ADD, {"text": text}) and None)
            except Failure as failure:
                failures.append(failure.kind)
            log_bytes = Path(path + "-wal").stat().st_size
            longest_bytes = max(longest_bytes, log_bytes)
    finally:
        await engine.close()
    print(json.dumps([failures, longest_bytes]))

anyio.run(main, *sys.argv[1:])
"""


@pytest.mark.requirement("database:processes:nobody-locked-out")
def test_many_processes_write_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "tina.db"

    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path), str(name), str(WRITES)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in range(PROCESSES)
    ]
    outputs = [process.communicate(timeout=GIVE_UP_S) for process in processes]

    assert [process.returncode for process in processes] == [0] * PROCESSES, outputs
    results = [json.loads(printed) for printed, _ in outputs]
    assert [failures for failures, _ in results] == [[]] * PROCESSES
    assert max(longest for _, longest in results) <= MOST_LOG_BYTES
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    stored = [text for (text,) in connection.execute("SELECT events FROM journal")]
    connection.close()
    expected = {f"{p} {n}" for p in range(PROCESSES) for n in range(WRITES)}
    assert len(stored) == len(expected)
    assert set(stored) == expected


@pytest.mark.anyio
@pytest.mark.requirement("database:locked:told-within-seconds")
async def test_a_database_that_is_locked_for_long_is_told_while_readers_never_wait(
    tmp_path: Path,
) -> None:
    clock = SystemClock()
    engine = Engine(tmp_path / "tina.db", monotonic=clock.monotonic)
    await engine.open()
    holder = apsw.Connection(str(tmp_path / "tina.db"))
    holder.execute("BEGIN IMMEDIATE")
    ends: list[float] = []
    reads: list[float] = []
    begun_s = clock.monotonic()

    async def write() -> None:
        with pytest.raises(BusyFailure, match="Try again"):
            await engine.write(lambda connection: connection.total_changes())
        ends.append(clock.monotonic() - begun_s)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(write)
            while not ends:
                read_s = clock.monotonic()
                await engine.read(lambda connection: connection.pragma("user_version"))
                reads.append(clock.monotonic() - read_s)
                await clock.sleep(0.05)

    holder.close()
    await engine.close()
    assert 4.5 <= ends[0] <= 8.0
    assert max(reads) < 1.0
    assert len(reads) > 20
