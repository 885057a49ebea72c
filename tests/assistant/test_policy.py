"""How to go on after an answer."""

from datetime import UTC, datetime

import pytest
from msgspec import structs

from tina.assistant.context import history_for, up_to_last_prompt
from tina.assistant.policy import (
    CONTINUE_PROMPT,
    AnswerAgain,
    GoOn,
    Resume,
    may_fall_back,
    plan_continuation,
)
from tina.domain.chat import StopReason
from tina.domain.failures import (
    ContextOverflowFailure,
    DiskFullFailure,
    Failure,
    InternalFailure,
    NoKeyFailure,
    NothingToContinueFailure,
    OverloadFailure,
    SpendingLimitFailure,
)
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart


def message(
    number: int,
    role: Role,
    text: str = "",
    *,
    status: MessageStatus = MessageStatus.COMPLETE,
) -> Message:
    return Message(
        id=MessageId(str(number)),
        conversation_id=ConversationId("c"),
        parent_id=MessageId(str(number - 1)) if number else None,
        role=role,
        status=status,
        parts=(TextPart(text=text),) if text else (),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


PROMPT = message(0, Role.USER, "Why?")
CUT = [MessageStatus.STOPPED, MessageStatus.INTERRUPTED, MessageStatus.FAILED]


@pytest.mark.parametrize("status", CUT)
def test_an_answer_that_was_cut_is_gone_on_with(status: MessageStatus) -> None:
    answer = message(1, Role.ASSISTANT, "Because", status=status)

    assert plan_continuation([PROMPT, answer]) == GoOn(CONTINUE_PROMPT)


@pytest.mark.parametrize("status", CUT)
def test_an_answer_that_said_nothing_is_asked_for_again(status: MessageStatus) -> None:
    answer = message(1, Role.ASSISTANT, status=status)

    assert plan_continuation([PROMPT, answer]) == AnswerAgain()


def test_an_answer_is_asked_for_again_by_the_last_prompt() -> None:
    answer = message(1, Role.ASSISTANT, "So.")
    again = message(2, Role.USER, "Please?")
    empty = message(3, Role.ASSISTANT, status=MessageStatus.FAILED)

    assert up_to_last_prompt([PROMPT, answer, again, empty]) == (PROMPT, answer, again)
    assert up_to_last_prompt([PROMPT]) == (PROMPT,)


def test_an_answer_to_nothing_is_gone_on_with() -> None:
    answer = message(0, Role.ASSISTANT, status=MessageStatus.FAILED)

    assert plan_continuation([answer]) == GoOn(CONTINUE_PROMPT)


def test_a_prompt_without_an_answer_is_answered() -> None:
    assert plan_continuation([PROMPT]) == AnswerAgain()


@pytest.mark.parametrize(
    ("branch", "reason"),
    [
        ([], "empty"),
        ([PROMPT, message(1, Role.ASSISTANT, "So.")], "complete"),
        (
            [PROMPT, message(1, Role.ASSISTANT, status=MessageStatus.STREAMING)],
            "still being written",
        ),
    ],
)
def test_there_is_nothing_to_continue(branch: list[Message], reason: str) -> None:
    with pytest.raises(NothingToContinueFailure, match=reason):
        plan_continuation(branch)


def test_a_model_is_not_shown_answers_that_said_nothing() -> None:
    empty = message(1, Role.ASSISTANT, status=MessageStatus.FAILED)
    again = message(2, Role.USER, "Please?")

    assert history_for([PROMPT, empty, again]) == (PROMPT, again)


def test_a_pause_of_the_provider_is_resumed() -> None:
    answer = structs.replace(
        message(1, Role.ASSISTANT, "Searching."), stop_reason=StopReason.PAUSED
    )

    assert plan_continuation([PROMPT, answer]) == Resume()


@pytest.mark.parametrize(
    ("failure", "may"),
    [
        (OverloadFailure("x"), True),
        (NoKeyFailure("x"), True),
        (ContextOverflowFailure("x"), True),
        (SpendingLimitFailure("x"), False),
        (DiskFullFailure("x"), False),
        (InternalFailure("x"), False),
    ],
)
def test_another_model_helps_only_where_it_is_another_case(
    failure: Failure, may: bool
) -> None:
    assert may_fall_back(failure, has_begun=False) is may
    assert not may_fall_back(failure, has_begun=True)
