"""Live queries on the database.

This module needs the event loop itself: changes are told from threads.
"""

import asyncio
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, TypeVar

from tina.database.engine.engine import Engine
from tina.database.live.changes import Changes, Topic
from tina.database.live.readings import Reading, reading_of, together
from tina.database.live.shared import SharedQuery
from tina.database.live.tail import JournalTail
from tina.domain.failures import BusyFailure, Failure
from tina.domain.ids import LAPTOP_OWNER, MessageId, OwnerId
from tina.domain.ports import Clock, JournalPiece
from tina.domain.queries import Query

T = TypeVar("T")

MAX_QUERIES = 10_000


class DatabaseLive:
    """Fulfils `LiveQueries` for one event loop.

    Attributes:
        readings: how often a watched query was read.
        tail: the journal's growth, for those who follow.
    """

    def __init__(
        self, engine: Engine, *, clock: Clock, owner_id: OwnerId = LAPTOP_OWNER
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._shared: dict[Hashable, SharedQuery] = {}
        self._by_topic: dict[Topic, set[SharedQuery]] = {}
        self.readings = 0
        self.tail = JournalTail(engine, owner_id=owner_id)
        self._listening: asyncio.Future[None] | None = None

    @property
    def watched(self) -> int:
        """How many different queries are watched now."""
        return len(self._shared)

    def watch(
        self, query: Query[T], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[T]:
        return self._watch(query, reading_of(query), min_interval_s)

    def watch_many(
        self, queries: Sequence[Query[Any]], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[tuple[Any, ...]]:
        reading = together(tuple(map(reading_of, queries)))
        return self._watch(tuple(queries), reading, min_interval_s)

    async def follow(self, message_id: MessageId) -> AsyncGenerator[JournalPiece]:
        await self._listen()
        async with aclosing(self.tail.follow(message_id)) as pieces:
            async for piece in pieces:
                yield piece

    def wake(self) -> None:
        """Make every watcher look again: the database was closed."""
        self._take(None)

    async def _watch(
        self, key: Hashable, reading: Reading, min_interval_s: float
    ) -> AsyncGenerator[Any]:
        shared = self._enter(key, reading)
        try:
            await self._listen()
            seen = 0
            while True:
                seen, value = await shared.next(seen)
                yield value
                if min_interval_s > 0:
                    await self._clock.sleep(min_interval_s)
        finally:
            self._leave(key, reading, shared)

    def _enter(self, key: Hashable, reading: Reading) -> SharedQuery:
        shared = self._shared.get(key)
        if shared is None:
            if len(self._shared) >= MAX_QUERIES:
                raise BusyFailure(
                    f"{MAX_QUERIES} queries are watched already; end some of them."
                )
            shared = SharedQuery(partial(self._read, reading))
            self._shared[key] = shared
            for topic in reading.topics:
                self._by_topic.setdefault(topic, set()).add(shared)
        shared.watchers += 1
        return shared

    async def _read(self, reading: Reading) -> Any:
        self.readings += 1
        return await self._engine.read(reading.read)

    def _leave(self, key: Hashable, reading: Reading, shared: SharedQuery) -> None:
        shared.watchers -= 1
        if shared.watchers:
            return
        del self._shared[key]
        for topic in reading.topics:
            of_topic = self._by_topic[topic]
            of_topic.discard(shared)
            if not of_topic:
                del self._by_topic[topic]

    async def _listen(self) -> None:
        """Hear of changes from now on; what is read later misses none.

        Raises:
            StorageFailure: the file cannot be read any more.
        """
        if self._listening is None or _has_failed(self._listening):
            loop = asyncio.get_running_loop()
            ready: asyncio.Future[None] = loop.create_future()
            self._listening = ready
            self._engine.listen(
                partial(_hand_over, loop, self._take),
                on_ready=partial(_hand_over, loop, partial(_settle, ready)),
            )
        await asyncio.shield(self._listening)

    def _take(self, changes: Changes) -> None:
        self.tail.rung()
        for shared in self._touched(changes):
            shared.mark_stale()

    def _touched(self, changes: Changes) -> set[SharedQuery]:
        if changes is None:
            return set(self._shared.values())
        touched: set[SharedQuery] = set()
        for topic in changes:
            touched |= self._by_topic.get(topic, set())
            touched |= self._by_topic.get(Topic(topic.name, None), set())
        return touched


def _has_failed(future: "asyncio.Future[None]") -> bool:
    return future.done() and not future.cancelled() and future.exception() is not None


def _hand_over(loop: asyncio.AbstractEventLoop, call: Any, argument: Any) -> None:
    with suppress(RuntimeError):  # the loop was closed: nobody watches any more
        loop.call_soon_threadsafe(call, argument)


def _settle(ready: "asyncio.Future[None]", failure: Failure | None) -> None:
    if failure is None:
        ready.set_result(None)
    else:
        ready.set_exception(failure)
        ready.exception()  # whoever waits is told; nobody need wait
