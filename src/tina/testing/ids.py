"""Ids that are the same in every run."""

from tina.domain.ids import uuid7


class FakeIds:
    """Fulfils `IdFactory`: valid UUIDv7 that count up from one."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        self._count += 1
        return uuid7(now_ms=self._count, random_bits=self._count)
