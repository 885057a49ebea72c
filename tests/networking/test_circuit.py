"""A server that is down is left alone, and found again soon."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from tina.domain.failures import (
    AuthenticationFailure,
    BillingFailure,
    ConnectionFailure,
    InvalidRequestFailure,
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    RefusedOriginFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.circuit import (
    CircuitBreaker,
    CircuitState,
    counts,
    proves_life,
)

DOWN = [
    ServerFailure("x", status=500),
    OverloadFailure("x", status=529),
    TimeoutFailure("x", status=408),
    ConnectionFailure("x"),
    TruncatedFailure("x", status=200),
]
ALIVE = [
    RateLimitFailure("x", status=429),
    BillingFailure("x", status=429),
    AuthenticationFailure("x", status=401),
    InvalidRequestFailure("x", status=400),
]
UNKNOWN = [
    ProtocolFailure("x", status=200),
    RefusedOriginFailure("x", status=307),
    TooLargeFailure("x"),
    InvalidRequestFailure("x", status=500),
]


def open_circuit(*, at: float = 0.0) -> CircuitBreaker:
    circuit = CircuitBreaker()
    for _ in range(5):
        circuit.failed(at, began=at)
    return circuit


@pytest.mark.parametrize("failure", DOWN, ids=type)
def test_what_a_dead_server_does_counts(failure: ProviderFailure) -> None:
    assert (counts(failure), proves_life(failure)) == (True, False)


@pytest.mark.parametrize("failure", ALIVE, ids=type)
def test_a_refusal_proves_that_the_server_lives(failure: ProviderFailure) -> None:
    assert (counts(failure), proves_life(failure)) == (False, True)


@pytest.mark.parametrize("failure", UNKNOWN, ids=type)
def test_nonsense_proves_nothing(failure: ProviderFailure) -> None:
    assert (counts(failure), proves_life(failure)) == (False, False)


@pytest.mark.parametrize(
    ("failed_at", "state"),
    [
        ([0, 1, 2, 3], CircuitState.CLOSED),
        ([0, 1, 2, 3, 30], CircuitState.OPEN),
        ([0, 1, 2, 3, 30.1], CircuitState.CLOSED),
        ([0, 10, 20, 30, 40, 40, 40], CircuitState.OPEN),
    ],
)
def test_five_failures_within_half_a_minute_open_it(
    failed_at: list[float], state: CircuitState
) -> None:
    circuit = CircuitBreaker()
    for time in failed_at:
        circuit.failed(time, began=time)

    assert circuit.state == state


def test_an_answer_in_between_begins_the_count_anew() -> None:
    circuit = CircuitBreaker()
    for _ in range(4):
        circuit.failed(1, began=0)
    circuit.succeeded(2)
    circuit.failed(3, began=2)

    assert circuit.state == CircuitState.CLOSED


def test_an_open_circuit_says_when_a_probe_may_go() -> None:
    circuit = open_circuit(at=100)

    assert [circuit.enter(now) for now in (100, 110, 129.5)] == [30, 20, 0.5]
    assert circuit.state == CircuitState.OPEN


def test_one_probe_goes_and_closes_it_with_an_answer() -> None:
    circuit = open_circuit()

    assert [circuit.enter(30), circuit.enter(30), circuit.enter(31)] == [0, 30, 29]
    assert circuit.state == CircuitState.HALF_OPEN

    circuit.succeeded(32)

    assert circuit.state == CircuitState.CLOSED
    assert circuit.enter(32) == 0


def test_a_probe_that_fails_keeps_it_open() -> None:
    circuit = open_circuit()
    circuit.enter(30)

    circuit.failed(31, began=30)

    assert circuit.state == CircuitState.OPEN
    assert [circuit.enter(31), circuit.enter(59), circuit.enter(60)] == [29, 1, 0]


def test_after_a_cancelled_probe_the_next_may_go_at_once() -> None:
    circuit = open_circuit()
    circuit.enter(30)

    circuit.abandoned(began=30)

    assert circuit.state == CircuitState.OPEN
    assert circuit.enter(31) == 0


def test_a_probe_that_hangs_is_given_up() -> None:
    circuit = open_circuit()
    circuit.enter(30)

    assert circuit.enter(60) == 0

    circuit.failed(61, began=30)
    circuit.abandoned(began=30)

    assert circuit.state == CircuitState.HALF_OPEN
    assert circuit.enter(61) == 29


def test_requests_that_hung_since_before_do_not_shut_out_a_server_that_answers() -> (
    None
):
    circuit = open_circuit()
    circuit.enter(30)
    circuit.succeeded(31)

    for _ in range(10):
        circuit.failed(60, began=29)

    assert circuit.enter(60) == 0


def test_an_answer_to_an_older_request_closes_it() -> None:
    circuit = open_circuit()

    circuit.succeeded(1)

    assert circuit.enter(1) == 0


def test_an_outage_in_silence_is_counted_from_when_it_was_asked() -> None:
    circuit = CircuitBreaker()
    for began in (0, 4, 1, 2, 3):
        circuit.failed(20 + began, began=began)

    assert circuit.state == CircuitState.OPEN
    assert [circuit.enter(24), circuit.enter(34)] == [10, 0]


A_MOMENT_S = 1e-6
"""Sums of floats are no better."""


class Server(RuleBasedStateMachine):
    """Requests begin and end in any order; the server is up, or down."""

    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.circuit = CircuitBreaker()
        self.now = 0.0
        self.up_since: float | None = 0.0
        self.failures: list[float] = []
        self.probes: list[float] = []

    @rule(seconds=st.floats(0.01, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def it_breaks_or_recovers(self) -> None:
        self.up_since = self.now if self.up_since is None else None

    @rule(target=running)
    def a_request_comes(self) -> float | None:
        was = self.circuit.state
        wait_s = self.circuit.enter(self.now)
        if was is CircuitState.CLOSED:
            assert wait_s == 0.0
        elif wait_s == 0.0:
            assert all(self.now - began >= 30 - A_MOMENT_S for began in self.probes)
            self.probes = [self.now]
        assert 0 <= wait_s <= 30 + A_MOMENT_S
        self.now += 0.001  # two requests never begin at once
        return None if wait_s else self.now - 0.001

    @rule(began=consumes(running))
    def it_ends(self, began: float | None) -> None:
        if began is None:
            return
        if self.up_since is None or began < self.up_since:
            was = self.circuit.state
            self.circuit.failed(self.now, began=began)
            self.failures.append(self.now)
            is_open = self.circuit.state is not CircuitState.CLOSED
            if is_open and was is CircuitState.CLOSED:
                assert sum(self.now - time <= 30 for time in self.failures) >= 5
        else:
            self.circuit.succeeded(self.now)
            self.failures.clear()
            self.probes.clear()
            assert self.circuit.state is CircuitState.CLOSED

    @rule(began=consumes(running))
    def it_is_cancelled(self, began: float | None) -> None:
        if began is not None:
            self.circuit.abandoned(began=began)
            if self.circuit.state is not CircuitState.CLOSED:
                self.probes = [time for time in self.probes if time != began]

    @invariant()
    def a_recovery_is_noticed_within_half_a_minute(self) -> None:
        if self.up_since is not None:
            in_time = max(self.now, self.up_since + 30 + A_MOMENT_S)
            is_asked = any(began >= self.up_since for began in self.probes)
            assert is_asked or self.circuit.wait_s(in_time) == 0


TestServer = Server.TestCase
TestServer.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],  # the machine may be busy
)
