"""Tables in Markdown, and each goal beside what was measured, met or missed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks._streaming_runs import Figures, Results, middle, wrong_runs

_TABLES: dict[str, tuple[str, dict[str, str]]] = {
    "blast": (
        "Blast: chunks of 16 KiB, as fast as it goes",
        {"cpu_us": "CPU µs a delta", "wall_us": "wall µs a delta"},
    ),
    "flush": (
        "Flush: every event a segment of its own, as fast as it goes",
        {"cpu_us": "CPU µs a delta", "wall_us": "wall µs a delta"},
    ),
    "paced": (
        "Paced: {0} streams of 50 tokens a second",
        {
            "cpu_us": "CPU µs a delta",
            "p50_ms": "lag, median ms",
            "p99_ms": "lag, 99th percentile ms",
        },
    ),
    "ttft": (
        "To the first text, on a warm connection",
        {"wait_us": "µs", "cpu_us": "CPU µs a request"},
    ),
    "memory": (
        "Memory of the process after its first answer",
        {"peak_mb": "most MB", "rss_mb": "MB then"},
    ),
    "idle": ("Open streams that fell silent: {0} of them", {"kb": "KB each"}),
    "growth": (
        "A delta of one answer of {0:,} times {1} deltas, and of {1} answers of {0:,}",
        {"long_us": "CPU µs, long", "short_us": "CPU µs, short", "ratio": "ratio"},
    ),
}


_LADDER = ("cpu_us", "p99_ms", "end_ms")


class Bar(NamedTuple):
    """A goal: `measured` is at most, or (`is_least`) at least, `must`."""

    number: int
    what: str
    unit: str
    measured: float | None
    must: float
    stretch: float
    is_least: bool = False

    def keeps(self, bar: float) -> bool:
        if self.measured is None:
            return False
        return self.measured >= bar if self.is_least else self.measured <= bar


class Findings(NamedTuple):
    """Everything that was measured. `ladder` and `imports` are by name."""

    results: Results
    ladder: Mapping[str, Figures]
    imports: Mapping[str, float]


def show_tables(found: Findings, modes: Mapping[str, Sequence[int]]) -> Iterator[str]:
    """The lines of all tables; the cheapest stands first."""
    for mode, (title, columns) in _TABLES.items():
        if found.results.get(mode):
            yield from _table(found.results, mode, title.format(*modes[mode]), columns)
    if found.ladder:
        yield "\n### The most streams of 50 tokens a second in one process\n"
        columns = "streams | CPU µs a delta | lag, 99th percentile ms | last end ms"
        yield f"| | {columns} |\n|---|---:|---:|---:|---:|"
        for name, figures in sorted(
            found.ladder.items(), key=lambda entry: -entry[1]["streams"]
        ):
            cells = [_shown(figures.get(field)) for field in _LADDER]
            yield f"| {name} | {figures['streams']} | {' | '.join(cells)} |"
    if found.imports:
        yield "\n### Importing, over a bare Python\n"
        yield "| | CPU ms |\n|---|---:|"
        for package, cost_ms in sorted(found.imports.items(), key=lambda item: item[1]):
            yield f"| `import {package}` | {_shown(cost_ms)} |"


def _table(
    results: Results, mode: str, title: str, columns: Mapping[str, str]
) -> Iterator[str]:
    first = next(iter(columns))
    names = [*results[mode], *(results.get("socket", {}) if mode == "ttft" else {})]
    kept = {
        name: middle(results, "socket" if name == "raw socket" else mode, name, first)
        for name in names
    }
    yield f"\n### {title}\n"
    yield f"| | {' | '.join(columns.values())} |"
    yield f"|---|{'---:|' * len(columns)}"
    for name in sorted(names, key=lambda name: kept[name] or float("inf")):
        source = "socket" if name == "raw socket" else mode
        if kept[name] is None:
            yield f"| {name} | **wrong** |{' |' * (len(columns) - 1)}"
            continue
        cells = [_shown(middle(results, source, name, field)) for field in columns]
        yield f"| {name} | {' | '.join(cells)} |"


def show_goals(bars: Sequence[Bar]) -> Iterator[str]:
    yield "\n### The goals\n"
    yield "| | goal | measured | must | | stretch | |"
    yield "|---|---|---:|---:|---|---:|---|"
    for bar in bars:
        sign = "≥" if bar.is_least else "≤"
        yield (
            f"| {bar.number} | {bar.what} | {_shown(bar.measured)}{bar.unit} "
            f"| {sign} {bar.must:g}{bar.unit} | {_verdict(bar, bar.must)} "
            f"| {sign} {bar.stretch:g}{bar.unit} | {_verdict(bar, bar.stretch)} |"
        )


def _verdict(bar: Bar, limit: float) -> str:
    if bar.measured is None:
        return "not measured"
    return "met" if bar.keeps(limit) else "**missed**"


def show_wrong(results: Results) -> Iterator[str]:
    wrong = wrong_runs(results)
    if wrong:
        yield "\n### Read wrong, so not timed\n"
        for line, modes in wrong.items():
            yield f"- {line} ({', '.join(sorted(modes))})"


def _shown(number: float | None) -> str:
    if number is None:
        return "–"  # noqa: RUF001 - a dash in a table cell, not a minus sign
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def goals(found: Findings) -> list[Bar]:
    """The bars that what was measured can be held to."""
    return [
        bar
        for bar in (*_speed(found), *_paced(found), *_rest(found))
        if bar.measured is not None
    ]


def _cost(found: Findings, mode: str, name: str, field: str = "cpu_us") -> float | None:
    return middle(found.results, mode, name, field)


def _over(cost: float | None, own: float | None) -> float | None:
    """How many times as much."""
    return None if cost is None or not own else cost / own


def _speed(found: Findings) -> Iterator[Bar]:
    anthropic = _cost(found, "blast", "tina, anthropic")
    yield Bar(1, "blast, Anthropic: CPU a delta", " µs", anthropic, 4, 2)
    for name, must, stretch in (
        ("anthropic raw events", 5, 10),
        ("anthropic text_stream", 10, 20),
        ("litellm, anthropic", 100, 200),
    ):
        times = _over(_cost(found, "blast", name), anthropic)
        yield Bar(1, f"{name} costs", "x", times, must, stretch, is_least=True)
    chat = _cost(found, "blast", "tina, chat")
    yield Bar(2, "blast, chat: CPU a delta", " µs", chat, 5, 2.5)
    for name, must, stretch in (("openai chat", 20, 40), ("litellm, chat", 90, 180)):
        times = _over(_cost(found, "blast", name), chat)
        yield Bar(2, f"{name} costs", "x", times, must, stretch, is_least=True)
    flush = _cost(found, "flush", "tina, anthropic")
    for name, must, stretch in (
        ("anthropic raw events", 4, 6),
        ("anthropic text_stream", 8, 11),
        ("litellm, anthropic", 50, 85),
    ):
        times = _over(_cost(found, "flush", name), flush)
        yield Bar(3, f"flush: {name} costs", "x", times, must, stretch, is_least=True)


def _paced(found: Findings) -> Iterator[Bar]:
    for kind in ("anthropic", "chat"):
        own = _cost(found, "paced", f"tina, {kind}")
        floor = _cost(found, "paced", f"aiohttp, {kind}")
        what = f"paced, {kind}: over bare aiohttp"
        yield Bar(4, what, "x", _over(own, floor), 1.25, 1.0)
    for name, own, must, stretch in (
        ("anthropic raw events", "tina, anthropic", 2, 3.4),
        ("openai chat", "tina, chat", 3, 4.5),
        ("litellm, anthropic", "tina, anthropic", 5, 8),
    ):
        times = _over(_cost(found, "paced", name), _cost(found, "paced", own))
        yield Bar(4, f"paced: {name} costs", "x", times, must, stretch, is_least=True)
    streams = {name: run["streams"] for name, run in found.ladder.items()}
    most = streams.get("tina, anthropic")
    yield Bar(5, "streams of 50 tokens a second", "", most, 500, 1_000, is_least=True)
    for name, must in (("anthropic raw events", 2.5), ("litellm, chat", 15)):
        times = _over(most, streams.get(name))
        yield Bar(5, f"over those of {name}", "x", times, must, must, is_least=True)


def _rest(found: Findings) -> Iterator[Bar]:
    wait = _cost(found, "ttft", "tina, anthropic", "wait_us")
    socket = _cost(found, "socket", "raw socket", "wait_us")
    above = None if wait is None or socket is None else (wait - socket) / 1000
    yield Bar(6, "to the first text, over a raw socket", " ms", above, 0.5, 0.15)
    idle = _cost(found, "idle", "tina, anthropic", "kb")
    yield Bar(7, "memory of a silent stream", " KB", idle, 25, 10)
    peak = _cost(found, "memory", "tina, anthropic", "peak_mb")
    yield Bar(8, "memory after one stream", " MB", peak, 50, 32)
    imported = found.imports.get("tina")
    yield Bar(9, "`import tina`, over a bare Python", " ms", imported, 60, 30)
    for kind in ("anthropic", "chat"):
        ratio = _cost(found, "growth", f"tina, {kind}", "ratio")
        yield Bar(13, f"a delta of a long answer, {kind}", "x", ratio, 1.2, 1.0)
