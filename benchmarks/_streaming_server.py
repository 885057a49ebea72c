"""A server that costs next to nothing: its bytes are made before they are asked for.

    python -m benchmarks._streaming_server

Prints its port, serves on loopback, and ends when its standard input does. What it is
to send stands in the prompt (`Play.prompt`), since every client hands that on.
"""

import asyncio
import re
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from heapq import heappop, heappush
from typing import NamedTuple

from benchmarks._streaming_wire import CHUNK_BYTES, Protocol, events, opening

_PATHS = {
    b"/messages": Protocol.ANTHROPIC,
    b"/chat/completions": Protocol.CHAT,
    b"/responses": Protocol.RESPONSES,
    b"/api/chat": Protocol.OLLAMA,
}
_PLAY = re.compile(rb"play\[(\w+) (\d+) ([\d.]+) ([\d.]+)\]")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"0\r\n\r\n"
_SLEEP_S = 0.0005
"""Clocks of event loops are no finer; it is the server's part in every lag."""


class Pace(StrEnum):
    BLAST = "blast"
    """In chunks of 16 KiB, as fast as it goes."""
    FLUSH = "flush"
    """Every event in a chunk and a segment of its own, as fast as it goes."""
    WHOLE = "whole"
    """All of it in one segment."""
    PACED = "paced"
    """Delta number k at `start_s + k * gap_s`."""
    IDLE = "idle"
    """One delta, and then nothing more."""


class Play(NamedTuple):
    """What is to be sent. `start_s` is of the machine's monotonic clock."""

    pace: Pace
    deltas: int
    start_s: float = 0.0
    gap_s: float = 0.0

    @property
    def prompt(self) -> str:
        return f"play[{self.pace} {self.deltas} {self.start_s:.6f} {self.gap_s:.6f}]"


@cache
def pieces(protocol: Protocol, count: int, pace: Pace) -> tuple[bytes, ...]:
    """The answer, framed, as it is handed to the socket; the first has the head."""
    rendered = events(protocol, count)
    match pace:
        case Pace.IDLE:
            shown = rendered[: opening(protocol) + 1]
            return (_head(protocol) + b"".join(map(_framed, shown)),)
        case Pace.FLUSH:
            framed = list(map(_framed, rendered))
        case Pace.PACED:
            begun = opening(protocol)
            framed = [b"".join(map(_framed, rendered[:begun]))]
            framed += map(_framed, rendered[begun : begun + count])
            last = [*map(_framed, rendered[begun + count :]), _END]
            return (_head(protocol) + framed[0], *framed[1:], b"".join(last))
        case Pace.BLAST | Pace.WHOLE:
            body = b"".join(rendered)
            cuts = range(0, len(body), CHUNK_BYTES)
            framed = [_framed(body[at : at + CHUNK_BYTES]) for at in cuts]
    whole = [_head(protocol) + framed[0], *framed[1:], _END]
    return (b"".join(whole),) if pace is Pace.WHOLE else tuple(whole)


def _head(protocol: Protocol) -> bytes:
    is_ndjson = protocol is Protocol.OLLAMA
    media_type = "application/x-ndjson" if is_ndjson else "text/event-stream"
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    ).encode()


def _framed(chunk: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunk else b""


class Schedule:
    """Sends what is due; one timer for all streams."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due: list[tuple[float, int, Connection, Iterator[bytes], float]] = []
        self._entries = 0
        self._is_set = False

    def add(self, connection: "Connection", rest: Iterator[bytes], play: Play) -> None:
        self._entries += 1
        entry = (play.start_s, self._entries, connection, rest, play.gap_s)
        heappush(self._due, entry)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._due and not self._is_set:
            self._is_set = True
            wait_s = max(_SLEEP_S, self._due[0][0] - time.monotonic())
            self._loop.call_later(wait_s, self._send)

    def _send(self) -> None:
        self._is_set = False
        now = time.monotonic()
        due = self._due
        while due and due[0][0] <= now:
            at, entry, connection, rest, gap_s = heappop(due)
            piece = next(rest, None)
            if piece is not None and connection.send(piece):
                heappush(due, (at + gap_s, entry, connection, rest, gap_s))
        self._set_timer()


class Connection(asyncio.Protocol):
    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._rest: Iterator[bytes] = iter(())
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=0)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._rest = iter(())

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if end and len(body) >= length:
            self._received = body[length:]
            self._answer(head.partition(b"\r\n")[0], body[:length])

    def send(self, piece: bytes) -> bool:
        """Send; False if nobody is there any more."""
        if self._transport is None:
            return False
        self._transport.write(piece)
        return True

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._send_all()

    def _answer(self, request_line: bytes, body: bytes) -> None:
        path = request_line.split(b" ")[1].partition(b"?")[0]
        found = _PLAY.search(body)
        known = [kind for end, kind in _PATHS.items() if path.endswith(end)]
        if not known or found is None:
            self.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        play = Play(
            Pace(found[1].decode()), int(found[2]), float(found[3]), float(found[4])
        )
        first, *rest = pieces(known[0], play.deltas, play.pace)
        self.send(first)
        if play.pace is Pace.PACED:
            self._schedule.add(self, iter(rest), play)
        else:
            self._rest = iter(rest)
            self._send_all()

    def _send_all(self) -> None:
        while not self._is_full and (piece := next(self._rest, None)) is not None:
            self.send(piece)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    schedule = Schedule()
    server = await loop.create_server(
        lambda: Connection(schedule), "127.0.0.1", 0, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    # A line makes and keeps answers before they are asked for: it names their counts.
    while line := await asyncio.to_thread(sys.stdin.readline):
        for count in map(int, line.split()):
            for protocol in Protocol:
                for pace in Pace:
                    pieces(protocol, count, pace)
        print("ready", flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
