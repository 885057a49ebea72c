"""How Tina uses aiohttp: one pool of connections, without its conveniences.

Uses asyncio itself, because aiohttp does; imported with the first request. No
cookies, no proxy variables of the process, no decompression, no redirects.
"""

import asyncio
import socket
from asyncio import sslproto
from collections.abc import Sequence
from contextvars import ContextVar
from ssl import SSLContext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from tina.networking.proxies import Proxy

if TYPE_CHECKING:
    from aiohttp.connector import Connection

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
# Less than the five seconds that local servers keep a connection.
_KEPT_ALIVE_S = 4.0
_READ_BYTES = 256 * 1024
_TLS_READ_BYTES = 32 * 1024
# Idle connections are forgotten by routers on the way; a probe is noticed by them, and
# after five that nobody answered the system says that the connection is lost.
_PROBES = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))


class Attempt:
    """What is noted while a request is sent once, and how long that may take.

    Args:
        headers_timeout_s: from its last byte to the headers of the answer.
        left_s: for everything, connecting included.
    """

    def __init__(self, headers_timeout_s: float, *, left_s: float) -> None:
        self.is_reused = False
        self.is_answered = False
        self._headers_timeout_s = headers_timeout_s
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + max(0.0, left_s)
        self.scope = asyncio.timeout_at(self._ends_at)

    @property
    def is_replaceable(self) -> bool:
        """Whether a kept connection was dead: not a byte of an answer came back."""
        return self.is_reused and not self.is_answered

    @property
    def is_at_the_end(self) -> bool:
        """Whether it is the whole that takes too long, rather than the headers."""
        return self.scope.when() == self._ends_at

    def wait_for_headers(self) -> None:
        due = self._loop.time() + self._headers_timeout_s
        if due < self._ends_at:
            self.scope.reschedule(due)


_reusing: ContextVar[Attempt | None] = ContextVar("_reusing", default=None)
"""What goes out on a kept connection next; the library hands it no further."""


class _CleanRequest(aiohttp.ClientRequest):
    """Leaves only on a connection that holds nothing from before.

    What a server sends unasked, between two requests, would be taken for the answer
    to the second one.
    """

    async def send(self, conn: "Connection") -> aiohttp.ClientResponse:
        protocol = conn.protocol
        if protocol is None or protocol.should_close:
            raise aiohttp.ServerDisconnectedError
        _receive_head_first(protocol, _reusing.get())
        _reusing.set(None)
        return await super().send(conn)


def make_connector(tls: SSLContext | None) -> aiohttp.TCPConnector:
    """The pool of connections; `tls` says whom to trust, None means the system."""
    # asyncio reads TLS into 256 KiB of its own per connection; a record has 16. It has
    # no other switch, and for the process it is but the length of a read.
    sslproto.SSLProtocol.max_size = _TLS_READ_BYTES
    return aiohttp.TCPConnector(
        limit=0,
        keepalive_timeout=_KEPT_ALIVE_S,
        socket_factory=_make_socket,
        ssl=True if tls is None else tls,
    )


def make_session(
    connector: aiohttp.TCPConnector,
    user_agent: str,
    *,
    traces: Sequence[aiohttp.TraceConfig] = (),
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """A session on a pool that stays open when the session is closed."""
    session = aiohttp.ClientSession(
        connector=connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        timeout=aiohttp.ClientTimeout(),
        trace_configs=list(traces),
        middlewares=middlewares,
        request_class=_CleanRequest,
        auto_decompress=False,
        read_bufsize=_READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
    )
    # It would send a GET twice, also on new connections, and has no public switch.
    session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return session


def attempt_trace() -> aiohttp.TraceConfig:
    """Notes in the `Attempt` of each request what happens to it."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_start.append(_note_new)
    trace.on_connection_reuseconn.append(_note_reuse)
    trace.on_request_headers_sent.append(_start_waiting_for_headers)
    return trace


def proxy_url(proxy: Proxy | None) -> URL | None:
    """The proxy as aiohttp wants it, with its password; never to be shown."""
    if proxy is None:
        return None
    return URL.build(
        scheme=proxy.scheme,
        host=proxy.host,
        port=proxy.port,
        user=proxy.user,
        password=None if proxy.user is None else proxy.password.reveal(),
    )


def tell_reader_of_loss(response: aiohttp.ClientResponse) -> None:
    """End the wait for a body whose connection is gone.

    aiohttp's compiled parser drops the connection when a chunk has no valid size,
    and does not tell who waits for the body.
    """
    content = response.content
    protocol = response.connection.protocol if response.connection else None
    if protocol is None or (closed := protocol.closed) is None:
        return  # the whole body is here already, or its loss is known

    def tell(closed: asyncio.Future[None]) -> None:
        # Looked at in any case: asyncio complains of an error that nobody asked for.
        loss = None if closed.cancelled() else closed.exception()
        reason = protocol.exception() or loss
        if not content.is_eof() and content.exception() is None:
            content.set_exception(reason or aiohttp.ClientPayloadError())

    closed.add_done_callback(tell)


def _make_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES:
        option = getattr(socket, name, None)
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def _receive_head_first(protocol: asyncio.Protocol, attempt: Attempt | None) -> None:
    """Let the library see the head of the answer before what arrived with it.

    It would drop the whole of it if something further behind is wrong. And note in the
    attempt that an answer begins, whatever it is.
    """
    seen = b""

    def receive(data: bytes) -> None:
        nonlocal seen
        if attempt is not None:
            attempt.is_answered = True
        seen = seen[-3:] + data
        end = seen.find(b"\r\n\r\n")
        if end < 0:
            method(data)
            return
        del protocol.data_received  # from here on it is the method again
        body_at = end + 4 - (len(seen) - len(data))
        method(data[:body_at])
        if body_at < len(data):
            method(data[body_at:])

    method = protocol.data_received
    # The checker takes methods for unchangeable; this one is the instance's own.
    protocol.data_received = receive  # type: ignore[method-assign]


async def _note_new(_: object, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.is_reused = False


async def _note_reuse(_: object, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.is_reused = True
    _reusing.set(context.trace_request_ctx)


async def _start_waiting_for_headers(
    _: object, context: SimpleNamespace, __: object
) -> None:
    context.trace_request_ctx.wait_for_headers()
