"""A provider of another package, held to what Tina promises about every provider.

What such a package raises is a failure that names it, also what would end the program;
an answer ends at its first `Finish`; what hangs is left behind.

Uses asyncio's timeouts: a package may open a task group in one call and close it in
another, and a cancel scope around one of them alone would be torn.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from typing import TypeVar, get_args

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.events import Finish, StreamEvent
from tina.domain.failures import Failure, ModelUnavailableFailure
from tina.domain.ports import Provider
from tina.domain.tools import HostedTool

LIMIT_S = 30.0
"""For a list, a count, a check."""
CLOSE_LIMIT_S = 1.0

T = TypeVar("T")
_EVENTS = get_args(StreamEvent)
_logger = logging.getLogger(__name__)

_Batches = AsyncGenerator[Sequence[StreamEvent], None]


class GuardedProvider:
    """Fulfils `Provider`. `provider` is what the package made."""

    def __init__(self, name: str, package: str, provider: Provider) -> None:
        self.provider = provider
        self._name = name
        self._package = package

    def stream(self, request: ChatRequest) -> AbstractAsyncContextManager[_Batches]:
        return self._stream(request)

    async def models(self) -> tuple[ModelInfo, ...]:
        with self._blamed():
            async with asyncio.timeout(LIMIT_S):
                return _checked(await self.provider.models(), ModelInfo)

    def available_tools(self) -> tuple[HostedTool, ...]:
        with self._blamed():
            return _checked(self.provider.available_tools(), HostedTool)

    async def count_tokens(self, request: ChatRequest) -> int | None:
        with self._blamed():
            async with asyncio.timeout(LIMIT_S):
                return await self.provider.count_tokens(request)

    async def check(self) -> None:
        with self._blamed():
            async with asyncio.timeout(LIMIT_S):
                await self.provider.check()

    async def close(self) -> None:
        """Close it; that it cannot be closed is for the log."""
        with suppress(Failure), self._blamed():
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self.provider.close()

    @asynccontextmanager
    async def _stream(self, request: ChatRequest) -> AsyncGenerator[_Batches]:
        with self._blamed():
            opening = self.provider.stream(request)
            batches = await opening.__aenter__()
        try:
            yield self._until_finish(batches)
        except BaseException as error:
            await self._leave(opening, batches, error)
            raise
        await self._leave(opening, batches, None)

    async def _until_finish(self, batches: _Batches) -> _Batches:
        is_over = False
        while not is_over:
            with self._blamed():
                batch = await anext(batches, None)
                if batch is None:
                    return
                events = _up_to_finish(batch)
            is_over = bool(events) and isinstance(events[-1], Finish)
            yield events

    async def _leave(
        self,
        opening: AbstractAsyncContextManager[_Batches],
        batches: _Batches,
        error: BaseException | None,
    ) -> None:
        """Whether it can be left says nothing about the answer."""
        with suppress(Failure), self._blamed():
            async with asyncio.timeout(CLOSE_LIMIT_S):
                try:
                    await batches.aclose()
                finally:
                    kind = None if error is None else type(error)
                    trace = None if error is None else error.__traceback__
                    await opening.__aexit__(kind, error, trace)

    @contextmanager
    def _blamed(self) -> Generator[None]:
        """Make a failure of whatever is raised, but for a cancellation from outside."""
        try:
            yield
        except Failure:
            raise
        # Somebody else's code may raise anything, also what would end the program.
        except BaseException as error:
            if _is_cancelled(error):
                raise
            _logger.warning(
                "plugin_failed", extra={"package": self._package}, exc_info=True
            )
            raise ModelUnavailableFailure(
                f"The package {self._package}, which offers the provider "
                f"{self._name!r}, failed ({type(error).__name__}). "
                "Update or uninstall it, or use another model."
            ) from error


def _is_cancelled(error: BaseException) -> bool:
    """Whether somebody cancelled the task; a package may raise the same by mistake."""
    task = asyncio.current_task()
    is_asked = task is not None and task.cancelling() > 0
    return is_asked and isinstance(error, asyncio.CancelledError)


def _up_to_finish(batch: Sequence[StreamEvent]) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    for event in _checked(batch, _EVENTS):
        events.append(event)
        if isinstance(event, Finish):
            break
    return events


def _checked(given: Iterable[T], kind: type | tuple[type, ...]) -> tuple[T, ...]:
    """What a package gave, if it is what it should be.

    Raises:
        TypeError: it is not.
    """
    listed = tuple(given)
    for each in listed:
        if not isinstance(each, kind):
            raise TypeError(type(each).__name__)
    return listed
