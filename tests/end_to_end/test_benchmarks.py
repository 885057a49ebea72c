"""The benchmarks run; what they measure is judged elsewhere, on a quiet machine."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIENTS = ("aiohttp, chat", "tina, chat", "tina stored, chat", "openai chat")


def test_streaming_is_measured_and_every_text_is_right() -> None:
    only = [word for name in CLIENTS for word in ("--only", name)]

    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.streaming", "--quick", *only],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "wrong" not in done.stdout
    for name in CLIENTS:
        assert f"| {name} | " in done.stdout
