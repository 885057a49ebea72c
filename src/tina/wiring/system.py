"""The machine's time, ids and chance: the one place that asks for them."""

import secrets
import time
from datetime import UTC, datetime

import anyio

from tina.domain.ids import RANDOM_BITS, uuid7


class SystemClock:
    """The machine's time; `now` in whole milliseconds, as the database keeps it."""

    def now(self) -> datetime:
        now = datetime.now(UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class SystemIds:
    """UUIDv7 that never go backwards in one process, whatever the clock does."""

    def __init__(self) -> None:
        self._last = 0

    def new(self) -> str:
        made = uuid7(
            now_ms=time.time_ns() // 1_000_000,
            random_bits=secrets.randbits(RANDOM_BITS),
        )
        self._last = max(int(made, 16), self._last + 1)
        return f"{self._last:032x}"
