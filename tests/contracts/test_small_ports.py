"""Clock, ids and keys: the same of the doubles and of the real ones."""

from datetime import timedelta
from itertools import pairwise

import anyio
import pytest

from tina.domain.ids import parse_id
from tina.domain.ports import Clock, IdFactory, SecretStore
from tina.storage.secrets import EnvironmentSecretStore
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.secrets import FakeSecretStore
from tina.wiring.system import SystemClock, SystemIds

pytestmark = pytest.mark.anyio

KEY = "sk-Abc_123"


@pytest.fixture(params=[FakeClock, SystemClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


@pytest.fixture(params=[FakeIds, SystemIds])
def ids(request: pytest.FixtureRequest) -> IdFactory:
    made: IdFactory = request.param()
    return made


@pytest.fixture(
    params=[
        FakeSecretStore(openai=KEY),
        EnvironmentSecretStore({"OPENAI_API_KEY": KEY}),
    ],
    ids=["fake", "environment"],
)
def secrets(request: pytest.FixtureRequest) -> SecretStore:
    store: SecretStore = request.param
    return store


def test_the_time_of_day_is_in_utc_and_whole_milliseconds(clock: Clock) -> None:
    now = clock.now()

    assert now.utcoffset() == timedelta(0)
    assert now.microsecond % 1000 == 0


def test_the_monotonic_time_does_not_go_back(clock: Clock) -> None:
    times_s = [clock.monotonic() for _ in range(100)]

    assert times_s == sorted(times_s)


async def test_a_sleep_takes_its_time(clock: Clock) -> None:
    before_s, before = clock.monotonic(), clock.now()

    with anyio.fail_after(5):
        await clock.sleep(0.02)

    # A loop's timer may ring a tick of its clock early.
    assert clock.monotonic() - before_s > 0.019
    assert clock.now() - before >= timedelta(milliseconds=19)


async def test_a_sleep_lets_others_work_and_can_be_cancelled(clock: Clock) -> None:
    worked: list[str] = []

    async def sleep() -> None:
        while True:
            await clock.sleep(0.001)
            worked.append("sleeper")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(sleep)
            while len(worked) < 2:
                await clock.sleep(0.001)
            group.cancel_scope.cancel()

    assert worked[:2] == ["sleeper"] * 2


def test_ids_are_valid_and_only_grow(ids: IdFactory) -> None:
    made = [ids.new() for _ in range(2_000)]

    assert all(parse_id(one) == one for one in made)
    assert {one[12] for one in made} == {"7"}
    assert {one[16] for one in made} <= set("89ab")
    assert all(first < second for first, second in pairwise(made))


async def test_a_key_that_is_there_is_found_and_kept_secret(
    secrets: SecretStore,
) -> None:
    key = await secrets.find("openai")

    assert key is not None
    assert key.reveal() == KEY
    assert KEY not in repr(key)


async def test_a_key_that_is_not_there_is_none(secrets: SecretStore) -> None:
    assert await secrets.find("anthropic") is None
