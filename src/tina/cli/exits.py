"""What `tina` exits with, and what it says then. Pure."""

from enum import IntEnum

from tina.domain.failures import FailureRecord, SpendingLimitFailure
from tina.domain.messages import Message, MessageStatus


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    """A model's server, a tool or the database failed."""
    USAGE = 2
    """What was typed cannot be used."""
    NO_MODEL = 3
    """No key, or no such model here."""
    LIMIT = 4
    """A limit that a person set is reached; nothing was asked."""
    INTERRUPTED = 130
    """Ctrl-C."""
    PIPE_CLOSED = 141
    """Whoever read the output left."""
    TERMINATED = 143
    """SIGTERM."""


_USAGE_KINDS = frozenset(
    {"invalid_input", "not_found", "not_waiting", "nothing_to_continue"}
)
_NO_MODEL_KINDS = frozenset({"no_key", "model_unavailable", "model_not_found"})


def exit_for_failure(failure: FailureRecord) -> Exit:
    if failure.kind in _USAGE_KINDS:
        return Exit.USAGE
    if failure.kind in _NO_MODEL_KINDS:
        return Exit.NO_MODEL
    if failure.kind == SpendingLimitFailure.kind:
        return Exit.LIMIT
    return Exit.FAILED


def exit_for_message(message: Message) -> Exit:
    match message.status:
        case MessageStatus.COMPLETE:
            return Exit.OK
        case MessageStatus.STOPPED:
            return Exit.INTERRUPTED
        case MessageStatus.FAILED if message.failure is not None:
            return exit_for_failure(message.failure)
        case _:
            return Exit.FAILED
