"""A provider's server on loopback that plays recorded answers, well or badly.

Made of asyncio's streams, below any HTTP library, so that it can break off at a byte,
reset, hang, or answer nonsense. It is no HTTP server: it reads one request at a time
and sends what the script says.
"""

import asyncio
import socket
import struct
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from types import TracebackType
from typing import TypeAlias, cast

import msgspec

Pause: TypeAlias = Callable[[int], Awaitable[None]]
"""Waits before the chunk with this number; the first is 0."""

_MOST_HEADER_BYTES = 64 * 1024
_EVENT_STREAM = (("Content-Type", "text/event-stream"),)


class Framing(StrEnum):
    CHUNKED = "chunked"
    LENGTH = "length"
    CLOSE = "close"
    """The end of the connection is the end of the body."""
    RAW = "raw"
    """The chunks are the whole answer, status line included."""


class Ending(StrEnum):
    COMPLETE = "complete"
    CLOSE = "close"
    """The connection is closed in order (FIN), without the end of the framing."""
    RESET = "reset"
    """The connection is reset (RST)."""
    HANG = "hang"
    """Nothing more comes, until the client hangs up."""


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """One answer.

    `cut_after_bytes` counts bytes of the body; what follows is not sent, and the
    answer ends as `ending` says, or by closing if that is `complete`.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = _EVENT_STREAM
    chunks: tuple[bytes, ...] = ()
    pause: Pause | None = None
    cut_after_bytes: int | None = None
    framing: Framing = Framing.CHUNKED
    ending: Ending = Ending.COMPLETE
    keep_alive: bool = True


class ReceivedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`headers` have lower case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Delivery:
    """What was sent of one answer.

    `sent` holds, per chunk, the loop's monotonic time when it was handed to the
    socket and its bytes of body. `is_over` is set once nothing more will be sent;
    `hung_up` says whether the client was gone before the end.
    """

    def __init__(self, request: ReceivedRequest) -> None:
        self.request = request
        self.sent: list[tuple[float, bytes]] = []
        self.is_over = asyncio.Event()
        self.hung_up = False

    @property
    def body(self) -> bytes:
        return b"".join(chunk for _, chunk in self.sent)


Answer: TypeAlias = Recording | Callable[[ReceivedRequest], Recording]


class PlaybackServer:
    """Answers each request with the next of the script, the last one again and again.

    An async context manager; leaving it ends every connection. `requests`,
    `deliveries` and `connections` may be read at any time.
    """

    def __init__(self, *script: Answer) -> None:
        self._script = script
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.requests: list[ReceivedRequest] = []
        self.deliveries: list[Delivery] = []
        self.connections = 0
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> "PlaybackServer":
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=_MOST_HEADER_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # A stream server runs its callback in a task.
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client hung up, or the server stops; a task of asyncio's stream
            # server that ends as cancelled is reported as an error.
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Play one answer; whether another request may follow."""
        request = await _read_request(reader)
        number = min(len(self.requests), len(self._script) - 1)
        self.requests.append(request)
        answer = self._script[number]
        recording = answer if isinstance(answer, Recording) else answer(request)
        delivery = Delivery(request)
        self.deliveries.append(delivery)
        try:
            return await _play(recording, delivery, reader, writer)
        except OSError:
            delivery.hung_up = True
            return False
        finally:
            delivery.is_over.set()


def chat_recording(
    tokens: Sequence[str],
    *,
    usage: bool = True,
    finish_reason: str = "stop",
    pause: Pause | None = None,
) -> Recording:
    """An answer in OpenAI's stream format: one chunk per token, then the end."""
    first = _chat_event(_choice({"role": "assistant", "content": ""}))
    middle = [_chat_event(_choice({"content": token})) for token in tokens]
    last = [_chat_event(_choice({}, finish_reason))]
    if usage:
        counts = {
            "prompt_tokens": 7,
            "completion_tokens": len(tokens),
            "total_tokens": 7 + len(tokens),
        }
        last.append(_chat_event([], usage=counts))
    last.append(b"data: [DONE]\n\n")
    return Recording(chunks=(first, *middle, b"".join(last)), pause=pause)


def paced(per_second: float) -> Pause:
    """Pauses for a steady pace that does not drift; use a new one per recording."""
    begun_s: list[float] = []

    async def pause(number: int) -> None:
        loop = asyncio.get_running_loop()
        if number == 0:
            begun_s[:] = [loop.time()]
        due_s = begun_s[0] + number / per_second
        await asyncio.sleep(max(0.0, due_s - loop.time()))

    return pause


@contextmanager
def playback_thread(*script: Answer) -> Generator[PlaybackServer]:
    """The same in a thread with a loop of its own, for tests that block."""
    from anyio.from_thread import start_blocking_portal

    @asynccontextmanager
    async def serve() -> AsyncGenerator[PlaybackServer, None]:
        async with PlaybackServer(*script) as server:
            yield server

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve()) as server,
    ):
        yield server


async def _read_request(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip("\r\n").split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (field.partition(":") for field in fields)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method=method, path=path, headers=headers, body=body)


async def _play(
    recording: Recording,
    delivery: Delivery,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    chunks = _cut(recording.chunks, recording.cut_after_bytes)
    is_cut = sum(map(len, chunks)) < sum(map(len, recording.chunks))
    ending = recording.ending
    if is_cut and ending is Ending.COMPLETE:
        ending = Ending.CLOSE
    writer.write(_head(recording))
    for number, chunk in enumerate(chunks):
        if recording.pause is not None:
            await writer.drain()
            await recording.pause(number)
        if reader.at_eof():
            delivery.hung_up = True
            return False
        writer.write(_framed(chunk, recording.framing))
        delivery.sent.append((asyncio.get_running_loop().time(), chunk))
        await writer.drain()
    return await _end(recording, ending, delivery, reader, writer)


async def _end(
    recording: Recording,
    ending: Ending,
    delivery: Delivery,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    match ending:
        case Ending.COMPLETE:
            if recording.framing is Framing.CHUNKED:
                writer.write(b"0\r\n\r\n")
            await writer.drain()
            has_end = recording.framing in (Framing.CHUNKED, Framing.LENGTH)
            return has_end and recording.keep_alive
        case Ending.CLOSE:
            return False
        case Ending.RESET:
            _reset(writer)
            return False
        case Ending.HANG:
            await writer.drain()
            delivery.hung_up = await reader.read(1) == b""
            return False


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: nothing lingers in the socket's buffer."""
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _head(recording: Recording) -> bytes:
    if recording.framing is Framing.RAW:
        return b""
    headers = list(recording.headers)
    if recording.framing is Framing.CHUNKED:
        headers.append(("Transfer-Encoding", "chunked"))
    if recording.framing is Framing.LENGTH:
        headers.append(("Content-Length", str(sum(map(len, recording.chunks)))))
    if recording.framing is Framing.CLOSE or not recording.keep_alive:
        headers.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {recording.status} Recorded"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _framed(chunk: bytes, framing: Framing) -> bytes:
    if framing is not Framing.CHUNKED or not chunk:
        return chunk
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


def _cut(chunks: Sequence[bytes], limit: int | None) -> list[bytes]:
    """The chunks up to `limit` bytes in all."""
    kept: list[bytes] = []
    left = sum(map(len, chunks)) if limit is None else limit
    for chunk in chunks:
        if left <= 0:
            break
        kept.append(chunk[:left])
        left -= len(chunk)
    return kept


def _choice(
    delta: Mapping[str, str], finish_reason: str | None = None
) -> list[dict[str, object]]:
    return [{"index": 0, "delta": delta, "finish_reason": finish_reason}]


def _chat_event(
    choices: list[dict[str, object]], *, usage: Mapping[str, int] | None = None
) -> bytes:
    chunk = {
        "id": "chatcmpl-recorded",
        "object": "chat.completion.chunk",
        "created": 1_795_370_224,
        "model": "recorded",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"
