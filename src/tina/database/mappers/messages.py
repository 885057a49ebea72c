"""Messages: the usual one, a single text, is stored as that text and nothing else."""

from typing import TypeVar

import msgspec

from tina.database.mappers.values import (
    from_milliseconds,
    id_to_bytes,
    to_milliseconds,
)
from tina.database.rows import MessageEnd, MessageRow
from tina.domain.chat import StopReason, Usage
from tina.domain.failures import DamagedFailure, FailureRecord
from tina.domain.ids import ConversationId, MessageId, OwnerId
from tina.domain.messages import Message, MessageStatus, Part, Replay, Role, TextPart

PREVIEW_CHARS = 120

_ENCODER = msgspec.json.Encoder()
_PARTS = msgspec.json.Decoder(tuple[Part, ...])
_USAGE = msgspec.json.Decoder(Usage)
_FAILURE = msgspec.json.Decoder(FailureRecord)
_REPLAY = msgspec.json.Decoder(Replay)

T = TypeVar("T")


def to_message(row: MessageRow) -> Message:
    """The message of a row.

    Raises:
        DamagedFailure: a column holds what no Tina up to this one writes.
    """
    try:
        return _to_message(row)
    except (ValueError, msgspec.DecodeError) as error:
        raise DamagedFailure(
            f"The message {row.id.hex()} cannot be read: {error}. "
            "`tina db check` looks at the whole file."
        ) from error


def _to_message(row: MessageRow) -> Message:
    return Message(
        id=MessageId(row.id.hex()),
        conversation_id=ConversationId(row.conversation_id.hex()),
        parent_id=None if row.parent_id is None else MessageId(row.parent_id.hex()),
        role=Role(row.role),
        status=MessageStatus(row.status),
        parts=_to_parts(row),
        created_at=from_milliseconds(row.created_at),
        model=row.model,
        stop_reason=None if row.stop_reason is None else StopReason(row.stop_reason),
        usage=_decoded(_USAGE, row.usage),
        failure=_decoded(_FAILURE, row.failure),
        replay=_decoded(_REPLAY, row.replay),
    )


def to_row(message: Message, *, owner_id: OwnerId, seq: int) -> MessageRow:
    """The row of a message at place `seq` of its conversation."""
    end = to_end(message, owner_id=owner_id)
    return MessageRow(
        owner_id=owner_id,
        id=end.id,
        conversation_id=id_to_bytes(message.conversation_id),
        seq=seq,
        parent_id=None if message.parent_id is None else id_to_bytes(message.parent_id),
        role=message.role.value,
        status=end.status,
        text=end.text,
        parts=end.parts,
        model=end.model,
        stop_reason=end.stop_reason,
        usage=end.usage,
        failure=end.failure,
        replay=end.replay,
        created_at=to_milliseconds(message.created_at),
    )


def to_end(message: Message, *, owner_id: OwnerId) -> MessageEnd:
    stop_reason = message.stop_reason
    return MessageEnd(
        owner_id=owner_id,
        id=id_to_bytes(message.id),
        status=message.status.value,
        text=message.text,
        parts=_parts_column(message.parts),
        model=message.model,
        stop_reason=None if stop_reason is None else stop_reason.value,
        usage=_encoded(message.usage),
        failure=_encoded(message.failure),
        replay=_encoded(message.replay),
    )


def preview_of(message: Message) -> str:
    """The beginning of what it says, on one line."""
    return " ".join(message.text[: PREVIEW_CHARS * 4].split())[:PREVIEW_CHARS]


def _to_parts(row: MessageRow) -> tuple[Part, ...]:
    if row.parts is not None:
        return _PARTS.decode(row.parts)
    return (TextPart(text=row.text),) if row.text else ()


def _parts_column(parts: tuple[Part, ...]) -> str | None:
    is_plain = not parts or (len(parts) == 1 and isinstance(parts[0], TextPart))
    return None if is_plain else _encoded(parts)


def _encoded(value: object) -> str | None:
    return None if value is None else _ENCODER.encode(value).decode()


def _decoded(decoder: msgspec.json.Decoder[T], text: str | None) -> T | None:
    return None if text is None else decoder.decode(text)
