"""A clock that tests hold in their hands."""

from datetime import UTC, datetime, timedelta

import anyio.lowlevel

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """Fulfils `Clock`. Sleeping takes no time, but moves the clock and is noted."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(milliseconds=round(self._elapsed_s * 1000))

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await anyio.lowlevel.checkpoint()

    def advance(self, seconds: float) -> None:
        self._elapsed_s += seconds
