"""What decoding server-sent events costs, against a floor, and that it is linear.

    python benchmarks/sse.py

CPU time, medians. The floor cuts the same bytes at LF and does nothing else. Exits 1
if four times the input costs more than six times the time.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

from tina.networking.sse import SseDecoder

EVENT = (
    b'data: {"choices":[{"finish_reason":null,"index":0,"delta":{"content":" word"}}],'
    b'"created":1795370527,"id":"chatcmpl-WwXxA6vFBQPLDEbzBrbR8DtfmiSyz16P","model":'
    b'"smollm2-135m-instruct","object":"chat.completion.chunk"}\n\n'
)
EVENTS = 4_000
ROUNDS = 7
MOST_GROWTH = 6.0


def cpu_s(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    times: list[float] = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return median(times)


def pieces(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def decode(chunks: Sequence[bytes]) -> int:
    decoder = SseDecoder(max_event_bytes=2**30)
    count = 0
    for chunk in chunks:
        count += len(decoder.feed(chunk))
    return count


def cut_at_lf(chunks: Sequence[bytes]) -> int:
    count = 0
    for chunk in chunks:
        count += len(chunk.split(b"\n"))
    return count


def show_costs() -> None:
    stream = EVENT * EVENTS
    cuts = {
        "whole": [stream],
        "16 KiB chunks": pieces(stream, 16_384),
        "per-event chunks": [EVENT] * EVENTS,
        "bytewise": pieces(stream, 1),
    }
    print(f"{EVENTS} events of {len(EVENT)} bytes, CPU us per event\n")
    print(f"{'':18} {'decoder':>9} {'floor':>9} {'ratio':>7}")
    for name, chunks in cuts.items():
        assert decode(chunks) == EVENTS
        own = cpu_s(partial(decode, chunks)) / EVENTS * 1e6
        floor = cpu_s(partial(cut_at_lf, chunks)) / EVENTS * 1e6
        print(f"{name:18} {own:9.3f} {floor:9.3f} {own / floor:7.2f}")
    crlf = pieces(stream.replace(b"\n", b"\r\n"), 16_384)
    own = cpu_s(partial(decode, crlf)) / EVENTS * 1e6
    print(f"{'16 KiB, CRLF':18} {own:9.3f}")


def growths() -> dict[str, float]:
    """For each kind of input: the time for 4 N over the time for N."""
    kinds: dict[str, Callable[[int], list[bytes]]] = {
        "one line in 1 KiB pieces": lambda n: pieces(
            b"data: " + b"x" * n * 4_194_304, 1_024
        ),
        "many events, one chunk": lambda n: [EVENT * n * 4_000],
        "many data lines": lambda n: pieces(b"data: x\n" * n * 50_000 + b"\n", 1_024),
        "one line bytewise": lambda n: pieces(b"data: " + b"x" * n * 262_144, 1),
        "events bytewise": lambda n: pieces(EVENT * n * 500, 1),
    }
    results: dict[str, float] = {}
    for name, make in kinds.items():
        small, large = make(1), make(4)
        results[name] = cpu_s(partial(decode, large)) / cpu_s(partial(decode, small))
    return results


def main() -> int:
    show_costs()
    print(f"\ntime for 4 N over time for N; at most {MOST_GROWTH:g}\n")
    results = growths()
    for name, growth in results.items():
        print(f"{name:26} {growth:6.2f}")
    return 1 if max(results.values()) > MOST_GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
