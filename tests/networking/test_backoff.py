"""Waits that grow, and that nobody shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.networking.backoff import full_jitter_s

DRAWS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("retry", "most_s"),
    [(1, 0.5), (2, 1.0), (3, 2.0), (6, 16.0), (7, 20.0), (10_000, 20.0)],
)
def test_the_bound_doubles_up_to_the_cap(retry: int, most_s: float) -> None:
    half_s = full_jitter_s(retry, base_s=0.5, cap_s=20, draw=0.5)

    assert half_s == most_s / 2


@given(retry=st.integers(1, 10**9), draw=DRAWS)
def test_a_wait_lies_between_nothing_and_the_cap(retry: int, draw: float) -> None:
    assert 0 <= full_jitter_s(retry, base_s=0.5, cap_s=20, draw=draw) < 20


@given(retry=st.integers(1, 100), draws=st.tuples(DRAWS, DRAWS))
def test_chance_alone_decides_within_the_bound(
    retry: int, draws: tuple[float, float]
) -> None:
    waits = [full_jitter_s(retry, base_s=1, cap_s=20, draw=draw) for draw in draws]

    assert (waits[0] < waits[1]) == (draws[0] < draws[1]) or draws[0] == draws[1]
