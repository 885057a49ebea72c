"""The vendors' words for what is left of a rate limit."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.networking.rate_headers import LimitState, read_limits

NOW = datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)

ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-22T20:00:01Z",
    "anthropic-ratelimit-input-tokens-limit": "40000",
    "anthropic-ratelimit-input-tokens-remaining": "0",
    "anthropic-ratelimit-input-tokens-reset": "2026-11-22T20:00:30+00:00",
    "anthropic-priority-output-tokens-limit": "8000",
    "anthropic-priority-output-tokens-remaining": "7000",
    "anthropic-priority-output-tokens-reset": "2026-11-22T19:00:00Z",
    "anthropic-organization-id": "1",
}
OPENAI = {
    "X-RateLimit-Limit-Requests": "60",
    "X-RateLimit-Remaining-Requests": "59",
    "X-RateLimit-Reset-Requests": "1s",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6m0s",
}


def limit(name: str, limit: int | None, remaining: int, reset_s: float) -> LimitState:
    return LimitState(name=name, limit=limit, remaining=remaining, reset_s=reset_s)


def read_reset(reset: str) -> float | None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": reset,
    }
    return next((state.reset_s for state in read_limits(headers, now=NOW)), None)


def test_the_limits_of_anthropic_are_read() -> None:
    assert read_limits(ANTHROPIC, now=NOW) == (
        limit("requests", 50, 49, 1),
        limit("input-tokens", 40_000, 0, 30),
        limit("priority-output-tokens", 8_000, 7_000, 0),
    )


def test_the_limits_of_openai_are_read() -> None:
    assert read_limits(OPENAI, now=NOW) == (
        limit("requests", 60, 59, 1),
        limit("tokens", None, 149_984, 360),
    )


@pytest.mark.parametrize(
    ("text", "reset_s"),
    [
        ("12ms", 0.012),
        ("1s", 1),
        ("6m0s", 360),
        ("1h2m3.5s", 3_723.5),
        ("2m59.56s", 179.56),
        ("120µs", 0.00012),
        ("7us", 0.000007),
        ("5ns", 5e-9),
        (" 1d ", 86_400),
        ("3d", 86_400),
        ("9" * 18 + "h", 86_400),
        ("59.5", 59.5),
        ("86400", 86_400),
        ("2026-11-22T20:00:07.5Z", 7.5),
        ("2026-11-22t20:00:07z", 7),
        ("2026-11-22T21:00:07+01:00", 7),
        ("2027-11-22T20:00:00Z", 86_400),
        ("2026-11-22T19:59:59Z", 0),
        ("0001-01-01T00:00:00+23:59", 0),
        ("9999-12-31T23:59:59-23:59", 86_400),
    ],
)
def test_a_reset_is_a_duration_or_a_time(text: str, reset_s: float) -> None:
    assert read_reset(text) == pytest.approx(reset_s)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "-1s",
        "1s-1s",
        "1x",
        "s",
        "1s " * 9,
        "1s" * 9,
        "9" * 5_000,
        "9" * 5_000 + "s",
        "86401",
        "1795370224",
        "nan",
        "2026-11-22T20:00:07",
        "2026-13-22T20:00:07Z",
    ],
)
def test_a_reset_that_cannot_be_read_says_nothing(text: str) -> None:
    assert read_reset(text) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining-requests": "0"},
        {"x-ratelimit-reset-requests": "1s"},
        {"x-ratelimit-remaining-requests": "-1", "x-ratelimit-reset-requests": "1s"},
        {"x-ratelimit-remaining-requests": "0.5", "x-ratelimit-reset-requests": "1s"},
        {
            "x-ratelimit-limit-requests": "0",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": "60s",
        },
        {"ratelimit-remaining": "0", "ratelimit-reset": "60"},
    ],
)
def test_half_a_limit_or_one_of_nothing_is_none(headers: dict[str, str]) -> None:
    assert read_limits(headers, now=NOW) == ()


@given(
    headers=st.dictionaries(
        st.sampled_from([*ANTHROPIC, *OPENAI]),
        st.text() | st.integers().map(str) | st.datetimes().map(str) | st.just("1s"),
    )
)
def test_whatever_the_headers_say_a_limit_makes_sense(headers: dict[str, str]) -> None:
    for state in read_limits(headers, now=NOW):
        assert state.remaining >= 0
        assert 0 <= state.reset_s <= 86_400
