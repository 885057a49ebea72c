"""Requests of one lane: their turns, how they end, and what is learned from it."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.networking.stepped_clock import SteppedClock, settle
from tina.domain.failures import (
    CircuitOpenFailure,
    InvalidRequestFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    ServerFailure,
)
from tina.networking.lane import Lane
from tina.networking.origin import Origin
from tina.networking.rate_limit import RateLimiter
from tina.networking.retry import RetryBudget, RetryPolicy
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

ORIGIN = Origin("https", "api.example", 443)
USED_UP = {
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "12s",
}
THERE_IS_MORE = {
    "x-ratelimit-remaining-requests": "9",
    "x-ratelimit-reset-requests": "12s",
}


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lane(clock: FakeClock) -> Lane:
    return make_lane(clock)


def make_lane(
    clock: FakeClock | SteppedClock, *, per_minute: float | None = None
) -> Lane:
    return Lane(
        ORIGIN,
        "m",
        budget=RetryBudget(),
        limiter=RateLimiter(requests_per_minute=per_minute),
        clock=clock,
    )


async def take_turn(lane: Lane, *, ends_at: float = 1e9) -> list[float]:
    async with aclosing(lane.wait_for_turn("acme", ends_at=ends_at)) as waits:
        return [wait_s async for wait_s in waits]


def fail(lane: Lane, failure: ProviderFailure, clock: FakeClock | None = None) -> None:
    """Let a request fail; with a clock, after the first of its answer has come."""
    with pytest.raises(type(failure)):
        request(lane, failure, clock)


def request(lane: Lane, failure: ProviderFailure, clock: FakeClock | None) -> None:
    with lane.watched("acme") as watch:
        if clock is not None:
            watch.succeeded()
            clock.advance(0.1)
        raise failure


def break_down(lane: Lane) -> None:
    for _ in range(5):
        fail(lane, ServerFailure("It broke.", status=500))


def is_open(lane: Lane) -> bool:
    says_nothing = ProtocolFailure("It answered with nothing.")
    try:
        fail(lane, says_nothing)
    except CircuitOpenFailure:
        return True
    return False


async def test_a_free_lane_lets_everybody_pass(lane: Lane) -> None:
    assert await take_turn(lane) == []


async def test_a_wait_is_said_before_it_is_waited(lane: Lane, clock: FakeClock) -> None:
    lane.learn(USED_UP)
    async with aclosing(lane.wait_for_turn("acme", ends_at=100)) as waits:
        first_s = await anext(waits)
        slept_before = list(clock.slept)
        rest = [wait_s async for wait_s in waits]

    assert (first_s, slept_before, rest) == (12, [], [])
    assert clock.slept == [12]


async def test_what_says_nothing_of_limits_teaches_nothing(lane: Lane) -> None:
    lane.learn(USED_UP)
    lane.learn({"content-type": "text/event-stream"})

    assert await take_turn(lane) == [12]


async def test_a_turn_that_would_come_too_late_is_refused_at_once(
    lane: Lane, clock: FakeClock
) -> None:
    lane.learn(USED_UP)

    with pytest.raises(RateLimitFailure, match=r"acme takes no more .* for 12 s") as no:
        await take_turn(lane, ends_at=11)

    assert no.value.retry_after_s == 12
    assert clock.slept == []


async def test_what_a_server_resets_much_later_is_not_waited_for(
    lane: Lane, clock: FakeClock
) -> None:
    lane.learn({**USED_UP, "x-ratelimit-reset-requests": "20m"})

    with pytest.raises(RateLimitFailure, match="for 20 min") as no:
        await take_turn(lane)
    clock.advance(60)
    later = await take_turn(lane)

    assert no.value.retry_after_s == 1_200
    assert later == []


async def test_a_turn_that_comes_just_in_time_is_waited_for(lane: Lane) -> None:
    lane.learn(USED_UP)

    assert await take_turn(lane, ends_at=12) == [12]


async def test_closing_gives_the_turn_up(clock: FakeClock) -> None:
    lane = make_lane(clock, per_minute=1)
    await take_turn(lane)
    async with aclosing(lane.wait_for_turn("acme", ends_at=1e9)) as waits:
        await anext(waits)

    assert await take_turn(lane) == [60]


@pytest.mark.requirement("networking:rate-limit:fair")
async def test_a_cancelled_wait_gives_the_turn_to_the_next() -> None:
    clock = SteppedClock()
    lane = make_lane(clock, per_minute=1)
    said: dict[str, list[float]] = {"second": [], "third": []}
    left: list[tuple[str, float]] = []

    async def ask(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with aclosing(lane.wait_for_turn("acme", ends_at=1e9)) as waits:
                async for wait_s in waits:
                    said[name].append(wait_s)
            left.append((name, clock.monotonic()))

    await take_turn(lane)
    async with anyio.create_task_group() as tasks:
        second, third = anyio.CancelScope(), anyio.CancelScope()
        tasks.start_soon(ask, "second", second)
        tasks.start_soon(ask, "third", third)
        await clock.advance(10)
        second.cancel()
        await clock.advance(50)

    assert said == {"second": [60], "third": [120, 50]}
    assert left == [("third", 60)]


async def test_news_from_the_server_wake_those_who_wait() -> None:
    clock = SteppedClock()
    lane = make_lane(clock)
    lane.learn(USED_UP)
    left: list[float] = []

    async def ask() -> None:
        await take_turn(lane)
        left.append(clock.monotonic())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)
        await clock.advance(5)
        lane.learn(THERE_IS_MORE)
        await clock.advance(0)

    assert left == [5, 5, 5]


async def test_news_while_the_wait_is_shown_are_not_missed() -> None:
    clock = SteppedClock()
    lane = make_lane(clock)
    lane.learn(USED_UP)
    async with aclosing(lane.wait_for_turn("acme", ends_at=100)) as waits:
        await anext(waits)
        lane.learn(THERE_IS_MORE)
        rest = [wait_s async for wait_s in waits]

    assert rest == []


@pytest.mark.requirement("networking:rate-limit:fair")
async def test_a_thousand_leave_in_order_and_in_time_though_many_go_away() -> None:
    clock = SteppedClock()
    lane = make_lane(clock, per_minute=600)
    left: list[tuple[int, float]] = []

    async def ask(number: int, scope: anyio.CancelScope) -> None:
        with scope:
            await take_turn(lane)
            left.append((number, clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        scopes = [anyio.CancelScope() for _ in range(1_000)]
        for number, scope in enumerate(scopes):
            tasks.start_soon(ask, number, scope)
        await settle()
        for number in range(100, 1_000):
            if number % 10:
                scopes[number].cancel()
        await clock.advance(20)

    stayed = [*range(100), *range(100, 1_000, 10)]
    assert [number for number, _ in left] == stayed
    # 60 at once, then 541 a minute.
    assert left[59][1] == 0
    assert left[-1][1] == pytest.approx(130 * 60 / 541)


async def test_five_failures_close_the_lane_and_say_for_how_long(
    lane: Lane, clock: FakeClock
) -> None:
    break_down(lane)
    clock.advance(10)

    with (
        pytest.raises(CircuitOpenFailure, match="leaves it alone") as no,
        lane.watched("acme"),
    ):
        pytest.fail("the request was sent")

    assert no.value.retry_after_s == 20
    assert no.value.message == (
        "acme failed several times in a row just now, so Tina leaves it alone for "
        "20 s. Try again then, or ask another model: `tina models list` shows them."
    )


async def test_nobody_waits_in_a_closed_lane(lane: Lane, clock: FakeClock) -> None:
    break_down(lane)
    lane.learn(USED_UP)

    with pytest.raises(CircuitOpenFailure):
        await take_turn(lane)

    assert clock.slept == []


async def test_a_probe_that_is_answered_opens_the_lane(
    lane: Lane, clock: FakeClock
) -> None:
    break_down(lane)
    clock.advance(30)
    with lane.watched("acme") as watch:
        was_open = is_open(lane)
        watch.succeeded()
        watch.succeeded()

        assert (was_open, is_open(lane)) == (True, False)


async def test_a_request_that_just_ends_was_answered(
    lane: Lane, clock: FakeClock
) -> None:
    break_down(lane)
    clock.advance(30)
    with lane.watched("acme") as watch:
        pass

    assert watch.is_answered
    assert not is_open(lane)


async def test_a_refusal_shows_that_the_server_lives(
    lane: Lane, clock: FakeClock
) -> None:
    break_down(lane)
    clock.advance(30)

    fail(lane, InvalidRequestFailure("No.", status=400))

    for _ in range(4):
        fail(lane, ServerFailure("It broke.", status=500))
    assert not is_open(lane)


async def test_a_probe_that_fails_keeps_the_lane_closed(
    lane: Lane, clock: FakeClock
) -> None:
    break_down(lane)
    clock.advance(30)

    fail(lane, ServerFailure("It broke.", status=500))

    assert is_open(lane)


async def test_after_a_cancelled_probe_the_next_may_go(
    lane: Lane, clock: FakeClock
) -> None:
    break_down(lane)
    clock.advance(30)
    with anyio.CancelScope() as scope, lane.watched("acme"):
        scope.cancel()
        await checkpoint()
        pytest.fail("it went on")

    with lane.watched("acme"):
        assert is_open(lane)


async def test_after_its_answer_began_a_request_cannot_close_the_lane(
    lane: Lane, clock: FakeClock
) -> None:
    for _ in range(10):
        fail(lane, ServerFailure("It broke.", status=500), clock)

    assert not is_open(lane)


async def test_a_refusal_with_a_time_holds_the_whole_lane(lane: Lane) -> None:
    fail(lane, RateLimitFailure("No.", status=429, retry_after_s=7))

    assert await take_turn(lane) == [7]


async def test_what_happens_to_a_lane_is_logged_without_secrets(
    lane: Lane, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tina.networking.lane")
    failure = ServerFailure("It said: sk-canary", status=500)
    failure.provider = "acme"
    lane.note_request()
    wait_s = lane.plan_retry(failure, attempt=1, policy=RetryPolicy(), draw=0.5)
    refused = lane.plan_retry(failure, attempt=3, policy=RetryPolicy(), draw=0.5)
    break_down(lane)
    clock.advance(30)
    fail(lane, ServerFailure("It broke.", status=500))
    clock.advance(30)
    with lane.watched("acme"):
        pass

    assert (wait_s, refused) == (0.25, None)
    assert [record.message for record in caplog.records] == [
        "retry",
        "circuit_opened",
        "circuit_opened",
        "circuit_closed",
    ]
    for record in caplog.records:
        said = vars(record)
        assert (said["provider"], said["host"], said["model"]) == (
            "acme",
            "api.example",
            "m",
        )
        assert "canary" not in str(said)
