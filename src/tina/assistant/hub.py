"""What one running answer says, for any number of readers in this process.

Uses futures of asyncio, made only for who waits: a new event for each piece of an
answer, read or not, would cost as much as decoding it.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from tina.domain.events import StreamEvent


class EventLog:
    """Grows while the answer does.

    A reader pulls at its own pace and misses nothing; a slow one costs nobody
    anything, since nothing queues for it.
    """

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._changes = 0
        self._is_ended = False
        self._waiting: set[asyncio.Future[None]] = set()

    def append(self, events: Sequence[StreamEvent]) -> None:
        self._events.extend(events)
        self._wake()

    def end(self) -> None:
        self._is_ended = True
        self._wake()

    async def read(self) -> AsyncGenerator[StreamEvent]:
        """Every event from the first on, until the answer ends."""
        loop = asyncio.get_running_loop()
        position = 0
        while True:
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if self._is_ended:
                return
            await self._wait(loop)

    async def changes(self) -> AsyncGenerator[None]:
        """Yields once now, then after changes, until the answer ends; none queue."""
        loop = asyncio.get_running_loop()
        while True:
            seen = self._changes
            is_last = self._is_ended
            yield
            if is_last:
                return
            if self._changes == seen:
                await self._wait(loop)

    async def _wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until there is something new; nothing may come between looking and this."""
        news: asyncio.Future[None] = loop.create_future()
        self._waiting.add(news)
        try:
            await news
        finally:
            self._waiting.discard(news)

    def _wake(self) -> None:
        self._changes += 1
        for news in self._waiting:
            if not news.done():
                news.set_result(None)
