"""The lanes of an app.

The retry budget of a lane is that of its origin, which all models there share. A lane
that somebody holds is never lost; of the others the thousand used last are kept.
"""

from collections import OrderedDict
from weakref import WeakValueDictionary

from tina.domain.ports import Clock
from tina.networking.lane import Lane
from tina.networking.origin import Origin
from tina.networking.rate_limit import RateLimiter
from tina.networking.retry import RetryBudget

MAX_LANES = 1_000
_Key = tuple[Origin, str, float | None]


class Traffic:
    """Belongs to one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._recent: OrderedDict[_Key, Lane] = OrderedDict()
        self._lanes: WeakValueDictionary[_Key, Lane] = WeakValueDictionary()
        self._budgets: WeakValueDictionary[Origin, RetryBudget] = WeakValueDictionary()

    def lane(
        self, origin: Origin, model: str, *, requests_per_minute: float | None
    ) -> Lane:
        """The lane of that model there; hold it as long as the request lives.

        Providers that reach it with other limits have lanes of their own.

        Raises:
            InvalidInputFailure: `requests_per_minute` is not more than 0.
        """
        key = (origin, model, requests_per_minute)
        lane = self._lanes.get(key)
        if lane is None:
            lane = Lane(
                origin,
                model,
                budget=self._budget(origin),
                limiter=RateLimiter(requests_per_minute=requests_per_minute),
                clock=self._clock,
            )
            self._lanes[key] = lane
        self._recent[key] = lane
        self._recent.move_to_end(key)
        if len(self._recent) > MAX_LANES:
            self._recent.popitem(last=False)
        return lane

    def _budget(self, origin: Origin) -> RetryBudget:
        budget = self._budgets.get(origin)
        if budget is None:
            budget = self._budgets[origin] = RetryBudget()
        return budget
