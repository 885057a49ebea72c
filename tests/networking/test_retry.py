"""What is tried again, when, and how much of it in an outage."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import (
    AuthenticationFailure,
    BillingFailure,
    CircuitOpenFailure,
    ConnectionFailure,
    ContextOverflowFailure,
    InvalidRequestFailure,
    ModelNotFoundFailure,
    OverloadFailure,
    PermissionFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    RefusedOriginFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.retry import (
    RetryBudget,
    RetryPolicy,
    is_worth_retrying,
    plan_retry,
    with_wait_named,
)

POLICY = RetryPolicy()
AGAIN = [
    RateLimitFailure("x", status=429),
    OverloadFailure("x", status=529),
    ServerFailure("x", status=500),
    TimeoutFailure("x", status=408),
    ConnectionFailure("x"),
    TruncatedFailure("x"),
]
NEVER = [
    *(ServerFailure("x", status=s) for s in (400, 401, 402, 403, 404, 413, 422)),
    AuthenticationFailure("x"),
    BillingFailure("x", status=429),
    CircuitOpenFailure("x"),
    ContextOverflowFailure("x", status=500),
    ModelNotFoundFailure("x"),
    PermissionFailure("x"),
    RefusedOriginFailure("x", status=307),
    TooLargeFailure("x"),
]
NOT_BY_ITSELF = [
    InvalidRequestFailure("x", status=409),
    ProtocolFailure("x", status=200),
]


def name(failure: ProviderFailure) -> str:
    return f"{type(failure).__name__}-{failure.status}"


def plan(
    failure: ProviderFailure,
    *,
    attempt: int = 1,
    budget: RetryBudget | None = None,
    draw: float = 0.0,
) -> float | None:
    return plan_retry(
        failure,
        attempt=attempt,
        policy=POLICY,
        budget=budget or RetryBudget(),
        draw=draw,
    )


def with_word(failure: ProviderFailure, *, should_retry: bool) -> ProviderFailure:
    copy = type(failure)(failure.message, status=failure.status)
    copy.should_retry = should_retry
    return copy


@pytest.mark.parametrize("failure", AGAIN, ids=name)
def test_what_may_pass_is_tried_again(failure: ProviderFailure) -> None:
    assert is_worth_retrying(failure)
    assert not is_worth_retrying(with_word(failure, should_retry=False))


@pytest.mark.parametrize("failure", NEVER, ids=name)
def test_what_stays_wrong_is_never_tried_again(failure: ProviderFailure) -> None:
    assert not is_worth_retrying(failure)
    assert not is_worth_retrying(with_word(failure, should_retry=True))
    assert plan(failure) is None


@pytest.mark.parametrize("failure", NOT_BY_ITSELF, ids=name)
def test_the_rest_is_tried_again_if_the_server_says_so(
    failure: ProviderFailure,
) -> None:
    assert not is_worth_retrying(failure)
    assert is_worth_retrying(with_word(failure, should_retry=True))


@pytest.mark.parametrize(
    ("failure", "attempt", "wait_s"),
    [
        (ServerFailure("x", status=500), 1, 0.25),
        (ServerFailure("x", status=500), 2, 0.5),
        (OverloadFailure("x"), 1, 1.0),
        (OverloadFailure("x"), 2, 2.0),
        (ServerFailure("x", status=503), 1, 1.0),
        (ServerFailure("x", status=529), 2, 2.0),
        (RateLimitFailure("x", retry_after_s=7.0), 1, 7.25),
        (RateLimitFailure("x", retry_after_s=0.0), 1, 0.25),
        (RateLimitFailure("x", retry_after_s=60.0), 1, 60.25),
        (RateLimitFailure("x", retry_after_s=60.1), 1, None),
        (RateLimitFailure("x", retry_after_s=1e300), 1, None),
        (ServerFailure("x", status=500), 3, None),
    ],
)
def test_the_wait_before_the_next_attempt(
    failure: ProviderFailure, attempt: int, wait_s: float | None
) -> None:
    assert plan(failure, attempt=attempt, draw=0.5) == wait_s


@given(
    asked_s=st.none() | st.floats(0, 100),
    attempt=st.integers(1, 5),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_nobody_comes_earlier_than_asked_nor_much_later(
    asked_s: float | None, attempt: int, draw: float
) -> None:
    failure = RateLimitFailure("x", retry_after_s=asked_s)

    wait_s = plan(failure, attempt=attempt, draw=draw)

    if attempt >= 3 or (asked_s or 0) > 60:
        assert wait_s is None
    else:
        assert wait_s is not None
        assert (asked_s or 0) <= wait_s <= (asked_s or 0) + 20


def test_what_is_not_tried_again_costs_nothing() -> None:
    budget = RetryBudget(capacity=14)
    for failure, attempt in product([*NEVER, ServerFailure("x")], [3]):
        plan(failure, attempt=attempt, budget=budget)
    plan(RateLimitFailure("x", retry_after_s=61), budget=budget)

    assert plan(ServerFailure("x"), budget=budget) is not None
    assert plan(ServerFailure("x"), budget=budget) is None


@pytest.mark.requirement("networking:outage:bounded")
def test_a_thousand_requests_in_an_outage_are_at_most_1135_attempts() -> None:
    budget = RetryBudget()
    attempts = 0
    for _ in range(1_000):
        budget.note_request()
        attempt = 1
        while plan(ServerFailure("x"), attempt=attempt, budget=budget) is not None:
            attempt += 1
        attempts += attempt

    assert attempts == 1_135


@given(steps=st.lists(st.booleans(), max_size=3_000))
def test_the_retries_of_an_origin_stay_below_a_tenth_and_a_rest(
    steps: list[bool],
) -> None:
    budget = RetryBudget()
    requests = retries = 0
    for is_request in steps:
        if is_request:
            budget.note_request()
            requests += 1
        else:
            retries += budget.take()

        assert retries <= 35.8 + requests / 10


def test_a_quiet_time_saves_up_no_more_than_the_capacity() -> None:
    budget = RetryBudget()
    for _ in range(10_000):
        budget.note_request()

    assert sum(budget.take() for _ in range(100)) == 35


def test_a_failure_names_the_wait_once() -> None:
    failure = RateLimitFailure("Too many.", retry_after_s=7_000)

    named = with_wait_named(with_wait_named(failure))

    assert named is failure
    assert str(named) == named.message
    assert named.message == "Too many. (The server asks for a wait of 117 minutes.)"


@pytest.mark.parametrize("asked_s", [None, 0.0])
def test_a_failure_without_a_wait_stays_as_it_is(asked_s: float | None) -> None:
    failure = RateLimitFailure("Too many.", retry_after_s=asked_s)

    assert with_wait_named(failure).message == "Too many."


def test_no_wait_is_named_where_waiting_does_not_help() -> None:
    failure = ServerFailure("No.", status=400, retry_after_s=1)

    assert with_wait_named(failure).message == "No."
