"""Runs what was left to whoever claims it: a server, or a worker of its own.

Bounded: so many turns at once. Fair: the database gives out the next turn (first come,
first served, one after the other in a conversation).
"""

import logging
from contextlib import aclosing

import anyio
from anyio.abc import TaskGroup

from tina.assistant.ports import Ports
from tina.assistant.recovery import Keeper
from tina.assistant.running import Running
from tina.assistant.turn import Turn
from tina.domain.failures import StorageFailure
from tina.domain.queries import ListOpenTurns

LOOK_INTERVAL_S = 2.0
"""How often dead owners are looked for; a death is no event that anybody hears."""

_logger = logging.getLogger(__name__)


class Runner:
    """Claims queued turns while it runs."""

    def __init__(
        self, ports: Ports, running: Running, keeper: Keeper, *, slots: int
    ) -> None:
        self._ports = ports
        self._running = running
        self._keeper = keeper
        self._slots = slots
        self._mine: set[Turn] = set()
        self._wanted = anyio.Event()

    async def run(self, *, linger_s: float | None) -> None:
        """Claim and run.

        Args:
            linger_s: return when there was nothing to do for so long; None: never.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch)
            group.start_soon(self._tick)
            idle_since_s = self._ports.clock.monotonic()
            while True:
                self._wanted = anyio.Event()
                await self._claim_all(group)
                now_s = self._ports.clock.monotonic()
                if self._mine:
                    idle_since_s = now_s
                elif linger_s is not None and now_s - idle_since_s >= linger_s:
                    break
                await self._wanted.wait()
            group.cancel_scope.cancel()

    async def _claim_all(self, group: TaskGroup) -> None:
        try:
            await self._keeper.recover()
            while len(self._mine) < self._slots:
                turn = await self._running.claim()
                if turn is None:
                    return
                self._mine.add(turn)
                group.start_soon(self._wait_for, turn)
        except StorageFailure as failure:
            # Looked at again in a moment; what is queued stays queued.
            _logger.warning("nothing_claimed", extra={"kind": failure.kind})

    async def _wait_for(self, turn: Turn) -> None:
        await turn.ended()
        self._mine.discard(turn)
        self._wanted.set()

    async def _tick(self) -> None:
        while True:
            await self._ports.clock.sleep(LOOK_INTERVAL_S)
            self._wanted.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with aclosing(self._ports.live.watch(ListOpenTurns())) as watched:
                    async for _ in watched:
                        self._wanted.set()
            except StorageFailure as failure:
                _logger.warning("turns_not_watched", extra={"kind": failure.kind})
            await self._ports.clock.sleep(LOOK_INTERVAL_S)
