"""What it costs to start: `tina --version`, and `tina ask` until its request leaves.

CPU time of the whole process (all threads, user and system), medians over interleaved
runs, beside `python -c pass` in the same run. Promised: `--version` in 120 ms, `ask`
in 300 ms before the first byte leaves. Linux only: it reads /proc.

    python benchmarks/startup.py [runs]
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tina.testing.server import (
    ReceivedRequest,
    Recording,
    chat_recording,
    playback_thread,
)

RUNS = 15
PROMISES_MS = {"tina --version": 120.0, "tina ask, until the request leaves": 300.0}


def environment(home: str, base_url: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**kept, "TINA_HOME": home, "OPENAI_BASE_URL": base_url}


def cpu_of(command: list[str], env: dict[str, str]) -> float:
    """CPU milliseconds of a whole process."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return (usage.ru_utime + usage.ru_stime) * 1000


def cpu_now(pid: int) -> float:
    """CPU milliseconds that a living process has used, all threads."""
    spent_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        spent_ns += int((thread / "schedstat").read_text().split()[0])
    return spent_ns / 1e6


def cpu_until_asked(env: dict[str, str], noted: list[float], pid: list[int]) -> float:
    process = subprocess.Popen(
        [sys.executable, "-m", "tina", "ask", "-m", "openai:x", "--no-stdin", "Hi"],
        env=env,
        stdout=subprocess.DEVNULL,
    )
    pid[:] = [process.pid]
    assert process.wait(60) == 0
    return noted[-1]


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    noted: list[float] = []
    pid: list[int] = []

    def answer(request: ReceivedRequest) -> Recording:
        noted.append(cpu_now(pid[0]))
        return chat_recording(["Hello."])

    with tempfile.TemporaryDirectory() as home, playback_thread(answer) as server:
        env = environment(home, server.base_url)
        python = sys.executable
        measures: dict[str, Callable[[], float]] = {
            "python -c pass": lambda: cpu_of([python, "-c", "pass"], env),
            "tina --version": lambda: cpu_of([python, "-m", "tina", "--version"], env),
            "tina --help": lambda: cpu_of([python, "-m", "tina", "--help"], env),
            "tina log": lambda: cpu_of([python, "-m", "tina", "log"], env),
            "tina ask, until the request leaves": lambda: cpu_until_asked(
                env, noted, pid
            ),
        }
        for measure in measures.values():
            measure()  # writes the bytecode
        samples: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(runs):
            for name, measure in measures.items():
                samples[name].append(measure())
    return report(samples)


def report(samples: dict[str, list[float]]) -> int:
    floor = statistics.median(samples["python -c pass"])
    is_kept = True
    print("| | CPU ms, median | over python -c pass | ratio | promised |")
    print("|---|---:|---:|---:|---:|")
    for name, found in samples.items():
        median = statistics.median(found)
        promised = PROMISES_MS.get(name)
        told = "" if promised is None else f"{promised:.0f}"
        print(
            f"| {name} | {median:.0f} | {median - floor:.0f} "
            f"| {median / floor:.1f}x | {told} |"
        )
        is_kept = is_kept and (promised is None or median <= promised)
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
