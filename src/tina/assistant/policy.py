"""What comes next. Pure."""

from collections.abc import Sequence
from typing import assert_never

import msgspec

from tina.domain.chat import StopReason
from tina.domain.failures import (
    ClosedFailure,
    Failure,
    InternalFailure,
    InvalidInputFailure,
    NothingToContinueFailure,
    SpendingLimitFailure,
    StorageFailure,
)
from tina.domain.messages import Message, MessageStatus, Role

NEVER_FALLS_BACK = (
    ClosedFailure,
    InternalFailure,
    InvalidInputFailure,
    SpendingLimitFailure,
    StorageFailure,
)
"""Another model would meet the same, or a person wants to decide."""

CONTINUE_PROMPT = (
    "Continue exactly where your last message stopped. "
    "Do not repeat what you already wrote and do not comment on the interruption."
)


class GoOn(msgspec.Struct, frozen=True):
    """Ask for the rest with a prompt of its own, stored like any other.

    A sentence from the user is the one way that every vendor understands: some refuse
    a request that ends with the assistant's own words, some repeat them.
    """

    prompt: str


class AnswerAgain(msgspec.Struct, frozen=True):
    """Nothing was said: answer the last prompt once more, beside the empty answer."""


class Resume(msgspec.Struct, frozen=True):
    """The provider paused its own work: send it back as it is, and it goes on."""


def may_fall_back(failure: Failure, *, has_begun: bool) -> bool:
    """Whether another model may be asked after this one failed.

    Only before any output: what was said once stands, whoever said it.
    """
    return not has_begun and not isinstance(failure, NEVER_FALLS_BACK)


def plan_continuation(branch: Sequence[Message]) -> GoOn | AnswerAgain | Resume:
    """Decide how to go on after the last message of a branch.

    Raises:
        NothingToContinueFailure: it is whole, still growing, or there is none.
    """
    if not branch:
        raise NothingToContinueFailure(
            "This conversation is empty. Ask something with `tina ask`."
        )
    last = branch[-1]
    if last.role is Role.USER:
        return AnswerAgain()
    match last.status:
        case MessageStatus.STREAMING:
            raise NothingToContinueFailure(
                "The last answer is still being written. "
                "Wait for it, or stop it with `tina stop`."
            )
        case MessageStatus.COMPLETE if last.stop_reason is StopReason.PAUSED:
            return Resume()
        case MessageStatus.COMPLETE:
            raise NothingToContinueFailure(
                "The last answer is complete. Ask the next question with "
                '`tina ask -c "…"`.'
            )
        case MessageStatus.STOPPED | MessageStatus.INTERRUPTED | MessageStatus.FAILED:
            has_prompt = any(message.role is Role.USER for message in branch)
            if last.text or not has_prompt:
                return GoOn(CONTINUE_PROMPT)
            return AnswerAgain()
        case _:
            assert_never(last.status)
