"""A WebSocket to a server: a thin driver on aiohttp's client.

Uses asyncio itself, because aiohttp does; aiohttp is imported with the first one.
A task of its own reads, so that pings are answered and a dead peer is noticed while
nobody waits for a message. It reads no further than the inbox has room: then aiohttp
stops reading, too, and the server has to wait. A server that is silent for a third of
`idle_timeout_s` is pinged, and given up if it stays silent for the rest.

Whether to open it again is the caller's business (`tina.networking.reconnect`).

Source: RFC 6455.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ConnectionFailure,
    ProtocolFailure,
    ProviderFailure,
    TooLargeFailure,
)
from tina.networking.failures import timeout_failure
from tina.networking.reconnect import (
    ABNORMAL,
    NO_CODE,
    NORMAL,
    TOO_LARGE,
    failure_for_close,
)

if TYPE_CHECKING:
    import aiohttp

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
CLOSE_LIMIT_S = 1.0
_INBOX_CHARS = 1024 * 1024
_MESSAGE_CHARS = 128  # what a message costs that has no text


class WebSocket:
    """An open WebSocket; `HttpClient.websocket` makes and closes it.

    `headers` are those of the server's handshake, looked up in any case. Any task may
    send or close; one at a time may consume `messages`.
    """

    def __init__(
        self,
        socket: "aiohttp.ClientWebSocketResponse",
        response: "aiohttp.ClientResponse",
        *,
        host: str,
        deadlines: Deadlines,
        max_message_bytes: int,
    ) -> None:
        self.headers: Mapping[str, str] = response.headers
        self.close_code: int | None = None
        """How it ended; None while it is open."""
        self._socket = socket
        self._response = response
        self._host = host
        self._deadlines = deadlines
        self._max_message_bytes = max_message_bytes
        self._inbox: deque[str] = deque()
        self._inbox_chars = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._has_news = asyncio.Event()
        self._is_answering = False
        self._is_closing = False
        self._failure: ProviderFailure | None = None

    @property
    def has_unread(self) -> bool:
        """Whether a message came that nobody has read."""
        return bool(self._inbox)

    async def send(self, text: str) -> None:
        """Send one message; it is on its way when this returns.

        Raises:
            ConnectionFailure: the socket has ended, whoever ended it.
            TimeoutFailure: the server does not read.
        """
        if self.close_code is not None:
            raise self._gone()
        self._is_answering = False
        limit_s = self._deadlines.idle_timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._socket.send_str(text)
        except TimeoutError as error:
            what = f"{self._host!r} did not take the message"
            raise timeout_failure(what, "idle_timeout_s", limit_s) from error
        except OSError as error:
            raise self._gone() from error

    async def messages(self) -> AsyncGenerator[str, None]:
        """Texts in their order, until either side closes; consume under `aclosing`.

        That it ends says nothing about an answer being whole. What came before a
        failure is handed out before it is raised.

        Raises:
            TimeoutFailure: no message came within `heartbeat_timeout_s`, or no sign
                of life within `idle_timeout_s`.
            TruncatedFailure: the connection was lost after a message was answered in
                part.
            TooLargeFailure: a message is over the limit.
            ProviderFailure: what the server's close code means.
        """
        while True:
            while self._inbox:
                yield self._next()
            if self.close_code is not None:
                break
            await self._wait_for_news()
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        """Say goodbye, for no longer than a second; again does nothing."""
        self._is_closing = True
        self._end(NORMAL)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await self._socket.close()
        finally:
            self._response.close()

    async def run(self) -> None:
        """Read until the end; `HttpClient.websocket` owns the task that does."""
        try:
            while self.close_code is None:
                await self._has_room.wait()
                await self._take(await self._receive())
        except ProviderFailure as failure:
            self._end(ABNORMAL, failure)
        except OSError:
            self._lose(ABNORMAL)  # while a ping was answered
        finally:
            self._end(ABNORMAL)
            if not self._is_closing:  # else the goodbye is still on its way
                self._response.close()

    def _next(self) -> str:
        text = self._inbox.popleft()
        self._inbox_chars -= len(text) + _MESSAGE_CHARS
        if self._inbox_chars < _INBOX_CHARS:
            self._has_room.set()
        return text

    async def _wait_for_news(self) -> None:
        limit_s = self._deadlines.heartbeat_timeout_s
        self._has_news.clear()
        try:
            async with asyncio.timeout(limit_s):
                await self._has_news.wait()
        except TimeoutError as error:
            what = f"{self._host!r} lives, but said nothing"
            raise timeout_failure(what, "heartbeat_timeout_s", limit_s) from error

    async def _receive(self) -> "aiohttp.WSMessage":
        """The next frame; asks a server that is silent whether it lives."""
        limit_s = self._deadlines.idle_timeout_s
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s / 3):
                return await self._socket.receive()
        try:
            async with asyncio.timeout(limit_s * 2 / 3):
                await self._socket.ping()
                return await self._socket.receive()
        except TimeoutError as error:
            what = f"{self._host!r} fell silent: no sign of life"
            raise timeout_failure(what, "idle_timeout_s", limit_s) from error

    async def _take(self, message: "aiohttp.WSMessage") -> None:
        from aiohttp import WebSocketError, WSMsgType

        match message.type:
            case WSMsgType.TEXT:
                self._store(message.data)
            case WSMsgType.BINARY:
                self._store(message.data.decode("utf-8", "replace"))
            case WSMsgType.PING:
                await self._socket.pong(message.data)
            case WSMsgType.PONG:
                pass
            case WSMsgType.CLOSE if message.data == NORMAL:
                self._end(NORMAL)
            case WSMsgType.CLOSE:
                self._lose(message.data or NO_CODE)
            case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                self._end(int(message.data.code), self._unreadable(message.data.code))
            case _:
                self._lose(ABNORMAL)

    def _store(self, text: str) -> None:
        self._is_answering = True
        self._inbox.append(text)
        self._inbox_chars += len(text) + _MESSAGE_CHARS
        if self._inbox_chars >= _INBOX_CHARS:
            self._has_room.clear()
        self._has_news.set()

    def _unreadable(self, close_code: int) -> ProviderFailure:
        """What is wrong with what the server sent; aiohttp has told the server."""
        if close_code == TOO_LARGE:
            return TooLargeFailure(
                f"{self._host!r} sent a message of more than "
                f"{self._max_message_bytes} bytes; that is over the limit. "
                "Try again, or ask for a shorter answer."
            )
        return ProtocolFailure(
            f"{self._host!r} sent something that is no WebSocket message. "
            "Check the base URL."
        )

    def _lose(self, close_code: int) -> None:
        failure = failure_for_close(
            close_code, self._host, is_answering=self._is_answering
        )
        self._end(close_code, failure)

    def _end(self, close_code: int, failure: ProviderFailure | None = None) -> None:
        """Note how it ended, the first time."""
        if self.close_code is None:
            self.close_code = close_code
            self._failure = failure
            self._has_news.set()
            self._has_room.set()

    def _gone(self) -> ConnectionFailure:
        code = ABNORMAL if self.close_code is None else self.close_code
        return ConnectionFailure(
            f"The connection to {self._host!r} has ended. Try again.", code=str(code)
        )
