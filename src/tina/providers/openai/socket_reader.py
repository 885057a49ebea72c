"""One answer, read from a WebSocket.

The messages are the events that the answer would have over HTTP. What a kept socket
still says of the answer before is passed over: an answer has its own beginning.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import NamedTuple

import anyio

from tina.domain.chat import Deadlines
from tina.domain.events import Finish, Start, StreamEvent
from tina.domain.failures import TooLargeFailure
from tina.domain.ports import Clock
from tina.networking.failures import timeout_failure
from tina.networking.http import MAX_BODY_BYTES
from tina.providers.batches import decode_batch
from tina.providers.dialect import AnswerDecoder
from tina.providers.openai.responses.continuing import (
    Creation,
    begins_answer,
    remember,
)
from tina.providers.openai.sockets import Connection
from tina.providers.streams import Pulse


class AnswerReader:
    """Reads one answer from a socket; the deadlines are those of `HttpExchange`."""

    def __init__(
        self, name: str, clock: Clock, deadlines: Deadlines, *, left_s: float
    ) -> None:
        self._name = name
        self._clock = clock
        self._deadlines = deadlines
        self._ends_at = clock.monotonic() + left_s

    async def read(
        self, connection: Connection, creation: Creation, decoder: AnswerDecoder
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        """Ask, and read what is answered; consume under `aclosing`.

        Raises:
            ProviderFailure: the answer does not come, or does not end.
        """
        pulse = Pulse(self._name, self._clock, self._deadlines)
        await connection.socket.send(creation.message(connection.remembered))
        connection.remembered = None
        response_id: str | None = None
        async with aclosing(self._texts(connection)) as texts:
            async for text in texts:
                events, failure = decode_batch(decoder.feed, (text,))
                pulse.check(events)
                if events:
                    if isinstance(events[0], Start):
                        response_id = events[0].response_id
                    yield events
                if failure is not None:
                    raise failure
                if decoder.is_done:
                    break
        # If the socket ended before, this says that the answer is not whole.
        events = decoder.finish()
        replay = events[-1].replay if isinstance(events[-1], Finish) else None
        connection.remembered = remember(creation, response_id, replay)
        yield events

    async def _texts(self, connection: Connection) -> AsyncGenerator[str]:
        """The messages of this answer, until the socket ends."""
        chars = 0
        has_begun = not connection.is_used
        connection.is_used = True
        async with aclosing(connection.socket.messages()) as messages:
            text = await self._next(messages, self._until_begun())
            while text is not None:
                chars += len(text)
                if chars > MAX_BODY_BYTES:
                    raise self._too_large()
                has_begun = has_begun or begins_answer(text)
                if has_begun:
                    yield text
                text = await self._next(messages, self._until_ended())

    async def _next(self, messages: AsyncGenerator[str], wait: "_Wait") -> str | None:
        """The next message; None if there are no more.

        Raises:
            TimeoutFailure: it takes too long.
        """
        if wait.left_s > 0:
            with anyio.move_on_after(wait.left_s):
                return await anext(messages, None)
        raise timeout_failure(wait.what, wait.option, wait.limit_s)

    def _until_begun(self) -> "_Wait":
        limit_s = self._deadlines.headers_timeout_s
        what = f"{self._name} did not begin to answer"
        beginning = _Wait(limit_s, what, "headers_timeout_s", limit_s)
        return min(beginning, self._until_ended(what), key=lambda wait: wait.left_s)

    def _until_ended(self, what: str = "") -> "_Wait":
        return _Wait(
            self._ends_at - self._clock.monotonic(),
            what or f"The answer of {self._name} did not end",
            "total_timeout_s",
            self._deadlines.total_timeout_s,
        )

    def _too_large(self) -> TooLargeFailure:
        return TooLargeFailure(
            f"The answer of {self._name} is over the limit of {MAX_BODY_BYTES} bytes. "
            "Ask for a shorter one."
        )


class _Wait(NamedTuple):
    """How long to wait still, and what it means if nothing comes."""

    left_s: float
    what: str
    option: str
    limit_s: float
