"""Ids: 32 lowercase hexadecimal digits of a UUIDv7, so that they sort by time.

Source: RFC 9562, section 5.7.
"""

import re
from typing import NewType

from tina.domain.failures import InvalidInputFailure

OwnerId = NewType("OwnerId", int)
ConversationId = NewType("ConversationId", str)
MessageId = NewType("MessageId", str)
TurnId = NewType("TurnId", str)
LeaseId = NewType("LeaseId", str)
ToolCallId = NewType("ToolCallId", str)
"""The model's own name for a call; unique in one answer at best."""
ToolRunId = NewType("ToolRunId", str)
"""A stored tool call."""
GrantId = NewType("GrantId", str)

LAPTOP_OWNER = OwnerId(1)
"""Whose rows these are where one person uses one machine."""

RANDOM_BITS = 74
_TIME_BITS = 48
_SHOWN_CHARS = 40
_ID = re.compile(r"[0-9a-f]{32}")


def uuid7(*, now_ms: int, random_bits: int) -> str:
    """Compose one id from a time and chance.

    Args:
        now_ms: milliseconds since 1970; the lowest 48 bits are used.
        random_bits: a number drawn from [0, 2**74).
    """
    high = random_bits >> 62
    low = random_bits & ((1 << 62) - 1)
    time = now_ms & ((1 << _TIME_BITS) - 1)
    return f"{time << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"


def check_id(text: str) -> str:
    """The id itself; a repository looks at nothing else.

    Raises:
        InvalidInputFailure: it is none.
    """
    if _ID.fullmatch(text) is None:
        raise InvalidInputFailure(
            f"{text[:_SHOWN_CHARS]!r} is no id: an id has 32 digits, 0 to 9 and a to "
            "f. `tina log` and `tina show --json` list them."
        )
    return text


def parse_id(text: str) -> str | None:
    """The id that a person typed or pasted, dashes allowed; None if it is none."""
    plain = text.strip().replace("-", "").lower()
    return plain if _ID.fullmatch(plain) else None
