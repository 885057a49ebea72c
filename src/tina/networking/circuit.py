"""A server that keeps failing is left alone, and asked again by one request at a time.

Pure. The states:

    closed ──(5 failures within 30 s, no answer in between)──▶ open
    open ──(30 s later, by the next request: the probe)──▶ half-open
    half-open ──(an answer)──▶ closed
    half-open ──(the probe fails)──▶ open
    half-open ──(the probe is cancelled)──▶ open; the next request is the probe

Any answer closes the circuit, whoever asked: it proves that the server lives. A
failure tells of the time when its request began, which may be long ago if the server
is silent: it counts for nothing if there was an answer since, and the 30 s are
counted from then. A probe that hangs is given up after as long, and the next may go.
Thus a recovery is noticed by the first request that comes 30 s after it, or sooner.

Source: M. Nygard, "Release It!", second edition, "Circuit Breaker".
"""

from collections import deque
from enum import StrEnum

from tina.domain.failures import (
    ConnectionFailure,
    OverloadFailure,
    ProviderFailure,
    ServerFailure,
    TimeoutFailure,
    TruncatedFailure,
)

_OUTAGE = (
    ConnectionFailure,
    OverloadFailure,
    ServerFailure,
    TimeoutFailure,
    TruncatedFailure,
)


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Every time is in seconds of one monotonic clock."""

    def __init__(
        self, *, failures: int = 5, window_s: float = 30.0, open_s: float = 30.0
    ) -> None:
        self._most_failures = failures
        self._window_s = window_s
        self._open_s = open_s
        self._failed_at: deque[float] = deque(maxlen=failures)
        self._answered_at = float("-inf")
        self._down_at = float("-inf")
        """When the last of the requests that failed began."""
        self._probe_at: float | None = None
        """When the next probe may go; None while the circuit is closed."""
        self._probe_began: float | None = None

    @property
    def state(self) -> CircuitState:
        if self._probe_at is None:
            return CircuitState.CLOSED
        is_probed = self._probe_began is not None
        return CircuitState.HALF_OPEN if is_probed else CircuitState.OPEN

    def wait_s(self, now: float) -> float:
        """Seconds until a request may go; 0.0 if one may."""
        return 0.0 if self._probe_at is None else max(0.0, self._probe_at - now)

    def enter(self, now: float) -> float:
        """Let a request go if it may: 0.0, else seconds until one may.

        Of each request that went, tell how it ended: `succeeded`, `failed` or
        `abandoned`, and when it began.
        """
        wait_s = self.wait_s(now)
        if wait_s == 0.0 and self._probe_at is not None:
            self._probe_began = now
            self._probe_at = now + self._open_s
        return wait_s

    def succeeded(self, now: float) -> None:
        """The server answered."""
        self._answered_at = now
        self._probe_at = self._probe_began = None
        self._failed_at.clear()

    def failed(self, now: float, *, began: float) -> None:
        """The server did not answer, or said that it cannot."""
        if self._probe_at is not None:
            if began == self._probe_began:
                self._probe_began = None
        elif began >= self._answered_at:
            self._failed_at.append(now)
            self._down_at = max(self._down_at, began)
            if self._is_outage(now):
                self._probe_at = self._down_at + self._open_s

    def abandoned(self, *, began: float) -> None:
        """Nobody waited to see how the request would end."""
        if began == self._probe_began:
            self._probe_began = None
            self._probe_at = began

    def _is_outage(self, now: float) -> bool:
        is_full = len(self._failed_at) == self._most_failures
        return is_full and now - self._failed_at[0] <= self._window_s


def counts(failure: ProviderFailure) -> bool:
    """Whether it is a sign that the server is down.

    A refusal (4xx, a rate limit) is an answer. So is one that is too large, and
    nonsense: mostly the base URL is wrong, and its failure says so better than a
    circuit that is open.
    """
    return isinstance(failure, _OUTAGE)


def proves_life(failure: ProviderFailure) -> bool:
    """Whether the server itself refused: then it works."""
    status = failure.status or 0
    return not counts(failure) and 400 <= status < 500
