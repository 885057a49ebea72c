"""Starts the server and the clients, in random order, and keeps what they measured."""

import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple, TypeAlias

from benchmarks._streaming_clients import RAW_SOCKET, Client
from benchmarks.startup import cpu_of

Figures: TypeAlias = dict[str, Any]
Results: TypeAlias = dict[str, dict[str, list[Figures]]]
"""Mode → client → what each round measured."""

_CHILD_LIMIT_S = 300
_LADDER_P99_MS = 100.0
_LADDER_FIRST = 25
_LADDER_MOST = 1_600
_LADDER_STEP = 1.1
_LADDER_DELTAS = 100


class Server(NamedTuple):
    port: int


@contextmanager
def serving(counts: Sequence[int]) -> Generator[Server]:
    """A server that has answers of these lengths ready."""
    raise_descriptor_limit()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks._streaming_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline())
            process.stdin.write(" ".join(map(str, counts)) + "\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            yield Server(port)
        finally:
            process.stdin.close()


def raise_descriptor_limit() -> None:
    """As many sockets as the system allows; the children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def run_client(
    server: Server, name: str, modes: Mapping[str, Sequence[int]]
) -> Mapping[str, Figures]:
    """What one client measures in a process of its own."""
    asked = [f"{mode}={','.join(map(str, numbers))}" for mode, numbers in modes.items()]
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "benchmarks._streaming_child",
                name,
                str(server.port),
                *asked,
            ],
            capture_output=True,
            text=True,
            timeout=_CHILD_LIMIT_S,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return {mode: {"wrong": f"no end in {_CHILD_LIMIT_S} s"} for mode in modes}
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().rpartition("\n")[2]
        return {mode: {"wrong": last} for mode in modes}
    return json.loads(done.stdout.splitlines()[-1])


def run_rounds(
    server: Server,
    clients: Sequence[Client],
    modes: Mapping[str, Sequence[int]],
    *,
    rounds: int,
    is_apart: bool,
) -> Results:
    """Each client in each mode, once a round, in random order.

    Args:
        is_apart: a process for each mode; otherwise one for all modes of a client.
    """
    results: Results = {mode: {} for mode in modes}
    groups = [[mode] for mode in modes] if is_apart else [list(modes)]
    for number in range(rounds):
        for group in groups:
            runs = [
                (client.name, {mode: modes[mode] for mode in group})
                for client in clients
            ]
            if "ttft" in group:
                runs.append((RAW_SOCKET.name, {"socket": modes["ttft"]}))
            random.shuffle(runs)
            for name, asked in runs:
                note(f"round {number + 1} of {rounds}: {name}, {', '.join(asked)}")
                for mode, figures in run_client(server, name, asked).items():
                    results.setdefault(mode, {}).setdefault(name, []).append(figures)
    return results


def climb(server: Server, client: Client) -> Figures:
    """The most streams of 50 tokens/s that one process keeps up with.

    That is: at most one piece in a hundred is read later than the limit. All streams
    end at the same moment; how long their end takes is shown, and judges nothing.
    """
    good, figures = 0, Figures()
    bad = _LADDER_MOST + 1
    level = _LADDER_FIRST
    while good < level < bad:
        found = _try_level(server, client, level)
        if found is not None:
            good, figures = level, found
        else:
            bad = level
        if good == 0:
            level //= 2
        elif bad > _LADDER_MOST:
            level = min(level * 2, _LADDER_MOST)
        else:
            level = (good + bad) // 2 if bad / good > _LADDER_STEP else good
    return {"streams": good, **figures}


def _try_level(server: Server, client: Client, level: int) -> Figures | None:
    """What it measures there; None if it did not keep up, twice."""
    for _ in range(2):  # once may be the fault of something else on the machine
        note(f"{client.name}: {level} streams")
        run = run_client(server, client.name, {"paced": (level, _LADDER_DELTAS)})
        if _keeps_up(run["paced"]):
            return run["paced"]
    return None


def _keeps_up(figures: Figures) -> bool:
    return "wrong" not in figures and figures["p99_ms"] < _LADDER_P99_MS


def measure_imports(packages: Sequence[str], *, rounds: int) -> dict[str, float]:
    """CPU milliseconds of `import` over a bare Python, medians; interleaved."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE"
    }
    env["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    commands = {"": [sys.executable, "-c", "pass"]}
    for package in packages:
        commands[package] = [sys.executable, "-c", f"import {package}"]
        cpu_of(commands[package], env)  # writes the bytecode
    samples: dict[str, list[float]] = {package: [] for package in commands}
    for _ in range(rounds):
        for package, command in random.sample(list(commands.items()), len(commands)):
            samples[package].append(cpu_of(command, env))
    bare = median(samples.pop(""))
    return {package: median(found) - bare for package, found in samples.items()}


def middle(results: Results, mode: str, name: str, field: str) -> float | None:
    """The median of the rounds; None if it was not measured, or one was wrong."""
    runs = results.get(mode, {}).get(name, [])
    if not runs or any("wrong" in figures for figures in runs):
        return None
    return median(figures[field] for figures in runs)


def wrong_runs(results: Results) -> dict[str, set[str]]:
    """Who read something wrong, or could not at all → in which modes."""
    wrong: dict[str, set[str]] = {}
    for mode, by_name in results.items():
        for name, runs in by_name.items():
            for figures in runs:
                if "wrong" in figures:
                    wrong.setdefault(f"{name}: {figures['wrong']}", set()).add(mode)
    return wrong


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
