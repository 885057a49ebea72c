"""The body of an answer as it arrives, under its deadlines and limits.

Uses asyncio itself, because aiohttp does.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from math import inf
from typing import TYPE_CHECKING

from tina.domain.chat import Deadlines
from tina.domain.failures import ProviderFailure, TooLargeFailure
from tina.networking.decompression import Inflater, inflater_for
from tina.networking.failures import (
    failure_to_read,
    harmless_cause,
    timeout_failure,
)

if TYPE_CHECKING:
    import aiohttp

MAX_BODY_BYTES = 64 * 1024 * 1024


class _Alarm:
    """Ends a wait for more of a body that takes too long.

    One timer serves all waits, since setting one for each costs as much as reading:
    it is not moved when more arrives, but looks whether it is time when it goes off.

    Args:
        content: what is waited for.
        idle_s: how long one wait may take.
        left_s: how long all of them may, from now.
    """

    __slots__ = (
        "_content",
        "_due",
        "_ends_at",
        "_idle_s",
        "_loop",
        "_seen_bytes",
        "_timer",
    )

    def __init__(
        self, content: "aiohttp.StreamReader", *, idle_s: float, left_s: float
    ) -> None:
        self._content = content
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + left_s
        self._due = inf
        self._seen_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_at_the_end(self) -> bool:
        """Whether the whole is over, and not one wait alone."""
        return self._loop.time() >= self._ends_at

    def set(self) -> None:
        """Whoever waits too long from now on gets a `TimeoutError`.

        Raises:
            TimeoutError: the whole is over already.
        """
        now = self._loop.time()
        if now >= self._ends_at:  # also if what is here keeps nobody waiting
            raise TimeoutError
        self._seen_bytes = self._content.total_bytes
        self._due = due = min(now + self._idle_s, self._ends_at)
        if self._timer is None or due < self._timer.when():
            self._start()

    def stop(self) -> None:
        """Nobody waits any more."""
        self._due = inf

    def close(self) -> None:
        """Leave no timer behind; idempotent."""
        self._due = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._due, self._go_off)

    def _go_off(self) -> None:
        self._timer = None
        if self._due == inf:
            return
        if self._due > self._loop.time():
            self._start()
            return
        # What came in this very moment has not been read yet; it is no silence.
        content = self._content
        if content.total_bytes == self._seen_bytes and not content.is_eof():
            content.set_exception(TimeoutError())


class HttpResponse:
    """An open answer. `headers` are looked up in any case.

    Args:
        response: its head is here.
        host: for people.
        deadlines: of the request.
        left_s: how long the rest may take in all.
        max_body_bytes: how much it may be.
    """

    def __init__(
        self,
        response: "aiohttp.ClientResponse",
        *,
        host: str,
        deadlines: Deadlines,
        left_s: float,
        max_body_bytes: int,
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._content = response.content
        self._alarm = _Alarm(
            response.content, idle_s=deadlines.idle_timeout_s, left_s=left_s
        )
        self._host = host
        self._deadlines = deadlines
        self._max_body_bytes = max_body_bytes
        self._arrived_bytes = 0
        self._inflated_bytes = 0
        self._failure: ProviderFailure | None = None
        self._inflater = inflater_for(self.headers.get("Content-Encoding", ""), host)

    async def next_chunk(self) -> bytes:
        """The next piece of the body, of any size; empty at the end.

        Raises:
            TimeoutFailure: silence, or the answer took too long in all.
            TruncatedFailure: the connection was lost before the end.
            ProtocolFailure: the framing is wrong, or the compression.
            TooLargeFailure: it is more than `max_body_bytes`, or is compressed more
                than anything honest.
        """
        if self._inflater is not None:
            return await self._next_inflated(self._inflater)
        return await self._next_arrived()

    async def _next_inflated(self, inflater: Inflater) -> bytes:
        while not (chunk := inflater.take()):
            arrived = await self._next_arrived()
            if not arrived:
                inflater.finish()
                break
            inflater.feed(arrived)
        self._inflated_bytes += len(chunk)
        if self._inflated_bytes > self._max_body_bytes:
            raise self._too_large(self._max_body_bytes)
        return chunk

    async def _next_arrived(self) -> bytes:
        """The next piece as it came over the wire, empty at the end."""
        if self._failure is not None:
            raise self._failure
        loss: Exception | None = None
        chunk = b""
        try:
            self._alarm.set()
            chunk = await self._content.readany()
        except _reading_errors() as error:
            loss = error
        finally:
            self._alarm.stop()
        if loss is not None:
            # Out here, or an exception that may hold the key would be the context.
            chunk = self._rest_after(loss)
        # Counted of its own: what is compressed may be long and hold nothing.
        self._arrived_bytes += len(chunk)
        if self._arrived_bytes > self._max_body_bytes:
            raise self._too_large(self._max_body_bytes)
        return chunk

    def _rest_after(self, loss: Exception) -> bytes:
        """What arrived before the loss; it belongs to the answer.

        Raises:
            ProviderFailure: nothing; and again whenever somebody wants more.
        """
        if isinstance(loss, TimeoutError):
            raise self._timeout() from loss
        failure = failure_to_read(loss, self._host)
        failure.__cause__ = harmless_cause(loss)
        self._failure = failure
        # aiohttp hides it, and no public call returns it.
        rest = self._content._read_nowait(-1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if not rest:
            raise failure
        return rest

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The pieces of the body; consume under `aclosing`. Raises as `next_chunk`."""
        while chunk := await self.next_chunk():
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
                while await self.next_chunk():
                    pass

    def close(self) -> None:
        """Leave nothing behind; idempotent."""
        self._alarm.close()

    def _timeout(self) -> ProviderFailure:
        limits = self._deadlines
        if self._alarm.is_at_the_end:
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


def _reading_errors() -> tuple[type[Exception], ...]:
    """What is raised in the middle of a body; looked up when something is."""
    import aiohttp
    from aiohttp.http_exceptions import HttpProcessingError

    return aiohttp.ClientError, HttpProcessingError, OSError
