"""Whether a failed request is worth another attempt, and when.

Pure. Two limits hold at once: each request has three attempts, and all requests to
one origin share a budget for the second and third. The budget is what keeps a server
that is down from being asked three times as often as one that works: a retry costs
14, each request pays in a tenth of that, and 500 are there from the start, so that n
requests make at most n + 35 + n/10 attempts.

Whether something was shown already is the caller's to know: then nothing may be
asked again.

Source: AWS SDKs and Tools Reference Guide, "Retry behavior" (standard mode);
Google SRE Book, "Handling Overload" (retry budgets).
"""

import msgspec

from tina.domain.failures import (
    AuthenticationFailure,
    BillingFailure,
    CircuitOpenFailure,
    ContextOverflowFailure,
    ModelNotFoundFailure,
    OverloadFailure,
    PermissionFailure,
    ProviderFailure,
    RefusedOriginFailure,
    TooLargeFailure,
)
from tina.networking.backoff import full_jitter_s
from tina.networking.retry_after import wait_in_words

_SAME_NEXT_TIME = frozenset({400, 401, 402, 403, 404, 413, 422})
_OVERLOADED = frozenset({503, 529})
_NEVER = (
    AuthenticationFailure,
    BillingFailure,
    CircuitOpenFailure,
    ContextOverflowFailure,
    ModelNotFoundFailure,
    PermissionFailure,
    RefusedOriginFailure,
    TooLargeFailure,
)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`attempts` counts the first one, too."""

    attempts: int = 3
    base_s: float = 0.5
    overload_base_s: float = 2.0
    """In place of `base_s`, if the server says that it has too much to do."""
    cap_s: float = 20.0
    retry_after_limit_s: float = 60.0
    """A server that asks for a longer wait is not asked again."""


class RetryBudget:
    """What the retries of all requests to one origin are paid from."""

    def __init__(
        self, *, capacity: float = 500.0, cost: float = 14.0, share: float = 0.1
    ) -> None:
        self._capacity = capacity
        self._cost = cost
        self._deposit = share * cost
        self._left = capacity

    def note_request(self) -> None:
        """Pay in for a request, once, however often it is tried."""
        self._left = min(self._capacity, self._left + self._deposit)

    def take(self) -> bool:
        """Pay for one retry, if there is enough."""
        if self._left < self._cost:
            return False
        self._left -= self._cost
        return True


def plan_retry(
    failure: ProviderFailure,
    *,
    attempt: int,
    policy: RetryPolicy,
    budget: RetryBudget,
    draw: float,
) -> float | None:
    """Seconds to wait before the next attempt, paid for; None means to give up.

    Args:
        failure: how the last attempt ended, with nothing shown.
        attempt: the number of that attempt; the first is 1.
        policy: the limits.
        budget: of the origin.
        draw: chance, from 0 to below 1.
    """
    asked_s = failure.retry_after_s or 0.0
    if (
        attempt >= policy.attempts
        or asked_s > policy.retry_after_limit_s
        or not is_worth_retrying(failure)
        or not budget.take()
    ):
        return None
    base_s = policy.overload_base_s if _is_overload(failure) else policy.base_s
    # On top of what the server asked for: it told everybody the same second.
    return asked_s + full_jitter_s(
        attempt, base_s=base_s, cap_s=policy.cap_s, draw=draw
    )


def is_worth_retrying(failure: ProviderFailure) -> bool:
    """Whether the same request may do better next time.

    The server's word counts, but not against what cannot change by asking again.
    """
    if isinstance(failure, _NEVER) or failure.status in _SAME_NEXT_TIME:
        return False
    if failure.should_retry is not None:
        return failure.should_retry
    return failure.retryable


def with_wait_named(failure: ProviderFailure) -> ProviderFailure:
    """The same failure; its text says how long to wait, if that may help."""
    if failure.retry_after_s and is_worth_retrying(failure):
        wait = wait_in_words(failure.retry_after_s)
        if wait not in failure.message:
            failure.message += f" (The server asks for a wait of {wait}.)"
            failure.args = (failure.message,)
    return failure


def _is_overload(failure: ProviderFailure) -> bool:
    return isinstance(failure, OverloadFailure) or failure.status in _OVERLOADED
