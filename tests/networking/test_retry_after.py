"""A server's wish to be left alone, in every form it may have."""

from datetime import UTC, datetime
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.networking.retry_after import (
    read_retry_after,
    read_should_retry,
    wait_in_words,
)

NOW = datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)

WAITS: list[tuple[dict[str, str], float | None]] = [
    ({}, None),
    ({"Retry-After": "7"}, 7.0),
    ({"RETRY-AFTER": " 7 "}, 7.0),
    ({"retry-after": "0"}, 0.0),
    ({"retry-after": "0.5"}, 0.5),
    ({"retry-after": ".5"}, 0.5),
    ({"retry-after": "86400"}, 86_400.0),
    ({"retry-after": "1" + "0" * 300}, 1e300),
    ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
    ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}, 60.0),
    ({"Retry-After": "Sunday, 22-Nov-26 20:01:00 GMT"}, 60.0),
    ({"Retry-After": "Sun Nov 22 20:01:00 2026"}, 60.0),
    ({"Retry-After": "Sun, 22 Nov 2026 20:01:00 -0000"}, 60.0),
    ({"Retry-After": "Sun, 22 Nov 2026 21:01:00 +0100"}, 60.0),
    ({"Retry-After": "Sun, 22 Nov 2026 19:00:00 GMT"}, 0.0),
]
NONSENSE = [
    "",
    "soon",
    "-1",
    "+1",
    "nan",
    "inf",
    "infinity",
    "1e3",
    "1_000",
    "\u0667",
    "7 s",
    "9" * 309,
    "9" * 5_000,
    "Sun, 99 Nov 2026 20:01:00 GMT",
    "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 +99999999999999",
]


@pytest.mark.parametrize(("headers", "wait_s"), WAITS)
def test_the_server_says_how_long_to_wait(
    headers: dict[str, str], wait_s: float | None
) -> None:
    assert read_retry_after(headers, now=NOW) == wait_s


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_says_nothing(text: str) -> None:
    assert read_retry_after({"retry-after": text}, now=NOW) is None
    assert read_retry_after({"retry-after-ms": text}, now=NOW) is None


def test_without_a_clock_a_date_says_nothing() -> None:
    headers = {"Retry-After": "Sun, 22 Nov 2026 20:01:00 GMT"}

    assert read_retry_after(headers, now=None) is None


@given(
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "Retry-After-Ms"]),
        st.text() | st.floats().map(str) | st.datetimes().map(str),
    )
)
def test_a_wait_is_a_number_of_seconds_or_nothing(headers: dict[str, str]) -> None:
    wait_s = read_retry_after(headers, now=NOW)

    assert wait_s is None or (isfinite(wait_s) and wait_s >= 0)


@pytest.mark.parametrize(
    ("headers", "should_retry"),
    [
        ({"x-should-retry": "true"}, True),
        ({"X-Should-Retry": "False "}, False),
        ({"x-should-retry": "maybe"}, None),
        ({}, None),
    ],
)
def test_the_server_says_whether_to_try_again(
    headers: dict[str, str], should_retry: bool | None
) -> None:
    assert read_should_retry(headers) is should_retry


@pytest.mark.parametrize(
    ("wait_s", "words"),
    [
        (0.2, "1 s"),
        (20, "20 s"),
        (119.5, "120 s"),
        (120, "2 minutes"),
        (121, "3 minutes"),
        (7_199, "120 minutes"),
        (7_200, "2 hours"),
        (172_799, "48 hours"),
        (172_800, "2 days"),
        (365 * 86_400, "365 days"),
        (1e300, "more than a year"),
    ],
)
def test_a_wait_is_said_so_that_it_is_enough(wait_s: float, words: str) -> None:
    assert wait_in_words(wait_s) == words
