"""One client in a process of its own: asked, timed, and its texts compared.

    python -m benchmarks._streaming_child CLIENT PORT MODE=NUMBERS...

Prints one JSON object: for each mode what was measured, or why it counts for nothing.
"""

import asyncio
import gc
import json
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any, TypeAlias, cast

from benchmarks._streaming_clients import BY_NAME, Ask, Counts, OnText
from benchmarks._streaming_server import Pace, Play
from benchmarks._streaming_wire import DELTA_CHARS, INPUT_TOKENS, text

Figures: TypeAlias = dict[str, Any]

TOKENS_PER_S = 50
LEAD_S = 0.5
"""Until the first delta of a paced run is due, and more for each stream to open."""

PATIENCE_S = 5.0
_WARM = 200
_COLD = 5


class WrongAnswerError(Exception):
    """What a client read is not what was sent."""


def check(said: list[str], counts: Counts, count: int) -> None:
    read = "".join(said)
    if read != text(count):
        raise WrongAnswerError(
            f"the text is wrong: {len(read)} characters for {len(text(count))}"
        )
    if counts != (INPUT_TOKENS, count):
        raise WrongAnswerError(f"counted {counts} for {(INPUT_TOKENS, count)}")


async def stream(ask: Ask, pace: Pace, count: int) -> None:
    said: list[str] = []
    counts = await ask(Play(pace, count).prompt, said.append)
    check(said, counts, count)


async def measure_speed(ask: Ask, pace: Pace, count: int, times: int = 1) -> Figures:
    """CPU of all threads, and time, per delta."""
    await stream(ask, pace, _WARM)
    gc.collect()
    begun, spent = time.perf_counter(), time.process_time()
    for _ in range(times):
        await stream(ask, pace, count)
    spent, begun = time.process_time() - spent, time.perf_counter() - begun
    deltas = count * times / 1e6
    return {"cpu_us": spent / deltas, "wall_us": begun / deltas}


async def blast(ask: Ask, count: int) -> Figures:
    return await measure_speed(ask, Pace.BLAST, count)


async def flush(ask: Ask, count: int) -> Figures:
    return await measure_speed(ask, Pace.FLUSH, count)


async def growth(ask: Ask, small: int, times: int) -> Figures:
    """What a delta costs in a long answer, over what it costs in short ones."""
    short = await measure_speed(ask, Pace.BLAST, small, times)
    long = await measure_speed(ask, Pace.BLAST, small * times)
    return {
        "short_us": short["cpu_us"],
        "long_us": long["cpu_us"],
        "ratio": long["cpu_us"] / short["cpu_us"],
    }


async def paced(ask: Ask, streams: int, count: int) -> Figures:
    """Streams at 50 tokens/s; lag is from when a delta was due to when it was read."""
    await stream(ask, Pace.BLAST, _WARM)
    gc.collect()
    lags, ends = array("d"), array("d")
    gap_s = 1 / TOKENS_PER_S
    begin_s = time.monotonic() + LEAD_S + min(6.0, streams * 0.01)
    spent = time.process_time()
    # asyncio's clock is the monotonic one.
    ends_at = begin_s + count * gap_s + PATIENCE_S
    async with asyncio.timeout_at(ends_at), asyncio.TaskGroup() as group:
        for number in range(streams):
            at_s = begin_s + gap_s * number / streams
            play = Play(Pace.PACED, count, at_s, gap_s)
            group.create_task(_follow(ask, play, lags, ends))
    spent = time.process_time() - spent
    cuts = quantiles(lags, n=100)
    return {
        "cpu_us": spent / (streams * count) * 1e6,
        "p50_ms": cuts[49] * 1000,
        "p99_ms": cuts[98] * 1000,
        "end_ms": max(ends) * 1000,
    }


async def _follow(
    ask: Ask, play: Play, lags: "array[float]", ends: "array[float]"
) -> None:
    said: list[str] = []
    read_chars = 0

    def note(piece: str) -> None:
        nonlocal read_chars
        now = time.monotonic()
        first = read_chars // DELTA_CHARS
        read_chars += len(piece)
        for number in range(first, read_chars // DELTA_CHARS):
            lags.append(now - play.start_s - number * play.gap_s)
        said.append(piece)

    counts = await ask(play.prompt, note)
    check(said, counts, play.deltas)
    ends.append(time.monotonic() - play.start_s - play.deltas * play.gap_s)


async def ttft(ask: Ask, times: int) -> Figures:
    """From the call to the first text, on a warm connection; short answers."""
    count = 3
    return await _time_to_first(
        ask, times, lambda said, counts: check(said, counts, count), count
    )


async def socket_ttft(ask: Ask, times: int) -> Figures:
    """The same without anything that reads what arrives."""
    return await _time_to_first(ask, times, lambda said, counts: None, 3)


async def _time_to_first(
    ask: Ask, times: int, examine: Callable[[list[str], Counts], None], count: int
) -> Figures:
    prompt = Play(Pace.WHOLE, count).prompt
    waits: list[float] = []
    cpu: list[float] = []
    for _ in range(times + _COLD):
        noted: list[float] = []
        said: list[str] = []
        spent, begun = time.process_time(), time.perf_counter()
        counts = await ask(prompt, _noting(noted, said))
        cpu.append((time.process_time() - spent) * 1e6)
        waits.append((noted[0] - begun) * 1e6)
        examine(said, counts)
    return {"wait_us": median(waits[_COLD:]), "cpu_us": mean(cpu[_COLD:])}


def _noting(noted: list[float], said: list[str]) -> OnText:
    def note(piece: str) -> None:
        noted.append(time.perf_counter())
        said.append(piece)

    return note


async def memory(ask: Ask, count: int) -> Figures:
    """What the process takes after its first answer, at most and then."""
    await stream(ask, Pace.BLAST, count)
    return {"peak_mb": status_kb("VmHWM") / 1024, "rss_mb": status_kb("VmRSS") / 1024}


async def idle(ask: Ask, streams: int) -> Figures:
    """What each of many open streams takes that said one delta and fell silent."""
    await stream(ask, Pace.BLAST, _WARM)
    gc.collect()
    before_kb = status_kb("VmRSS")
    everyone = asyncio.Event()
    begun = 0

    def note(_: str) -> None:
        nonlocal begun
        begun += 1
        if begun == streams:
            everyone.set()

    prompt = Play(Pace.IDLE, 1).prompt
    tasks = [asyncio.ensure_future(ask(prompt, note)) for _ in range(streams)]
    try:
        async with asyncio.timeout(30):
            await everyone.wait()
        gc.collect()
        return {"kb": (status_kb("VmRSS") - before_kb) / streams}
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def status_kb(field: str) -> int:
    """A line of this process' status; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1])
    raise LookupError(field)


MODES: dict[str, Callable[..., Any]] = {
    "memory": memory,
    "idle": idle,
    "ttft": ttft,
    "socket": socket_ttft,
    "blast": blast,
    "flush": flush,
    "growth": growth,
    "paced": paced,
}
"""In the order in which one process runs several: memory first, while it is small."""


async def measure(name: str, port: int, asked: dict[str, list[int]]) -> Figures:
    results: Figures = {}
    async with BY_NAME[name].open(f"http://127.0.0.1:{port}") as ask:
        for mode in sorted(asked, key=list(MODES).index):
            try:
                results[mode] = await MODES[mode](ask, *asked[mode])
            except Exception as error:  # noqa: BLE001 - whatever a peer raises is told
                results[mode] = {"wrong": _describe(error)}
    return results


def _describe(error: BaseException) -> str:
    """The first error, if there are several."""
    if isinstance(error, BaseExceptionGroup):
        return _describe(cast("BaseExceptionGroup[Exception]", error).exceptions[0])
    return f"{type(error).__name__}: {str(error)[:120]}"


def main() -> None:
    name, port, *modes = sys.argv[1:]
    asked: dict[str, list[int]] = {}
    for mode in modes:
        kind, _, numbers = mode.partition("=")
        asked[kind] = [int(number) for number in numbers.split(",")]
    print(json.dumps(asyncio.run(measure(name, int(port), asked))), flush=True)


if __name__ == "__main__":
    main()
