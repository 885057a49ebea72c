"""Opens a WebSocket: the request that becomes one, or what the server says instead.

aiohttp's own client follows redirects here and forgets what a refusal said, so that
nothing but status 101 gets as far as that. Imported with the first WebSocket.

Source: RFC 6455, section 4.1.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeAlias

import aiohttp
from yarl import URL

from tina.domain.chat import Deadlines
from tina.domain.failures import (
    AuthenticationFailure,
    InvalidRequestFailure,
    OverloadFailure,
    PermissionFailure,
    ProviderFailure,
    RateLimitFailure,
    ServerFailure,
)
from tina.networking.failures import (
    failure_to_open,
    harmless_cause,
    redirect_failure,
    timeout_failure,
)
from tina.networking.request import CheckedRequest
from tina.networking.retry_after import read_retry_after
from tina.networking.session import make_session, proxy_url
from tina.networking.websocket import CLOSE_LIMIT_S, WebSocket

Refusal: TypeAlias = Callable[[int, bytes, Mapping[str, str]], ProviderFailure]
"""Words what a server means that answers with status, body and headers instead."""

_SWITCHING = 101
_BODY_BYTES = 64 * 1024
_BODY_LIMIT_S = 2.0
_KINDS: dict[int, type[ProviderFailure]] = {
    401: AuthenticationFailure,
    403: PermissionFailure,
    429: RateLimitFailure,
    503: OverloadFailure,
    529: OverloadFailure,
}


class Gate:
    """A middleware: lets nothing pass but the answer that makes a WebSocket."""

    def __init__(self, host: str, refusal: Refusal) -> None:
        self._host = host
        self._refusal = refusal
        self.passed: list[aiohttp.ClientResponse] = []

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response = await handler(request)
        if response.status != _SWITCHING:
            try:
                raise await self._refused(response)
            finally:
                response.close()
        self.passed.append(response)
        return response

    async def _refused(self, response: aiohttp.ClientResponse) -> ProviderFailure:
        headers = response.headers
        if 300 <= response.status < 400:
            return redirect_failure(headers.get("Location", ""), self._host)
        body = await _read_some(response)
        return self._refusal(response.status, body, headers)


async def open_websocket(
    connector: aiohttp.TCPConnector,
    request: CheckedRequest,
    *,
    user_agent: str,
    deadlines: Deadlines,
    max_message_bytes: int,
    refusal: Refusal | None,
) -> WebSocket:
    """Open one within `connect_timeout_s`; whoever gets it closes it.

    Raises:
        ProviderFailure: there is none; what `refusal` makes of the answer, if there
            was one.
    """
    host = request.host
    gate = Gate(host, refusal or refusal_of(host))
    session = make_session(connector, user_agent, middlewares=(gate,))
    try:
        async with asyncio.timeout(deadlines.connect_timeout_s):
            socket = await _connect(session, request, max_message_bytes)
    except TimeoutError as error:
        limit_s = deadlines.connect_timeout_s
        what = f"No connection to {host!r}"
        raise timeout_failure(what, "connect_timeout_s", limit_s) from error
    except (aiohttp.ClientError, OSError) as error:
        failure = failure_to_open(error, host, request.proxy)
        cause = harmless_cause(error)
    else:
        return WebSocket(
            socket,
            gate.passed[-1],
            host=host,
            deadlines=deadlines,
            max_message_bytes=max_message_bytes,
        )
    finally:
        await session.close()  # the pool stays
    # Raised out here: the library's exception may hold the key.
    raise failure from cause


async def _connect(
    session: aiohttp.ClientSession, request: CheckedRequest, max_message_bytes: int
) -> aiohttp.ClientWebSocketResponse:
    return await session.ws_connect(
        URL(request.url, encoded=True),
        headers=request.headers,
        proxy=proxy_url(request.proxy),
        # The checker does not see what attrs makes of this class.
        timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_LIMIT_S),  # pyright: ignore[reportCallIssue]
        autoping=False,
        # It counts a message that is as long as the limit as over it.
        max_msg_size=max_message_bytes + 1,
    )


async def _read_some(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of a small body, if it comes soon; the status says enough."""
    body = b""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_BODY_LIMIT_S):
            while len(body) < _BODY_BYTES:
                piece = await response.content.read(_BODY_BYTES - len(body))
                if not piece:
                    break
                body += piece
    return body


def refusal_of(host: str) -> Refusal:
    """How a refusal is worded if nobody knows its body."""

    def refused(
        status: int, body: bytes, headers: Mapping[str, str]
    ) -> ProviderFailure:
        del body
        unknown = ServerFailure if status >= 500 else InvalidRequestFailure
        return _KINDS.get(status, unknown)(
            f"{host!r} did not open a WebSocket (status {status}). "
            "Check the base URL and the key.",
            status=status,
            retry_after_s=read_retry_after(headers, now=None),
        )

    return refused
