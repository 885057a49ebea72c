"""HTTP/1.1 requests whose answers are streamed: a thin driver on aiohttp.

Uses asyncio itself, because aiohttp does. aiohttp is imported with the first request.
One pooled session; no redirects, no cookies, no proxy variables, no compression asked
for. Every wait has a deadline and every body a limit. Leaving a response closes its
socket, unless its end was read: then the connection is kept for four seconds, less
than the five that local servers keep theirs.

Retrying is the caller's business, with one exception: a kept connection that turns
out to be dead before any byte of an answer is replaced once.

Source: RFC 9112, section 9.3.1 (retrying on a closed connection).
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec

from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ClosedFailure,
    ConnectionFailure,
    InvalidRequestFailure,
    ProviderFailure,
    RefusedOriginFailure,
    TooLargeFailure,
)
from tina.domain.ports import Clock
from tina.networking.failures import (
    failure_to_open,
    failure_to_read,
    harmless_cause,
    timeout_failure,
)
from tina.networking.origin import check_url

if TYPE_CHECKING:
    import aiohttp

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
_KEPT_ALIVE_S = 4.0
_READ_BYTES = 256 * 1024
_UNSENDABLE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`allow_http` permits plain http to another machine, for this request only."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    allow_http: bool = False

    def __repr__(self) -> str:
        # Headers hold keys and bodies hold conversations.
        return f"HttpRequest({self.method})"


class _Attempt:
    """What is noted while a request is sent once."""

    def __init__(self, headers_timeout_s: float) -> None:
        self.is_reused = False
        self.headers_timeout_s = headers_timeout_s
        self.scope = asyncio.timeout(None)


class HttpResponse:
    """An open answer. `headers` are looked up in any case."""

    def __init__(
        self,
        response: "aiohttp.ClientResponse",
        *,
        host: str,
        deadlines: Deadlines,
        ends_at: float,
        clock: Clock,
        max_body_bytes: int,
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._content = response.content
        self._host = host
        self._deadlines = deadlines
        self._ends_at = ends_at
        self._clock = clock
        self._bytes_left = max_body_bytes
        self._max_body_bytes = max_body_bytes
        self._failure: ProviderFailure | None = None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, in pieces of any size; consume under `aclosing`.

        Raises:
            TimeoutFailure: silence, or the answer took too long in all.
            TruncatedFailure: the connection was lost before the end.
            ProtocolFailure: the framing is wrong.
            TooLargeFailure: it is more than `max_body_bytes`.
        """
        while chunk := await self._next_chunk():
            yield chunk

    async def read(self, *, limit_bytes: int) -> bytes:
        """The whole of a small body; raises as `chunks` does."""
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > limit_bytes:
                    raise self._too_large(limit_bytes)
                pieces.append(chunk)
        return b"".join(pieces)

    async def drain(self, *, limit_s: float) -> None:
        """Read on to the end, so that the connection can be kept; else give up."""
        with suppress(TimeoutError, ProviderFailure):
            async with asyncio.timeout(limit_s):
                while await self._next_chunk():
                    pass

    async def _next_chunk(self) -> bytes:
        """The next piece, empty at the end."""
        if self._failure is not None:
            raise self._failure
        chunk = await self._read_some()
        self._bytes_left -= len(chunk)
        if self._bytes_left < 0:
            raise self._too_large(self._max_body_bytes)
        return chunk

    async def _read_some(self) -> bytes:
        import aiohttp
        from aiohttp.http_exceptions import HttpProcessingError

        total_left_s = self._ends_at - self._clock.monotonic()
        try:
            async with asyncio.timeout(
                min(self._deadlines.idle_timeout_s, max(0.0, total_left_s))
            ):
                return await self._content.readany()
        except TimeoutError as error:
            raise self._timeout(total_left_s) from error
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            failure = failure_to_read(error, self._host)
            failure.__cause__ = harmless_cause(error)
        # Raised out here, or an exception that may hold the key would be its context.
        self._failure = failure
        # aiohttp hides what arrived before the loss; it belongs to the answer.
        # No public call returns it.
        rest = self._content._read_nowait(-1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if not rest:
            raise failure
        return rest

    def _timeout(self, total_left_s: float) -> ProviderFailure:
        limits = self._deadlines
        if total_left_s <= limits.idle_timeout_s:
            return timeout_failure(
                f"The answer of {self._host!r} did not end",
                "total_timeout_s",
                limits.total_timeout_s,
            )
        return timeout_failure(
            f"{self._host!r} fell silent: nothing more came",
            "idle_timeout_s",
            limits.idle_timeout_s,
        )

    def _too_large(self, limit_bytes: int) -> TooLargeFailure:
        return TooLargeFailure(
            f"The answer of {self._host!r} is over the limit of {limit_bytes} bytes. "
            "Ask for a shorter one."
        )


class HttpClient:
    """Opens requests on pooled connections; belongs to one event loop."""

    def __init__(self, *, clock: Clock, user_agent: str) -> None:
        self._clock = clock
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    @asynccontextmanager
    async def open(
        self,
        request: HttpRequest,
        *,
        deadlines: Deadlines,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> AsyncGenerator[HttpResponse, None]:
        """Send a request; the headers of the answer are there on entering.

        Leaving closes the connection, unless the body was read to its end.

        Raises:
            RefusedOriginFailure: the address may not be used, or it redirects.
            ConnectionFailure: the server cannot be reached, or hangs up.
            TimeoutFailure: connecting or waiting for headers took too long.
            ProtocolFailure: the answer is no HTTP.
            ClosedFailure: the client was closed.
        """
        host = check_url(request.url, allow_http=request.allow_http).host
        _check_headers(request.headers)
        ends_at = self._clock.monotonic() + deadlines.total_timeout_s
        response = await self._send(request, deadlines, host)
        try:
            if 300 <= response.status < 400:
                raise _redirect_failure(response.headers.get("Location", ""), host)
            _tell_reader_of_loss(response)
            yield HttpResponse(
                response,
                host=host,
                deadlines=deadlines,
                ends_at=ends_at,
                clock=self._clock,
                max_body_bytes=max_body_bytes,
            )
        finally:
            response.close()

    async def close(self) -> None:
        """Close every connection; requests after it raise `ClosedFailure`."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    async def _send(
        self, request: HttpRequest, deadlines: Deadlines, host: str
    ) -> "aiohttp.ClientResponse":
        attempt = _Attempt(deadlines.headers_timeout_s)
        try:
            return await self._send_once(request, deadlines, host, attempt)
        except ConnectionFailure:
            if not attempt.is_reused:
                raise
        again = _Attempt(deadlines.headers_timeout_s)
        return await self._send_once(request, deadlines, host, again)

    async def _send_once(
        self,
        request: HttpRequest,
        deadlines: Deadlines,
        host: str,
        attempt: _Attempt,
    ) -> "aiohttp.ClientResponse":
        session = self._open_session()
        import aiohttp
        from yarl import URL

        connect_s = deadlines.connect_timeout_s
        try:
            async with attempt.scope:
                return await session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers={"Accept-Encoding": "identity", **request.headers},
                    data=request.body,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(
                        connect=connect_s, sock_connect=connect_s
                    ),
                    trace_request_ctx=attempt,
                )
        except aiohttp.ServerTimeoutError as error:
            what = f"No connection to {host!r}"
            raise timeout_failure(what, "connect_timeout_s", connect_s) from error
        except TimeoutError as error:
            raise timeout_failure(
                f"{host!r} did not begin to answer",
                "headers_timeout_s",
                deadlines.headers_timeout_s,
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            failure, cause = failure_to_open(error, host), harmless_cause(error)
        # Raised out here, like the failures to read.
        raise failure from cause

    def _open_session(self) -> "aiohttp.ClientSession":
        if self._is_closed:
            raise ClosedFailure("The connections to the models' servers are closed.")
        if self._session is None:
            self._session = _make_session(self._user_agent)
        return self._session


def _make_session(user_agent: str) -> "aiohttp.ClientSession":
    import aiohttp

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    tracing.on_request_headers_sent.append(_start_waiting_for_headers)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_ALIVE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": user_agent},
        timeout=aiohttp.ClientTimeout(),
        trace_configs=[tracing],
        read_bufsize=_READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        max_headers=MAX_HEADERS,
    )


async def _note_reuse(_: object, context: SimpleNamespace, __: object) -> None:
    context.trace_request_ctx.is_reused = True


async def _start_waiting_for_headers(
    _: object, context: SimpleNamespace, __: object
) -> None:
    attempt: _Attempt = context.trace_request_ctx
    now = asyncio.get_running_loop().time()
    attempt.scope.reschedule(now + attempt.headers_timeout_s)


def _tell_reader_of_loss(response: "aiohttp.ClientResponse") -> None:
    """End the wait for a body whose connection is gone.

    aiohttp's compiled parser drops the connection when a chunk has no valid size,
    and does not tell who waits for the body.
    """
    import aiohttp

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


def _check_headers(headers: Mapping[str, str]) -> None:
    """Stop what would end a header early; the text does not repeat it."""
    for name, value in headers.items():
        if _UNSENDABLE.search(value):
            raise InvalidRequestFailure(
                f"The header {name} holds a character that cannot be sent. "
                "If it carries a key, enter the key again."
            )


def _redirect_failure(location: str, host: str) -> RefusedOriginFailure:
    try:
        target = check_url(location, allow_http=True).host
    except RefusedOriginFailure:
        target = host  # a relative address, or none that can be named
    return RefusedOriginFailure(
        f"{host!r} sends the request on to {target!r}, and Tina does not follow. "
        "If that is the right place, make it the base URL."
    )
