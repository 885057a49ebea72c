import pytest

from tina.domain.failures import (
    AuthenticationFailure,
    ConnectionFailure,
    OverloadFailure,
    PermissionFailure,
    ProtocolFailure,
    ProviderFailure,
    ServerFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.reconnect import ReconnectPolicy, failure_for_close


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1012, 1013, 1015])
def test_an_end_that_may_pass_is_followed_by_five_tries(code: int) -> None:
    policy = ReconnectPolicy()

    most = [policy.delay_s(attempt, code, 1.0) for attempt in range(1, 7)]
    least = [policy.delay_s(attempt, code, 0.0) for attempt in range(1, 7)]

    assert most == [0.5, 1.0, 2.0, 4.0, 8.0, None]
    assert least == [0.0] * 5 + [None]


@pytest.mark.parametrize("code", [1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 4000])
def test_an_end_that_would_come_again_is_not_tried_again(code: int) -> None:
    assert ReconnectPolicy().delay_s(1, code, 0.5) is None


def test_the_wait_has_a_cap() -> None:
    policy = ReconnectPolicy(attempts=2_000)

    assert policy.delay_s(2_000, 1006, 0.5) == 4.0


MEANINGS = [
    (1002, ProtocolFailure),
    (1006, ConnectionFailure),
    (1008, PermissionFailure),
    (1009, TooLargeFailure),
    (1011, ServerFailure),
    (1013, OverloadFailure),
    (3000, AuthenticationFailure),
    (4711, ConnectionFailure),
]


@pytest.mark.parametrize(("code", "kind"), MEANINGS)
def test_a_close_code_has_its_kind(code: int, kind: type[ProviderFailure]) -> None:
    failure = failure_for_close(code, "models.example", is_answering=False)

    assert (type(failure), failure.code) == (kind, str(code))
    assert "models.example" in failure.message


def test_a_loss_in_the_middle_of_an_answer_is_a_truncation() -> None:
    lost = failure_for_close(1006, "models.example", is_answering=True)
    refused = failure_for_close(1008, "models.example", is_answering=True)

    assert type(lost) is TruncatedFailure
    assert type(refused) is PermissionFailure
