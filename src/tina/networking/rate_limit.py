"""When the next request may leave: limits that a person set, or that a server told.

Pure. Requests stand in one queue. When one may leave is computed as if all before it
left as soon as they can ("virtual scheduling"): nobody ever waits longer because of
one who came later, and each knows how long to sleep. That time comes nearer only if
somebody before them goes away, or the server tells news; then `is_eased`.

Three things hold requests back:

- a token bucket for `requests_per_minute`: a tenth of them may leave at once, and it
  is filled so slowly that no minute sees more than that many;
- what is left until a limit is reset, as the server said last (a gate for each);
- a refusal that names a time (429).

Who does not leave within a second of their turn, because nobody reads their answer,
would block all behind them; they lose their place, and asking again puts them last.

Source: ITU-T I.371, annex A (the generic cell rate algorithm, virtual scheduling).
"""

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from math import inf

import msgspec

from tina.domain.failures import InvalidInputFailure
from tina.networking.rate_headers import LimitState

LONGEST_HOLD_S = 60.0
"""Nobody is held back any longer by what a server said: then it is asked again."""
_TOKENS = frozenset({"tokens", "input-tokens", "output-tokens"})
_ON_TIME_S = 0.001
_LATE_S = 1.0
_NO_TICKET = -1


class Reservation:
    """A place in the queue of one limiter."""

    __slots__ = ("due_at", "ticket")

    def __init__(self) -> None:
        self.ticket = _NO_TICKET
        self.due_at = inf


class _Gate(msgspec.Struct):
    """So many more may leave before `until`; the server's limit is reset at `reset_at`.

    That may be later: nobody waits that long.
    """

    left: int
    until: float
    reset_at: float


class RateLimiter:
    """Every time is in seconds of one monotonic clock.

    Each reservation ends with `use` or `release`.
    """

    def __init__(self, *, requests_per_minute: float | None) -> None:
        at_once, spacing_s = 1.0, 0.0
        if requests_per_minute is not None:
            if not 0 < requests_per_minute < inf:
                raise InvalidInputFailure(
                    f"requests_per_minute is {requests_per_minute}, and has to be "
                    "more than 0. Leave it out if there is no limit."
                )
            at_once = max(1.0, requests_per_minute // 10)
            spacing_s = 60 / (requests_per_minute - at_once + 1)
        self._spacing_s = spacing_s
        self._tolerance_s = (at_once - 1) * spacing_s
        self._full_at = -inf
        """When the bucket is full again ("theoretical arrival time")."""
        self._gates: dict[str, _Gate] = {}
        self._refused_until = -inf
        self._queue: list[Reservation] = []
        self._next_ticket = 0

    def reserve(self, now: float) -> Reservation:
        """Stand in the queue, last."""
        reservation = Reservation()
        self.wait_s(reservation, now)
        return reservation

    def wait_s(self, reservation: Reservation, now: float) -> float:
        """Seconds until it may leave, as things stand; 0.0 if it may now."""
        self._drop_late(reservation, now)
        if reservation.ticket == _NO_TICKET:
            self._join(reservation)
        reservation.due_at = self._due_at(self._position(reservation), now)
        wait_s = reservation.due_at - now
        # Clocks and sums are no better than that.
        return wait_s if wait_s > _ON_TIME_S else 0.0

    def hopeless_s(self, reservation: Reservation, now: float) -> float | None:
        """Seconds to a reset that is too far away to wait for, if there is one."""
        position = self._position(reservation)
        resets = [
            gate.reset_at - now
            for gate in self._gates.values()
            if gate.left <= position and gate.until > now
        ]
        longest_s = max(resets, default=0.0)
        return longest_s if longest_s > LONGEST_HOLD_S else None

    def use(self, reservation: Reservation, now: float) -> None:
        """The request leaves: `wait_s` has just said that it may."""
        self.release(reservation)
        self._full_at = max(self._full_at, now) + self._spacing_s
        for gate in self._gates.values():
            gate.left = max(0, gate.left - 1)

    def release(self, reservation: Reservation) -> None:
        """The request does not leave; those behind it move up. Twice is harmless."""
        if reservation.ticket != _NO_TICKET:
            del self._queue[self._position(reservation)]
            reservation.ticket = _NO_TICKET

    def learn(self, limits: Iterable[LimitState], *, now: float) -> None:
        """Take what the server says; of each limit the last word counts."""
        for limit in limits:
            if limit.name == "requests":
                left, hold_s = limit.remaining, limit.reset_s
            elif limit.name in _TOKENS:
                left, hold_s = 0, 0.0 if limit.remaining else limit.reset_s
            else:
                continue
            until = now + min(LONGEST_HOLD_S, hold_s)
            self._gates[limit.name] = _Gate(left, until, now + hold_s)

    def note_refusal(self, retry_after_s: float | None, now: float) -> None:
        """The server refused a request, and said when to ask again, or did not."""
        hold_s = min(LONGEST_HOLD_S, retry_after_s or 0.0)
        self._refused_until = max(self._refused_until, now + hold_s)

    def is_eased(self, now: float) -> bool:
        """Whether somebody who waits may leave sooner than `wait_s` told them."""
        starts = sorted({0, *(gate.left for gate in self._gates.values())})
        for start, end in pairwise([*starts, len(self._queue)]):
            floor, line = self._bounds(start, now)
            for position in range(start, min(end, len(self._queue))):
                due_at = max(floor, line + position * self._spacing_s)
                if due_at < self._queue[position].due_at - _ON_TIME_S:
                    return True
        return False

    def _due_at(self, position: int, now: float) -> float:
        """When the one who has so many before it may leave."""
        floor, line = self._bounds(position, now)
        return max(floor, line + position * self._spacing_s)

    def _bounds(self, position: int, now: float) -> tuple[float, float]:
        """What holds at and behind a position, as far as the next gate.

        Returns:
            The time before which nobody leaves, and the one from which the bucket
            lets one after another leave, counted from position 0.
        """
        floor = begin = max(now, self._refused_until)
        line = max(self._full_at, begin)
        for gate in self._gates.values():
            if gate.left <= position and gate.until > begin:
                floor = max(floor, gate.until)
                reset = max(self._full_at, gate.until)
                line = max(line, reset - gate.left * self._spacing_s)
        return floor, line - self._tolerance_s

    def _join(self, reservation: Reservation) -> None:
        reservation.ticket = self._next_ticket
        self._next_ticket += 1
        self._queue.append(reservation)

    def _position(self, reservation: Reservation) -> int:
        return bisect_left(self._queue, reservation.ticket, key=_ticket_of)

    def _drop_late(self, asking: Reservation, now: float) -> None:
        while self._queue and self._queue[0] is not asking:
            first = self._queue[0]
            if first.due_at + _LATE_S >= now:
                return
            self.release(first)


def _ticket_of(reservation: Reservation) -> int:
    return reservation.ticket
