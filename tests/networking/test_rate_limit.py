"""Whose turn it is: in order, in time, and never too many."""

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, inf, nan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from tina.domain.failures import InvalidInputFailure
from tina.networking.rate_headers import LimitState
from tina.networking.rate_limit import LONGEST_HOLD_S, RateLimiter, Reservation

A_MOMENT_S = 0.0011
"""Being a millisecond early is being on time."""


def limit(name: str, remaining: int, reset_s: float) -> LimitState:
    return LimitState(name=name, limit=100, remaining=remaining, reset_s=reset_s)


def leave_times(limiter: RateLimiter, count: int) -> list[float]:
    """When so many leave that come together at 0, each as soon as it may."""
    times: list[float] = []
    now = 0.0
    waiting = [limiter.reserve(now) for _ in range(count)]
    while waiting:
        now = max(now, min(each.due_at for each in waiting))
        for each in list(waiting):
            if each.due_at <= now and limiter.wait_s(each, now) == 0.0:
                limiter.use(each, now)
                waiting.remove(each)
                times.append(now)
    return times


def test_without_a_limit_everybody_leaves_at_once() -> None:
    limiter = RateLimiter(requests_per_minute=None)

    assert leave_times(limiter, 1_000) == [0.0] * 1_000


@pytest.mark.parametrize(
    ("per_minute", "times"),
    [
        (3, [0, 20, 40, 60]),
        (0.5, [0, 120, 240]),
        (60, [0, 0, 0, 0, 0, 0, 60 / 55, 120 / 55]),
    ],
)
def test_a_tenth_leaves_at_once_and_the_rest_in_even_steps(
    per_minute: float, times: list[float]
) -> None:
    limiter = RateLimiter(requests_per_minute=per_minute)

    assert leave_times(limiter, len(times)) == pytest.approx(times)


@pytest.mark.parametrize("per_minute", [0, -1, inf, nan])
def test_a_limit_that_nobody_can_keep_is_refused(per_minute: float) -> None:
    with pytest.raises(InvalidInputFailure, match="more than 0"):
        RateLimiter(requests_per_minute=per_minute)


def test_each_hears_how_long_the_queue_before_it_takes() -> None:
    limiter = RateLimiter(requests_per_minute=3)
    first, second, third = (limiter.reserve(0) for _ in range(3))

    waits = [limiter.wait_s(each, 5) for each in (first, second, third)]

    assert waits == [0, 20, 40]


def test_who_goes_away_lets_the_others_move_up() -> None:
    limiter = RateLimiter(requests_per_minute=3)
    first, second, third = (limiter.reserve(0) for _ in range(3))
    limiter.use(first, 0)

    limiter.release(second)

    assert limiter.is_eased(0)
    assert limiter.wait_s(third, 0) == 20
    assert not limiter.is_eased(0)


def test_who_has_left_or_gone_gives_nothing_back() -> None:
    limiter = RateLimiter(requests_per_minute=3)
    first, second = limiter.reserve(0), limiter.reserve(0)
    limiter.use(first, 0)

    limiter.release(first)
    limiter.release(second)
    limiter.release(second)

    assert limiter.wait_s(limiter.reserve(0), 0) == 20


def test_after_a_limit_is_used_up_nobody_leaves_before_its_reset() -> None:
    limiter = RateLimiter(requests_per_minute=None)
    limiter.learn([limit("requests", 0, 60)], now=0)

    assert leave_times(limiter, 3) == [60] * 3


def test_a_reset_that_is_far_away_is_not_waited_for_and_asked_about_in_a_minute() -> (
    None
):
    limiter = RateLimiter(requests_per_minute=None)
    limiter.learn([limit("requests", 1, 1_200)], now=0)
    first, second = limiter.reserve(0), limiter.reserve(0)

    hopeless = [limiter.hopeless_s(each, 10) for each in (first, second)]
    later = limiter.hopeless_s(second, 60)

    assert hopeless == [None, 1_190]
    assert later is None
    assert limiter.wait_s(second, 60) == 0.0


def test_a_reset_that_is_near_is_waited_for() -> None:
    limiter = RateLimiter(requests_per_minute=None)
    limiter.learn([limit("requests", 0, 60)], now=0)

    assert limiter.hopeless_s(limiter.reserve(0), 0) is None


def test_only_what_is_left_leaves_before_the_reset() -> None:
    limiter = RateLimiter(requests_per_minute=None)
    limiter.learn([limit("requests", 2, 30)], now=0)

    assert leave_times(limiter, 4) == [0, 0, 30, 30]


def test_after_a_reset_as_many_leave_at_once_as_ever() -> None:
    limiter = RateLimiter(requests_per_minute=30)
    limiter.learn([limit("requests", 2, 50)], now=0)
    waiting = [limiter.reserve(0) for _ in range(6)]

    waits = [limiter.wait_s(each, 0) for each in waiting]

    assert waits == pytest.approx([0, 0, 50, 50, 50, 50 + 60 / 28])


def test_who_gets_what_another_leaves_is_eased() -> None:
    limiter = RateLimiter(requests_per_minute=30)
    for _ in range(3):
        limiter.use(limiter.reserve(0), 0)
    limiter.learn([limit("requests", 2, 50)], now=0)
    _, second, third, last = (limiter.reserve(0) for _ in range(4))

    waits_before = [third.due_at, last.due_at]
    limiter.release(second)

    assert limiter.is_eased(0)
    assert waits_before == [50, 50]
    assert limiter.wait_s(third, 0) == pytest.approx(120 / 28)
    assert limiter.wait_s(last, 0) == 50


def test_the_servers_last_word_counts() -> None:
    limiter = RateLimiter(requests_per_minute=None)
    limiter.learn([limit("requests", 0, 3_600)], now=0)
    waiting = [limiter.reserve(0) for _ in range(3)]

    limiter.learn([limit("requests", 2, 10)], now=1)

    assert limiter.is_eased(1)
    assert [limiter.wait_s(each, 1) for each in waiting] == [0, 0, 10]
    assert not limiter.is_eased(1)


@pytest.mark.parametrize("name", ["tokens", "input-tokens", "output-tokens"])
def test_used_up_tokens_hold_everybody_a_minute_at_most(name: str) -> None:
    limiter = RateLimiter(requests_per_minute=None)
    waiting = limiter.reserve(0)

    waits: list[float] = []
    for state in (limit(name, 0, 20), limit(name, 0, 3_600), limit(name, 1, 3_600)):
        limiter.learn([state], now=0)
        waits.append(limiter.wait_s(waiting, 0))

    assert waits == [20, 60, 0]


def test_limits_of_something_else_hold_nobody() -> None:
    limiter = RateLimiter(requests_per_minute=None)
    limiter.learn([limit("priority-input-tokens", 0, 60)], now=0)

    assert leave_times(limiter, 1) == [0]


@pytest.mark.parametrize(
    ("asked_s", "held_s"), [(None, 0), (0, 0), (20, 20), (60, 60), (86_400, 60)]
)
def test_a_refusal_holds_everybody_a_minute_at_most(
    asked_s: float | None, held_s: float
) -> None:
    limiter = RateLimiter(requests_per_minute=None)
    limiter.note_refusal(asked_s, 0)
    limiter.note_refusal(None, 0)
    limiter.learn([limit("requests", 5, 1)], now=0)

    assert leave_times(limiter, 2) == [held_s, held_s]


def test_who_does_not_leave_in_time_blocks_nobody() -> None:
    limiter = RateLimiter(requests_per_minute=3)
    asleep, awake = limiter.reserve(0), limiter.reserve(0)

    assert limiter.wait_s(awake, 1) == 20
    assert limiter.wait_s(awake, 1.1) == 0
    limiter.use(awake, 1.1)

    assert limiter.wait_s(asleep, 2) == pytest.approx(19.1)


def test_who_is_late_and_asks_first_keeps_their_place() -> None:
    limiter = RateLimiter(requests_per_minute=3)
    late, _ = limiter.reserve(0), limiter.reserve(0)

    assert limiter.wait_s(late, 50) == 0


@given(
    per_minute=st.floats(0.1, 500),
    gaps=st.lists(st.sampled_from([0.0, 0.01, 0.5, 3.0, 70.0]), max_size=300),
)
@settings(deadline=None)
def test_no_minute_sees_more_than_the_limit(
    per_minute: float, gaps: list[float]
) -> None:
    limiter = RateLimiter(requests_per_minute=per_minute)
    now, times = 0.0, list[float]()
    for gap_s in gaps:
        now += gap_s
        place = limiter.reserve(now)
        now += limiter.wait_s(place, now)
        limiter.use(place, now)
        times.append(now)

    for begin in times:
        minute = [time for time in times if begin <= time < begin + 59.99]
        assert len(minute) <= ceil(per_minute)


@dataclass(eq=False)
class Waiter:
    place: Reservation
    told: float
    """When it may leave, as it was told last."""
    came: int = field(kw_only=True)


class Queue(RuleBasedStateMachine):
    """Requests come, leave and go away; each looks again when it was told to, or when
    things are eased, as a lane lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.came = 0
        self.waiting: list[Waiter] = []
        self.limiter = RateLimiter(requests_per_minute=None)
        self.allowed: tuple[int, float] = (0, 0.0)

    @initialize(per_minute=st.sampled_from([None, 0.5, 3, 30, 600]))
    def it_has_a_limit(self, per_minute: float | None) -> None:
        self.limiter = RateLimiter(requests_per_minute=per_minute)

    @rule(count=st.integers(1, 5))
    def some_come(self, count: int) -> None:
        for _ in range(count):
            place = self.limiter.reserve(self.now)
            told = self.now + self.limiter.wait_s(place, self.now)
            self.waiting.append(Waiter(place, told, came=self.came))
            self.came += 1
        self.look_again()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def one_goes_away(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(gone)
        self.limiter.release(gone.place)
        self.look_again()

    @rule(seconds=st.floats(0.01, 100))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        while self.waiting and (due := min(each.told for each in self.waiting)) < until:
            self.now = max(self.now, due)
            self.look_again(also_due=True)
        self.now = until
        self.look_again(also_due=True)

    @rule(remaining=st.integers(0, 5), reset_s=st.floats(0, 100))
    def the_server_tells(self, remaining: int, reset_s: float) -> None:
        self.limiter.learn([limit("requests", remaining, reset_s)], now=self.now)
        self.allowed = (remaining, self.now + min(LONGEST_HOLD_S, reset_s))
        self.look_again(is_news=True)

    @rule(asked_s=st.floats(0, 100))
    def the_server_refuses(self, asked_s: float) -> None:
        self.limiter.note_refusal(asked_s, self.now)
        self.look_again(is_news=True)

    def look_again(self, *, also_due: bool = False, is_news: bool = False) -> None:
        """What a lane does: wake everybody if things are eased, else who is due."""
        is_eased = self.limiter.is_eased(self.now)
        gained = False
        for each in list(self.waiting):
            is_due = also_due and each.told <= self.now + A_MOMENT_S
            wait_s = self.limiter.wait_s(each.place, self.now)
            told = self.now + wait_s
            gained |= told < each.told - A_MOMENT_S and each.told > self.now
            if not (is_news or is_due):
                # Those who came later, left or went away made it no worse.
                assert told <= max(each.told, self.now) + A_MOMENT_S
            each.told = told
            if wait_s == 0.0:
                self.leave(each)
        assert is_eased or not gained or also_due

    def leave(self, one: Waiter) -> None:
        # First come, first served.
        assert one is min(self.waiting, key=lambda each: each.came)
        left, until = self.allowed
        if self.now < until - A_MOMENT_S:
            assert left > 0
            self.allowed = (left - 1, until)
        self.limiter.use(one.place, self.now)
        self.waiting.remove(one)

    @invariant()
    def the_queue_is_in_order(self) -> None:
        for sooner, later in pairwise(self.waiting):
            assert later.told >= sooner.told - A_MOMENT_S


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine may be busy
)
