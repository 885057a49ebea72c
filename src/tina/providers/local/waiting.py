"""The deadlines of one answer of the local model."""

import anyio

from tina.domain.chat import Deadlines
from tina.domain.ports import Clock
from tina.networking.failures import timeout_failure
from tina.providers.local.generation import Generation


class Wait:
    """The deadlines of one answer; begins with its making."""

    def __init__(self, clock: Clock, deadlines: Deadlines) -> None:
        self._clock = clock
        self._deadlines = deadlines
        self._end = clock.monotonic() + deadlines.total_timeout_s

    async def for_first_chunks(self, generation: Generation) -> list[str]:
        """Without the idle deadline: a queue and a slow disk are no silence."""
        return await self._until_the_end(generation)

    async def for_chunks(self, generation: Generation) -> list[str]:
        idle_s = self._deadlines.idle_timeout_s
        if self._left_s() <= idle_s:
            return await self._until_the_end(generation)
        with anyio.move_on_after(idle_s):
            return await generation.take()
        raise timeout_failure(
            "The local model said nothing more", "idle_timeout_s", idle_s
        )

    def _left_s(self) -> float:
        return self._end - self._clock.monotonic()

    async def _until_the_end(self, generation: Generation) -> list[str]:
        left_s = self._left_s()
        if left_s > 0:
            with anyio.move_on_after(left_s):
                return await generation.take()
        raise timeout_failure(
            "The local model did not end its answer",
            "total_timeout_s",
            self._deadlines.total_timeout_s,
        )
