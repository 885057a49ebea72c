"""HTTP/1.1 requests whose answers are streamed: a thin driver on aiohttp.

Uses asyncio itself, because aiohttp does. aiohttp is imported with the first request.
One pool of connections; every wait has a deadline and every body a limit. Leaving a
response closes its socket, unless its end was read: then the connection is kept for
four seconds, less than the five that local servers keep theirs.

Retrying is the caller's business, with one exception: a kept connection that turns
out to be dead before any byte of an answer is replaced once.

Source: RFC 9112, section 9.3.1 (retrying on a closed connection).
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import anyio
import msgspec

from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ClosedFailure,
    ConnectionFailure,
)
from tina.domain.ports import Clock
from tina.networking.failures import (
    failure_to_open,
    harmless_cause,
    headers_too_large,
    proxy_refusal,
    redirect_failure,
    timeout_failure,
)
from tina.networking.origin import http_form
from tina.networking.proxies import Proxies
from tina.networking.request import (
    CheckedRequest,
    Credential,
    HttpRequest,
    check_request,
)
from tina.networking.response import MAX_BODY_BYTES, HttpResponse
from tina.networking.websocket import MAX_MESSAGE_BYTES, WebSocket

if TYPE_CHECKING:
    from ssl import SSLContext

    import aiohttp

    from tina.networking.handshake import Refusal
    from tina.networking.session import Attempt

__all__ = ["MAX_BODY_BYTES", "Credential", "HttpClient", "HttpRequest", "HttpResponse"]

_PROXY_WANTS_PASSWORD = 407


class HttpClient:
    """Opens requests on pooled connections; belongs to one event loop.

    Args:
        clock: for the deadlines.
        user_agent: the header of each request.
        environment: may name proxies.
        tls: whom to trust; None means whom the system trusts.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        user_agent: str,
        environment: Mapping[str, str] = {},
        tls: "SSLContext | None" = None,
    ) -> None:
        self._clock = clock
        self._user_agent = user_agent
        self._proxies = Proxies(environment)
        self._tls = tls
        self._pool: aiohttp.TCPConnector | None = None
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    @asynccontextmanager
    async def open(
        self,
        request: HttpRequest,
        *,
        deadlines: Deadlines,
        left_s: float | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> AsyncGenerator[HttpResponse, None]:
        """Send a request; the headers of the answer are there on entering.

        Leaving closes the connection, unless the body was read to its end.

        Args:
            request: it is checked before it leaves.
            deadlines: a failure names them as they were asked for.
            left_s: of the total, if others had their part of it before.
            max_body_bytes: how much the answer may be.

        Raises:
            RefusedOriginFailure: the address may not be used, or it redirects.
            InvalidRequestFailure: a header cannot be sent, or the proxy not be used.
            ConnectionFailure: the server or the proxy cannot be reached, or hangs up.
            PermissionFailure: the proxy does not let it pass.
            TimeoutFailure: connecting or waiting for headers took too long.
            ProtocolFailure: the answer is no HTTP.
            TooLargeFailure: its headers are.
            ClosedFailure: the client was closed.
        """
        checked = check_request(request, self._proxies)
        total_s = deadlines.total_timeout_s if left_s is None else left_s
        ends_at = self._clock.monotonic() + total_s
        response = await self._send(checked, deadlines, ends_at)
        try:
            _check_head(response, checked)
            answer = HttpResponse(
                response,
                host=checked.host,
                deadlines=deadlines,
                left_s=ends_at - self._clock.monotonic(),
                max_body_bytes=max_body_bytes,
            )
            del request, checked  # as long as an answer lasts, for nothing
            with closing(answer):
                yield answer
        finally:
            response.close()

    @asynccontextmanager
    async def websocket(
        self,
        request: HttpRequest,
        *,
        deadlines: Deadlines,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        refusal: "Refusal | None" = None,
    ) -> AsyncGenerator[WebSocket, None]:
        """Open a WebSocket; leaving closes it, and takes a second at most.

        Of the request count the address (`wss`, or `https`; plain only as for
        `open`), the headers and the key.

        Args:
            request: where to.
            deadlines: `connect_timeout_s` for the whole handshake; the others as
                `WebSocket` says.
            max_message_bytes: the most for one message of the server.
            refusal: words what the server means that answers with a status, a body
                and headers instead of a WebSocket.

        Raises:
            ProviderFailure: there is none; as `open`, and what `refusal` makes.
            ClosedFailure: the client was closed.
        """
        as_http = msgspec.structs.replace(request, url=http_form(request.url))
        checked = check_request(as_http, self._proxies)
        pool = self._open_pool()
        from tina.networking.handshake import open_websocket

        socket = await open_websocket(
            pool,
            checked,
            user_agent=self._user_agent,
            deadlines=deadlines,
            max_message_bytes=max_message_bytes,
            refusal=refusal,
        )
        reader = asyncio.create_task(socket.run(), name="tina-websocket")
        try:
            yield socket
        finally:
            # Bounded: closing takes a second at most, and ends what the reader reads.
            with anyio.CancelScope(shield=True):
                await socket.close()
                await reader

    async def close(self) -> None:
        """Close every connection; requests after it raise `ClosedFailure`."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
        if self._pool is not None:
            await self._pool.close()

    async def _send(
        self, request: CheckedRequest, deadlines: Deadlines, ends_at: float
    ) -> "aiohttp.ClientResponse":
        session = self._open_session()
        from tina.networking.session import Attempt

        def attempt_now() -> Attempt:
            left_s = ends_at - self._clock.monotonic()
            return Attempt(deadlines.headers_timeout_s, left_s=left_s)

        attempt = attempt_now()
        try:
            return await _send_once(session, request, deadlines, attempt)
        except ConnectionFailure:
            if not attempt.is_replaceable:
                raise
        return await _send_once(session, request, deadlines, attempt_now())

    def _open_session(self) -> "aiohttp.ClientSession":
        pool = self._open_pool()
        if self._session is None:
            from tina.networking.session import attempt_trace, make_session

            self._session = make_session(
                pool, self._user_agent, traces=(attempt_trace(),)
            )
        return self._session

    def _open_pool(self) -> "aiohttp.TCPConnector":
        if self._is_closed:
            raise ClosedFailure("The connections to the models' servers are closed.")
        if self._pool is None:
            from tina.networking.session import make_connector

            self._pool = make_connector(self._tls)
        return self._pool


async def _send_once(
    session: "aiohttp.ClientSession",
    request: CheckedRequest,
    deadlines: Deadlines,
    attempt: "Attempt",
) -> "aiohttp.ClientResponse":
    import aiohttp
    from yarl import URL

    from tina.networking.session import proxy_url

    connect_s = deadlines.connect_timeout_s
    try:
        async with attempt.scope:
            return await session.request(
                request.method,
                URL(request.url, encoded=True),
                headers={"Accept-Encoding": "identity", **request.headers},
                data=request.body,
                allow_redirects=False,
                proxy=proxy_url(request.proxy),
                timeout=aiohttp.ClientTimeout(
                    connect=connect_s, sock_connect=connect_s
                ),
                trace_request_ctx=attempt,
            )
    except aiohttp.ServerTimeoutError as error:
        what = f"No connection to {request.host!r}"
        raise timeout_failure(what, "connect_timeout_s", connect_s) from error
    except TimeoutError as error:
        what = f"{request.host!r} did not begin to answer"
        option, limit_s = "headers_timeout_s", deadlines.headers_timeout_s
        if attempt.is_at_the_end:
            option, limit_s = "total_timeout_s", deadlines.total_timeout_s
        raise timeout_failure(what, option, limit_s) from error
    except (aiohttp.ClientError, OSError) as error:
        failure = failure_to_open(error, request.host, request.proxy)
        cause = harmless_cause(error)
    # Raised out here, like the failures to read.
    raise failure from cause


def _check_head(response: "aiohttp.ClientResponse", request: CheckedRequest) -> None:
    """Refuse an answer that its headers make unusable."""
    from tina.networking.session import MAX_HEADER_BYTES, tell_reader_of_loss

    host = request.host
    if sum(len(name) + len(value) for name, value in response.raw_headers) > (
        MAX_HEADER_BYTES
    ):
        raise headers_too_large(host)
    if response.status == _PROXY_WANTS_PASSWORD and request.proxy is not None:
        raise proxy_refusal(response.status, host, request.proxy)
    if 300 <= response.status < 400:
        raise redirect_failure(response.headers.get("Location", ""), host)
    tell_reader_of_loss(response)
