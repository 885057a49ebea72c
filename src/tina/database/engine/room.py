"""What may still be written when the disk is full.

Theory. The disk is *full* from the first commit that finds no room until there is room
again; nobody has to tell. While it is full only essential jobs are tried: how an answer
ends, what running answers say, requests to stop one. They may use up the reserve. All
others are refused without a try, so that no import eats what an answer needs. The end
is looked for when a job comes, at most every two seconds: then the reserve is made
again, and everything is taken as before.
"""

from collections.abc import Callable

from tina.database.engine.reserve import Reserve

LOOK_INTERVAL_S = 2.0


class Room:
    """Whether the disk is full; used by the writer's thread alone.

    Args:
        monotonic: seconds from anywhere.
        on_full: called whenever the disk is found full.
    """

    def __init__(
        self,
        reserve: Reserve,
        *,
        monotonic: Callable[[], float],
        on_full: Callable[[], None],
    ) -> None:
        self._reserve = reserve
        self._monotonic = monotonic
        self._on_full = on_full
        self._is_full = False
        self._looked_at_s = 0.0

    def is_full(self) -> bool:
        """Whether only essential jobs may be tried; looks again now and then."""
        if self._is_full:
            now_s = self._monotonic()
            if now_s - self._looked_at_s >= LOOK_INTERVAL_S:
                self._looked_at_s = now_s
                self._is_full = not self._reserve.restore()
        return self._is_full

    def ran_out(self) -> None:
        """A commit found no room."""
        if not self._is_full:
            self._is_full = True
            self._looked_at_s = self._monotonic()
        self._on_full()

    def spend_reserve(self) -> None:
        """An essential job needs room now."""
        self._reserve.spend()
