"""The machine's time and ids."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time. `now` is aware UTC; `monotonic` counts seconds from anywhere."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class IdFactory(Protocol):
    def new(self) -> str:
        """A new id (`domain.ids`), greater than every one made before it."""
        ...
