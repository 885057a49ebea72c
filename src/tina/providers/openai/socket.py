"""Questions to the Responses API over a WebSocket; over HTTP where there is none.

Theory. A socket that was kept may have ended without anybody noticing, may be an hour
old, or its server may have forgotten what it remembered. None of that is the fault of
the question: it is asked once more, at once, on a new socket and in full, as long as
nothing was said. All else that goes wrong is a failure like any other, and whoever
asked decides whether to try again. That a socket closes never ends an answer.

Some proxies let no WebSocket through, or swallow it. Then the question goes over HTTP,
and if that works the next ones do, for a while. Where a server that is down would look
the same the next attempt goes over HTTP, so that none asks twice.

Source: OpenAI API reference, "Responses", "WebSocket mode".
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from tina.domain.events import StreamEvent
from tina.domain.failures import (
    AuthenticationFailure,
    BillingFailure,
    ConnectionFailure,
    OverloadFailure,
    ProviderFailure,
    RateLimitFailure,
    RefusedOriginFailure,
    ServerFailure,
    TimeoutFailure,
    TruncatedFailure,
)
from tina.domain.ports import Clock
from tina.domain.secret import Secret
from tina.networking.http import HttpClient
from tina.providers.batches import with_ends
from tina.providers.dialect import Framing
from tina.providers.entries import ProviderEntry
from tina.providers.errors import failure_for_response
from tina.providers.exchange import HttpExchange, Question
from tina.providers.openai.responses.continuing import Creation
from tina.providers.openai.socket_reader import AnswerReader
from tina.providers.openai.sockets import Connection, Connections

AVOIDED_S = 600.0
"""How long HTTP is used where it works and no WebSocket could be opened."""

SUSPECTED_S = 30.0
"""How long it is tried before that is known."""

_STALE = frozenset(
    {"previous_response_not_found", "websocket_connection_limit_reached"}
)
_FINAL = (
    AuthenticationFailure,
    BillingFailure,
    OverloadFailure,
    RateLimitFailure,
    RefusedOriginFailure,
)
"""What HTTP would get, too: asking there as well would be another attempt."""


class SocketExchange(HttpExchange):
    """Asks over WebSockets; `read`, and what cannot be asked so, goes over HTTP."""

    def __init__(
        self,
        name: str,
        entry: ProviderEntry,
        *,
        framing: Framing,
        http: HttpClient,
        clock: Clock,
    ) -> None:
        super().__init__(name, entry, framing=framing, http=http, clock=clock)
        self._connections = Connections(http, clock)
        self._avoided_until_s = clock.monotonic()
        self._is_proven = False
        """Whether HTTP works where no WebSocket did."""

    async def answer(self, asked: Question) -> AsyncGenerator[Sequence[StreamEvent]]:
        """What the server says, in batches; consume under `aclosing`.

        Raises:
            ProviderFailure: after the end of each block that began.
        """
        creation = Creation(asked.call.body or {})
        is_said = False
        kept = await self._take(asked, creation)
        if kept is not None:
            try:
                async with aclosing(self._ask(kept, asked, creation)) as answer:
                    async for batch in answer:
                        is_said = True
                        yield batch
            except ProviderFailure as failure:
                if is_said or not _is_stale(failure):
                    raise
            else:
                return
        fresh = await self._open(asked)
        if fresh is None:
            answer = self._over_http(asked)
        else:
            asked.learn(fresh.socket.headers)
            answer = self._ask(fresh, asked, creation)
        async with aclosing(answer):
            async for batch in answer:
                yield batch

    async def close(self) -> None:
        """Close the sockets that are kept."""
        await self._connections.close()

    async def _take(self, asked: Question, creation: Creation) -> Connection | None:
        """One that was kept, if there is one."""
        await self._connections.sweep()
        return self._connections.take(
            key=asked.key, deadlines=asked.deadlines, digests=creation.digests
        )

    async def _open(self, asked: Question) -> Connection | None:
        """A new one; None if it has to be HTTP.

        Raises:
            ProviderFailure: HTTP would not do, either.
        """
        if self._clock.monotonic() < self._avoided_until_s:
            return None
        call = msgspec.structs.replace(asked.call, method="GET", body=None)

        def refusal(
            status: int, body: bytes, headers: Mapping[str, str]
        ) -> ProviderFailure:
            return failure_for_response(
                status,
                _masked(body, asked.key),
                headers,
                model=asked.model,
                now=self._clock.now(),
                provider=self._name,
            )

        try:
            return await self._connections.open(
                self._request(call, asked.key, accept="application/json"),
                key=asked.key,
                deadlines=asked.deadlines,
                refusal=refusal,
            )
        except _FINAL:
            raise
        except (ConnectionFailure, ServerFailure, TimeoutFailure):
            self._avoided_until_s = self._clock.monotonic() + SUSPECTED_S
            self._is_proven = False
            raise
        except ProviderFailure:
            self._is_proven = False
            return None

    async def _over_http(
        self, asked: Question
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        async with aclosing(super().answer(asked)) as answer:
            async for batch in answer:
                if not self._is_proven:
                    self._is_proven = True
                    self._avoided_until_s = self._clock.monotonic() + AVOIDED_S
                yield batch

    async def _ask(
        self, connection: Connection, asked: Question, creation: Creation
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        """One answer over one connection, which is kept only if the answer is whole."""
        decoder = asked.make_decoder(connection.socket.headers.get("x-request-id"))
        reader = AnswerReader(
            self._name, self._clock, asked.deadlines, left_s=asked.left_s
        )
        batches = reader.read(connection, creation, decoder)
        is_whole = False
        try:
            async with aclosing(with_ends(batches, decoder)) as answer:
                async for batch in answer:
                    yield batch
            is_whole = True
        finally:
            if is_whole:
                await self._connections.give_back(connection)
            else:
                await connection.abandon()


def _is_stale(failure: ProviderFailure) -> bool:
    """Whether it may be the fault of a socket that was kept."""
    is_lost = isinstance(failure, ConnectionFailure | TruncatedFailure)
    return is_lost or failure.code in _STALE


def _masked(body: bytes, key: Secret | None) -> bytes:
    """A refusal without the key, before it is shortened."""
    if key is None:
        return body
    return key.mask(body.decode("utf-8", "replace")).encode()
