"""The programs in examples/, run as their first lines say."""

import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import tina

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.anyio


async def test_the_list_is_watched_while_another_process_asks() -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "watch_a_list.py", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        try:
            with anyio.fail_after(60):
                first = await anyio.to_thread.run_sync(watching.stdout.readline)
                async with tina.open() as app:
                    made = await app.conversations.create("Fjords")
                    lines = await anyio.to_thread.run_sync(watching.stdout.readlines)
        finally:
            watching.kill()
        errors = watching.stderr.read()

    assert first == "-- 0 conversation(s)\n"
    assert lines == ["-- 1 conversation(s)\n", f"{made.id[:16]}  Fjords\n", "    \n"]
    assert errors == ""
