"""Live queries in any order of events: no change is lost.

Readings, changes, slow watchers and cancelled ones happen in an order that a seed
draws, one step of the loop at a time; each seed gives the same order every time.
"""

import random

import anyio
import anyio.lowlevel
import pytest

from tina.database.live.shared import SharedQuery

pytestmark = pytest.mark.anyio

SEEDS = 1200
PARTS = 6
WATCHERS = 5
CHANGES = 30
STEPS_TO_SETTLE = 200
GIVE_UP_S = 30.0


class Schedule:
    """One value that changes, and those who watch it."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        self._value = 0
        self._shared = SharedQuery(self._read)
        self.last_seen: dict[int, int] = {}

    async def watch(self, watcher: int) -> None:
        number, before = 0, -1
        while True:
            with anyio.CancelScope() as asking:
                if self._draw.random() < 0.1:
                    asking.cancel()
                number, value = await self._shared.next(number)
                assert value > before, "older than what it has seen, or equal"
                before = self.last_seen[watcher] = value
            await self._pause()

    async def change(self) -> None:
        for _ in range(CHANGES):
            await self._pause()
            self._value += 1
            self._shared.mark_stale()

    async def settle(self) -> None:
        """More steps than anybody needs to see the last change."""
        for _ in range(STEPS_TO_SETTLE):
            await anyio.lowlevel.checkpoint()

    async def _read(self) -> int:
        await self._pause()
        value = self._value
        await self._pause()
        return value

    async def _pause(self) -> None:
        for _ in range(self._draw.randrange(4)):
            await anyio.lowlevel.checkpoint()


@pytest.mark.requirement("live:schedules:nothing-lost")
@pytest.mark.parametrize("part", range(PARTS))
async def test_in_any_order_the_last_seen_is_the_last_written(part: int) -> None:
    for seed in range(part, SEEDS, PARTS):
        schedule = Schedule(seed)

        with anyio.fail_after(GIVE_UP_S):
            async with anyio.create_task_group() as group:
                for watcher in range(WATCHERS):
                    group.start_soon(schedule.watch, watcher)
                await schedule.change()
                await schedule.settle()
                group.cancel_scope.cancel()

        assert schedule.last_seen == dict.fromkeys(range(WATCHERS), CHANGES), seed
