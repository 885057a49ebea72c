"""Exit codes."""

from datetime import UTC, datetime

import pytest

from tina.cli.exits import Exit, exit_for_failure, exit_for_message
from tina.domain.failures import (
    Failure,
    FailureRecord,
    InvalidInputFailure,
    ModelNotFoundFailure,
    ModelUnavailableFailure,
    NoKeyFailure,
    NotFoundFailure,
    NothingToContinueFailure,
    NotWaitingFailure,
    RateLimitFailure,
    SpendingLimitFailure,
    StorageFailure,
)
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (InvalidInputFailure("x"), 2),
        (NotFoundFailure("x"), 2),
        (NothingToContinueFailure("x"), 2),
        (NotWaitingFailure("x"), 2),
        (NoKeyFailure("x"), 3),
        (ModelUnavailableFailure("x"), 3),
        (ModelNotFoundFailure("x"), 3),
        (SpendingLimitFailure("x"), 4),
        (RateLimitFailure("x"), 1),
        (StorageFailure("x"), 1),
    ],
)
def test_a_failure_has_its_code(failure: Failure, code: int) -> None:
    assert exit_for_failure(failure.as_record()) == code


@pytest.mark.parametrize(
    ("status", "failure", "code"),
    [
        (MessageStatus.COMPLETE, None, Exit.OK),
        (MessageStatus.STOPPED, None, Exit.INTERRUPTED),
        (MessageStatus.INTERRUPTED, None, Exit.FAILED),
        (MessageStatus.STREAMING, None, Exit.FAILED),
        (MessageStatus.FAILED, None, Exit.FAILED),
        (MessageStatus.FAILED, NoKeyFailure("x").as_record(), Exit.NO_MODEL),
    ],
)
def test_an_answer_has_its_code(
    status: MessageStatus, failure: FailureRecord | None, code: Exit
) -> None:
    message = Message(
        id=MessageId("1"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=Role.ASSISTANT,
        status=status,
        parts=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        failure=failure,
    )

    assert exit_for_message(message) is code
