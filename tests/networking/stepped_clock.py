"""A clock for many sleepers: it stands still until the test moves it."""

from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count

import anyio
from anyio.lowlevel import checkpoint

from tina.testing.clock import START

CYCLES = 20
"""Of the loop; the longest chain of wake-ups in these tests takes fewer."""


async def settle() -> None:
    """Let everybody run until they wait again."""
    for _ in range(CYCLES):
        await checkpoint()


class SteppedClock:
    """Fulfils `Clock`."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0
        self._order = count()
        self._sleepers: list[tuple[float, int, anyio.Event]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        wake = anyio.Event()
        due = self._elapsed_s + seconds
        heappush(self._sleepers, (due, next(self._order), wake))
        await wake.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, stopping wherever somebody wakes, until they all wait again."""
        until = self._elapsed_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._elapsed_s = max(self._elapsed_s, self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self._elapsed_s:
                heappop(self._sleepers)[2].set()
            await settle()
        self._elapsed_s = until
