"""Which requests share a lane, and how many lanes are remembered."""

import gc
import weakref

import pytest

from tina.domain.failures import ConnectionFailure, InvalidInputFailure
from tina.networking.lane import Lane
from tina.networking.origin import Origin
from tina.networking.retry import RetryPolicy
from tina.networking.traffic import MAX_LANES, Traffic
from tina.testing.clock import FakeClock

HERE = Origin("https", "here.example", 443)
THERE = Origin("https", "there.example", 443)


@pytest.fixture
def traffic() -> Traffic:
    return Traffic(FakeClock())


def lane(traffic: Traffic, model: str, origin: Origin = HERE) -> Lane:
    return traffic.lane(origin, model, requests_per_minute=None)


def count_retries(one: Lane) -> int:
    """How many retries its budget still pays for."""
    for number in range(100):
        paid_s = one.plan_retry(
            ConnectionFailure("x"), attempt=1, policy=RetryPolicy(), draw=0
        )
        if paid_s is None:
            return number
    pytest.fail("there is no end to it")


def test_each_model_of_an_origin_has_its_own_lane(traffic: Traffic) -> None:
    first = lane(traffic, "a")

    assert lane(traffic, "a") is first
    assert lane(traffic, "b") is not first
    assert lane(traffic, "a", THERE) is not first
    assert traffic.lane(HERE, "a", requests_per_minute=3) is not first


def test_the_models_of_an_origin_share_one_retry_budget(traffic: Traffic) -> None:
    first, second, other = (
        lane(traffic, "a"),
        lane(traffic, "b"),
        lane(traffic, "a", THERE),
    )

    assert [count_retries(each) for each in (first, second, other)] == [35, 0, 35]


def test_a_limit_that_nobody_can_keep_is_refused(traffic: Traffic) -> None:
    with pytest.raises(InvalidInputFailure):
        traffic.lane(HERE, "a", requests_per_minute=0)


def test_the_thousand_lanes_used_last_are_remembered(traffic: Traffic) -> None:
    lanes = [weakref.ref(lane(traffic, str(number))) for number in range(MAX_LANES)]
    lane(traffic, "0")
    lane(traffic, "one more")
    gc.collect()

    assert lanes[0]() is not None
    assert lanes[1]() is None
    assert all(each() is not None for each in lanes[2:])


def test_a_lane_in_use_is_never_lost(traffic: Traffic) -> None:
    in_use = lane(traffic, "in use")
    for number in range(2 * MAX_LANES):
        lane(traffic, str(number))

    assert lane(traffic, "in use") is in_use
