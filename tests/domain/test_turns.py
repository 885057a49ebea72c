"""What a turn may begin with."""

from datetime import UTC, datetime

import pytest

from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import ConversationId, MessageId, TurnId
from tina.domain.messages import ImagePart, Message, MessageStatus, Role, TextPart
from tina.domain.turns import MAX_ATTACHED_BYTES, NewTurn, TurnRequest


def message(role: Role, *images: int) -> Message:
    parts = (ImagePart(media_type="image/png", data=b"x" * size) for size in images)
    return Message(
        id=MessageId("1" * 32),
        conversation_id=ConversationId("2" * 32),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=(*parts, TextPart(text="What is it?")),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def begin(*images: int) -> NewTurn:
    return NewTurn(
        id=TurnId("3" * 32),
        conversation_id=ConversationId("2" * 32),
        after=None,
        prompt=message(Role.USER, *images),
        answer=message(Role.ASSISTANT),
        request=TurnRequest(model="a:b"),
        lease_id=None,
    )


def test_attachments_have_a_largest_size_together() -> None:
    half = MAX_ATTACHED_BYTES // 2

    begin(half, half)
    with pytest.raises(InvalidInputFailure, match="up to 24 MiB together"):
        begin(half, half, 1)
