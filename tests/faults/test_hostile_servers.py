"""What a hostile server can do to the process that asks it: nothing.

Each server is real and sends as fast as it is read; the client is a process of its
own, so that its peak of memory is its own. Limits: reliability.md, row P3.
"""

import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import repeat
from pathlib import Path
from statistics import median

import msgspec
import pytest

from tests.faults.hostile_client import Outcome
from tina.domain.chat import Deadlines
from tina.networking.ndjson import NdjsonDecoder
from tina.networking.sse import SseDecoder
from tina.providers.entries import Protocol

ROOT = Path(__file__).parents[2]
MOST_GROWTH_KIB = 64 * 1024
GIVE_UP_S = 60.0
SLACK_S = 5.0
"""Beyond the deadline: the process has to be given time at all."""

OK = b"HTTP/1.1 200 OK\r\n"
SSE = OK + b"Content-Type: text/event-stream\r\n"
NDJSON = OK + b"Content-Type: application/x-ndjson\r\n"
JSON = OK + b"Content-Type: application/json\r\n"
BLOCK = b"x" * 65_536
SSE_DELTA = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
SSE_END = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
NDJSON_DELTA = (
    b'{"model":"m","message":{"role":"assistant","content":" word"},"done":false}\n'
)
NDJSON_END = b'{"model":"m","done":true,"done_reason":"stop"}\n'
Attack = Callable[[], Iterator[bytes]]


def slowly(pieces: Iterator[bytes], every_s: float) -> Iterator[bytes]:
    for piece in pieces:
        yield piece
        time.sleep(every_s)


def chain(*parts: bytes | Iterator[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield from [part] if isinstance(part, bytes) else part


def bomb(head: bytes, said: bytes) -> Iterator[bytes]:
    """Blanks without end, each piece a few hundred times larger than it looks."""
    deflate = zlib.compressobj(level=1, wbits=31)
    yield head + b"Content-Encoding: gzip\r\n\r\n"
    yield deflate.compress(said) + deflate.flush(zlib.Z_SYNC_FLUSH)
    while True:
        yield deflate.compress(b" " * 1_000_000)


QUICK = Deadlines(
    idle_timeout_s=1, heartbeat_timeout_s=1, total_timeout_s=2, headers_timeout_s=2
)
CALM = Deadlines(total_timeout_s=20, headers_timeout_s=5)
CHAT, OLLAMA = Protocol.CHAT, Protocol.OLLAMA
ATTACKS = [
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(SSE, b"\r\ndata: ", repeat(BLOCK, 1_600), b"\n\n"),
        "too_large",
        id="100-mb-line",
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(SSE, b"\r\ndata: ", repeat(BLOCK)),
        "too_large",
        id="endless-line",
    ),
    pytest.param(
        OLLAMA,
        CALM,
        lambda: chain(NDJSON, b"\r\n", repeat(BLOCK, 1_600), b"\n"),
        "too_large",
        id="ndjson-100-mb-line",
    ),
    pytest.param(
        OLLAMA,
        CALM,
        lambda: chain(NDJSON, b'\r\n{"a":"', repeat(BLOCK)),
        "too_large",
        id="ndjson-endless-line",
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(SSE, b"\r\n", repeat(b"data: x\n" * 8_192)),
        "too_large",
        id="endless-event-of-many-lines",
    ),
    pytest.param(CHAT, CALM, lambda: bomb(SSE, b"data: "), "too_large", id="gzip-bomb"),
    pytest.param(
        OLLAMA, CALM, lambda: bomb(NDJSON, b"{"), "too_large", id="ndjson-gzip-bomb"
    ),
    pytest.param(
        CHAT, CALM, lambda: bomb(JSON, b"{"), "too_large", id="json-gzip-bomb"
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(SSE, repeat(b"X-Flood: y\r\n")),
        "too_large",
        id="header-flood",
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(SSE, b"X-Flood: ", repeat(BLOCK)),
        "too_large",
        id="endless-header",
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(JSON, b"\r\n[", repeat(BLOCK)),
        "too_large",
        id="endless-json",
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(b"HTTP/1.1 500 No\r\n\r\n", repeat(BLOCK)),
        "server",
        id="endless-refusal",
    ),
    pytest.param(
        CHAT,
        CALM,
        lambda: chain(SSE, b"\r\n", repeat(SSE_DELTA * 300)),
        "too_large",
        id="endless-answer",
    ),
    pytest.param(
        OLLAMA,
        CALM,
        lambda: chain(NDJSON, b"\r\n", repeat(NDJSON_DELTA * 800)),
        "too_large",
        id="ndjson-endless-answer",
    ),
    pytest.param(
        CHAT,
        QUICK,
        lambda: chain(SSE, b"\r\n", slowly(repeat(b"d"), 0.2)),
        "timeout",
        id="a-byte-at-a-time",
    ),
    pytest.param(
        CHAT,
        QUICK,
        lambda: chain(SSE, b"X-Slow: ", slowly(repeat(b"x"), 0.2)),
        "timeout",
        id="headers-a-byte-at-a-time",
    ),
    pytest.param(
        CHAT,
        QUICK,
        lambda: chain(SSE, b"\r\n", slowly(repeat(b": here\n\n"), 0.1)),
        "timeout",
        id="heartbeats-for-ever",
    ),
    pytest.param(
        OLLAMA,
        QUICK,
        lambda: chain(NDJSON, b"\r\n", slowly(repeat(b"\n"), 0.1)),
        "timeout",
        id="ndjson-heartbeats-for-ever",
    ),
    pytest.param(
        CHAT,
        QUICK,
        lambda: chain(SSE, b"\r\n", slowly(repeat(SSE_DELTA), 0.1)),
        "timeout",
        id="endless-answer-at-a-pace",
    ),
    pytest.param(
        CHAT,
        QUICK,
        lambda: chain(SSE, b"\r\n", SSE_DELTA, slowly(repeat(b""), 0.1)),
        "timeout",
        id="silence",
    ),
]


class HostileServer:
    """Answers well below `/good`, and with the attack everywhere else."""

    def __init__(self, protocol: Protocol, attack: Attack) -> None:
        head, answer = (
            (SSE, SSE_DELTA + SSE_END)
            if protocol is Protocol.CHAT
            else (NDJSON, NDJSON_DELTA + NDJSON_END)
        )
        self._good = head + b"Content-Length: %d\r\n\r\n" % len(answer) + answer
        self._attack = attack
        self._is_over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, name="hostile-server")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        with suppress(OSError):  # it waits for one that comes no more
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        self._thread.join(GIVE_UP_S)
        self._listener.close()

    def _serve(self) -> None:
        """One connection after the other, until it is over."""
        while not self._is_over.is_set():
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):  # the client hung up, or is stuck
                connection.settimeout(GIVE_UP_S)
                self._answer_all(connection)

    def _answer_all(self, connection: socket.socket) -> None:
        while path := _read_request(connection):
            if path.startswith(b"/good"):
                connection.sendall(self._good)
                continue
            for piece in self._attack():
                connection.sendall(piece)
                if self._is_over.is_set():
                    return
            connection.recv(1)  # all was sent; it may hang up when it likes


def _read_request(connection: socket.socket) -> bytes:
    """The path of the next request; empty at the end."""
    held = b""
    while b"\r\n\r\n" not in held:
        piece = connection.recv(65_536)
        if not piece:
            return b""
        held += piece
    head, _, body = held.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connection.recv(65_536)
    return head.split()[1]


@contextmanager
def serving(protocol: Protocol, attack: Attack) -> Generator[HostileServer]:
    server = HostileServer(protocol, attack)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.requirement("networking:hostile:bounded")
@pytest.mark.parametrize(("protocol", "deadlines", "attack", "failure"), ATTACKS)
def test_a_hostile_server_takes_neither_memory_nor_time(
    protocol: Protocol, deadlines: Deadlines, attack: Attack, failure: str
) -> None:
    with serving(protocol, attack) as server:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.faults.hostile_client"),
                *(server.base_url, protocol, msgspec.json.encode(deadlines).decode()),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=GIVE_UP_S,
        )
    assert done.returncode == 0, done.stderr
    outcome = msgspec.json.decode(done.stdout, type=Outcome)
    print(outcome)

    assert outcome.failure == failure
    assert outcome.grown_kib <= MOST_GROWTH_KIB
    assert outcome.took_s <= deadlines.total_timeout_s + SLACK_S


MOST_GROWTH = 6.0


def feed_sse(chunks: list[bytes]) -> None:
    decoder = SseDecoder(max_event_bytes=2**30)
    for chunk in chunks:
        decoder.feed(chunk)


def feed_ndjson(chunks: list[bytes]) -> None:
    decoder = NdjsonDecoder(max_line_bytes=2**30)
    for chunk in chunks:
        decoder.feed(chunk)


def pieces(stream: bytes, piece_bytes: int) -> list[bytes]:
    starts = range(0, len(stream), piece_bytes)
    return [stream[start : start + piece_bytes] for start in starts]


Feed = Callable[[list[bytes]], None]
Make = Callable[[int], list[bytes]]


def sse_line(times: int) -> list[bytes]:
    return pieces(b"data: " + b"x" * times * 2**20, 1_024)


def sse_events(times: int) -> list[bytes]:
    return [SSE_DELTA * times * 2_000]


def sse_bytewise(times: int) -> list[bytes]:
    return pieces(SSE_DELTA * times * 300, 1)


def ndjson_line(times: int) -> list[bytes]:
    return pieces(b"x" * times * 2**20, 1_024)


def ndjson_lines(times: int) -> list[bytes]:
    return [NDJSON_DELTA * times * 8_000]


def ndjson_bytewise(times: int) -> list[bytes]:
    return pieces(NDJSON_DELTA * times * 600, 1)


KINDS = [
    (feed_sse, sse_line),
    (feed_sse, sse_events),
    (feed_sse, sse_bytewise),
    (feed_ndjson, ndjson_line),
    (feed_ndjson, ndjson_lines),
    (feed_ndjson, ndjson_bytewise),
]


@pytest.mark.parametrize(("feed", "make"), KINDS)
def test_decoding_takes_linear_time(feed: Feed, make: Make) -> None:
    small, large = make(1), make(4)

    grown = median(_cpu_s(feed, large) / _cpu_s(feed, small) for _ in range(5))

    assert grown <= MOST_GROWTH


def _cpu_s(feed: Feed, chunks: list[bytes]) -> float:
    begun_s = time.process_time()
    feed(chunks)
    return time.process_time() - begun_s
