"""What streaming costs: Tina beside the vendors' SDKs, pydantic-ai and litellm.

    python -m benchmarks.streaming [--quick] [--rounds N] [--only WORD]...

One server on loopback (`_streaming_server`), each client in a process of its own, in
random order in each round; medians of the rounds. CPU is that of the client's whole
process. Every text and every count is compared with what was sent: a run that read
something else is reported as wrong and not timed. The floor is bare aiohttp with a
decoder that can do nothing else (`_streaming_floor`).

What is not installed is not measured; `scripts/bench` installs it all. `--quick` shows
in under a minute that it works, without pydantic-ai and litellm, and judges nothing.
`--only` keeps the clients whose name has the word. Otherwise it takes about half an
hour, and exits 1 if a goal that must be met is missed. Linux only: it reads /proc.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks._streaming_clients import BY_NAME, CLIENTS, Client
from benchmarks._streaming_report import (
    Findings,
    goals,
    show_goals,
    show_tables,
    show_wrong,
)
from benchmarks._streaming_runs import (
    Server,
    climb,
    measure_imports,
    run_rounds,
    serving,
    wrong_runs,
)


class Extent(NamedTuple):
    """How much is measured; `modes` as `_streaming_child` takes them."""

    modes: dict[str, tuple[int, ...]]
    rounds: int
    is_apart: bool
    ladder: tuple[str, ...]
    import_rounds: int


FULL = Extent(
    modes={
        "memory": (1_000,),
        "idle": (400,),
        "ttft": (200,),
        "blast": (10_000,),
        "flush": (10_000,),
        "growth": (1_000, 16),
        "paced": (20, 200),
    },
    rounds=3,
    is_apart=True,
    ladder=(
        "aiohttp, anthropic",
        "tina, anthropic",
        "tina stored, anthropic",
        "anthropic raw events",
        "anthropic text_stream",
        "aiohttp, chat",
        "tina, chat",
        "openai chat",
        "litellm, chat",
    ),
    import_rounds=9,
)
QUICK = Extent(
    modes={
        "memory": (100,),
        "idle": (10,),
        "ttft": (5,),
        "blast": (300,),
        "flush": (300,),
        "growth": (50, 4),
        "paced": (3, 10),
    },
    rounds=1,
    is_apart=False,
    ladder=(),
    import_rounds=1,
)
PACKAGES = (
    "tina",
    "aiohttp",
    "anthropic",
    "openai",
    "ollama",
    "pydantic_ai",
    "litellm",
)
_WARM_UP = (3, 200)
"""Lengths of answers that every client asks for beside those of the modes."""


def measure(extent: Extent, clients: Sequence[Client]) -> Findings:
    with serving(answer_lengths(extent)) as server:
        results = run_rounds(
            server,
            clients,
            extent.modes,
            rounds=extent.rounds,
            is_apart=extent.is_apart,
        )
        ladder = climb_all(server, extent, clients)
    here = {client.package for client in clients} | {"tina", "aiohttp"}
    packages = [package for package in PACKAGES if package in here]
    imports = measure_imports(packages, rounds=extent.import_rounds)
    return Findings(results, ladder, imports)


def climb_all(
    server: Server, extent: Extent, clients: Sequence[Client]
) -> dict[str, dict[str, object]]:
    climbers = [name for name in extent.ladder if BY_NAME[name] in clients]
    return {name: climb(server, BY_NAME[name]) for name in climbers}


def answer_lengths(extent: Extent) -> list[int]:
    modes = extent.modes
    short, times = modes["growth"]
    lengths = {short, short * times, *_WARM_UP}
    lengths |= {modes[mode][0] for mode in ("memory", "blast", "flush")}
    return sorted(lengths | {modes["paced"][1]})


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="What streaming costs.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--only", action="append", default=[])
    asked = parser.parse_args(arguments)
    extent = QUICK if asked.quick else FULL
    if asked.rounds:
        extent = extent._replace(rounds=asked.rounds)
    wanted = [
        client
        for client in CLIENTS
        if (
            any(word in client.name for word in asked.only)
            if asked.only
            else not (asked.quick and client.is_slow)
        )
    ]
    clients = [client for client in wanted if client.is_here]
    found = measure(extent, clients)
    for line in show_tables(found, extent.modes):
        print(line)
    absent = [client.name for client in wanted if client not in clients]
    if absent:
        print(f"\nNot installed: {'; '.join(absent)}.")
    for line in show_wrong(found.results):
        print(line)
    if asked.quick:
        return 1 if wrong_runs(found.results) else 0
    bars = goals(found)
    for line in show_goals(bars):
        print(line)
    is_good = all(bar.keeps(bar.must) for bar in bars)
    return 0 if is_good and not wrong_runs(found.results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
