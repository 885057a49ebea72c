"""Which values a reader of Tina's tables understands; the schema is less strict. Pure.

A page that is damaged in one place may hold rows that parse all the same. One value
that no reader understands would make a whole conversation unreadable.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from tina.database.salvage.records import Value
from tina.domain.chat import StopReason
from tina.domain.messages import MessageStatus, Role
from tina.domain.tools import Decision, ToolCallStatus
from tina.domain.turns import TurnStatus

_MAX_COUNT = 1 << 31
_MAX_RID = 1 << 48


def is_meant(table: str, column: str, value: Value) -> bool:
    """Whether a reader understands it, as far as that can be told without context."""
    check = _CHECKS.get((table, column))
    return check is None or check(value)


def _word_of(words: type[StrEnum]) -> Callable[[Value], bool]:
    return frozenset(word.value for word in words).__contains__


def _is_json(value: Value) -> bool:
    try:
        msgspec.json.decode(str(value))
    except msgspec.DecodeError:
        return False
    return True


def _is_count(value: Value) -> bool:
    return isinstance(value, int) and 0 <= value < _MAX_COUNT


def _is_row_id(value: Value) -> bool:
    return isinstance(value, int) and 0 <= value <= _MAX_RID


_CHECKS: dict[tuple[str, str], Callable[[Value], bool]] = {
    ("conversations", "message_count"): _is_count,
    ("conversations", "metadata"): _is_json,
    ("conversations", "origin"): _is_json,
    ("grants", "decision"): _word_of(Decision),
    ("messages", "failure"): _is_json,
    ("messages", "metadata"): _is_json,
    ("messages", "parts"): _is_json,
    ("messages", "replay"): _is_json,
    ("messages", "role"): _word_of(Role),
    ("messages", "seq"): _is_count,
    ("messages", "status"): _word_of(MessageStatus),
    ("messages", "stop_reason"): _word_of(StopReason),
    ("messages", "usage"): _is_json,
    ("tool_calls", "outcome"): _is_json,
    ("tool_calls", "place"): _is_count,
    ("tool_calls", "status"): _word_of(ToolCallStatus),
    ("turns", "journal_from"): _is_row_id,
    ("turns", "request"): _is_json,
    ("turns", "status"): _word_of(TurnStatus),
}
