"""How an answer appears, and what is said of how it ended."""

from datetime import UTC, datetime
from io import StringIO

import pytest

from tina.cli.flags import Showing
from tina.cli.showing import WholeScreen, first_code_block
from tina.cli.terminal import RawWriter
from tina.domain.chat import StopReason
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Part, Role, TextPart


def ending(stop_reason: StopReason, *parts: Part) -> str:
    answer = Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=Role.ASSISTANT,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        stop_reason=stop_reason,
    )
    return WholeScreen(RawWriter(StringIO(), is_terminal=False), Showing()).ending(
        answer
    )


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (StopReason.LENGTH, "-o max_tokens"),
        (StopReason.CONTEXT_FULL, "a new conversation"),
        (StopReason.CONTENT_FILTER, "its rules do not allow it"),
        (StopReason.TOOL_CALLS, "The model asked for tools"),
        (StopReason.PAUSED, "`tina continue` goes on"),
        (StopReason.UNKNOWN, "may not be whole"),
    ],
)
def test_an_unusual_end_is_told(reason: StopReason, said: str) -> None:
    assert said in ending(reason, TextPart(text="So"))


@pytest.mark.parametrize("reason", [StopReason.STOP, StopReason.STOP_SEQUENCE])
def test_a_usual_end_is_not_mentioned(reason: StopReason) -> None:
    assert ending(reason, TextPart(text="So.")) == ""


@pytest.mark.parametrize(
    ("text", "block"),
    [
        ("no code", "no code"),
        ("a\n```\nx\n```\nb", "x\n"),
        ("```python title=1\nx\ny\n```\n\n```\nz\n```", "x\ny\n"),
        ("~~~\nx\n~~~", "x\n"),
        ("````\n```\nx\n```\n````", "```\nx\n```\n"),
        ("```\n```", ""),
        ("```\nnever closed", "```\nnever closed"),
    ],
)
def test_the_first_code_block_is_found(text: str, block: str) -> None:
    assert first_code_block(text) == block
