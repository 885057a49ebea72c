"""The body of an answer as it arrives, under its deadlines and limits.

Uses asyncio itself, because aiohttp does.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from tina.domain.chat import Deadlines
from tina.domain.failures import ProviderFailure, TooLargeFailure
from tina.domain.ports import Clock
from tina.networking.decompression import inflater_for
from tina.networking.failures import (
    failure_to_read,
    harmless_cause,
    timeout_failure,
)

if TYPE_CHECKING:
    import aiohttp

MAX_BODY_BYTES = 64 * 1024 * 1024


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
        self._max_body_bytes = max_body_bytes
        self._arrived_bytes = 0
        self._read_bytes = 0
        self._failure: ProviderFailure | None = None
        self._inflater = inflater_for(self.headers.get("Content-Encoding", ""), host)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, in pieces of any size; consume under `aclosing`.

        Raises:
            TimeoutFailure: silence, or the answer took too long in all.
            TruncatedFailure: the connection was lost before the end.
            ProtocolFailure: the framing is wrong, or the compression.
            TooLargeFailure: it is more than `max_body_bytes`, or is compressed more
                than anything honest.
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
        inflater = self._inflater
        if inflater is None:
            chunk = await self._next_arrived()
        else:
            while not (chunk := inflater.take()):
                arrived = await self._next_arrived()
                if not arrived:
                    inflater.finish()
                    break
                inflater.feed(arrived)
        self._read_bytes += len(chunk)
        if self._read_bytes > self._max_body_bytes:
            raise self._too_large(self._max_body_bytes)
        return chunk

    async def _next_arrived(self) -> bytes:
        """The next piece as it came over the wire, empty at the end."""
        if self._failure is not None:
            raise self._failure
        chunk = await self._read_some()
        # Counted of its own: what is compressed may be long and hold nothing.
        self._arrived_bytes += len(chunk)
        if self._arrived_bytes > self._max_body_bytes:
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
