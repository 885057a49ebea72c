"""A thousand answers at once in one process: exact, not mixed, in little memory."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.many_streams import STREAMS

ROOT = Path(__file__).parents[2]
PROGRAM = (sys.executable, "-m", "tests.faults.many_streams")
GIVE_UP_S = 120
MOST_MB = 300


@pytest.fixture
def port() -> Iterator[str]:
    """Of a server in a process of its own."""
    with subprocess.Popen(
        [*PROGRAM, "serve"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


@pytest.mark.requirement("providers:thousand-streams")
def test_a_thousand_answers_at_once_are_exact_and_take_little_memory(
    port: str,
) -> None:
    done = subprocess.run(
        [*PROGRAM, "ask", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )

    assert done.stderr == ""
    found = json.loads(done.stdout)
    print(done.stdout)
    assert found["wrong"] == []
    assert found["exact"] == STREAMS
    assert found["most_open"] == STREAMS
    assert found["sockets_left"] == 0
    assert found["peak_mb"] <= MOST_MB
