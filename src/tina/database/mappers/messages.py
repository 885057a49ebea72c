"""Messages: the usual one, a single text, is stored as that text and nothing else."""

from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from msgspec.structs import astuple

from tina.database.branches import walk_to_root
from tina.database.mappers.values import (
    all_from_milliseconds,
    encoded,
    id_to_bytes,
    to_milliseconds,
)
from tina.database.rows import (
    MESSAGE_CONVERSATION_ID,
    MESSAGE_CREATED_AT,
    MESSAGE_ID,
    MESSAGE_PARENT_ID,
    MessageEnd,
    MessageRow,
    MessageValues,
    UsageRow,
)
from tina.domain.chat import StopReason, Usage
from tina.domain.failures import DamagedFailure, FailureRecord
from tina.domain.ids import ConversationId, MessageId, OwnerId
from tina.domain.messages import Message, MessageStatus, Part, Replay, Role, TextPart

PREVIEW_CHARS = 120

_PARTS = msgspec.json.Decoder(tuple[Part, ...])
_USAGE = msgspec.json.Decoder(Usage)
_FAILURE = msgspec.json.Decoder(FailureRecord)
_REPLAY = msgspec.json.Decoder(Replay)
_METADATA = msgspec.json.Decoder(dict[str, str])

# A dictionary answers ten times as fast as the enumeration itself.
_ROLES = {role.value: role for role in Role}
_STATUSES = {status.value: status for status in MessageStatus}
_STOP_REASONS = {reason.value: reason for reason in StopReason}

_to_message_id = cast("Callable[[bytes], MessageId]", bytes.hex)
_to_conversation_id = cast("Callable[[bytes], ConversationId]", bytes.hex)

_UNREADABLE = (KeyError, ValueError, OverflowError, msgspec.DecodeError)


def to_message(row: MessageRow) -> Message:
    """The message of a row.

    Raises:
        DamagedFailure: a column holds what no Tina up to this one writes.
    """
    try:
        (message,) = _to_messages((cast("MessageValues", astuple(row)),))
    except _UNREADABLE as error:
        raise DamagedFailure(
            f"The message {row.id.hex()} cannot be read ({error}). "
            "`tina db check` looks at the whole file."
        ) from error
    return message


def to_branch(
    rows: Sequence[MessageValues], *, tip_id: bytes | None
) -> tuple[Message, ...]:
    """The messages on the way from the root to the tip; a long one passes here.

    Args:
        rows: of one conversation; fastest in the order they were stored.

    Raises:
        DamagedFailure: as `to_message`; only those on the way are looked at.
    """
    branch = walk_to_root(rows, tip_id=tip_id)
    try:
        return _to_messages(branch)
    except _UNREADABLE:
        return tuple(to_message(MessageRow(*row)) for row in branch)  # it names one


def _to_messages(branch: Sequence[MessageValues]) -> tuple[Message, ...]:
    """The messages of rows of which each is the child of the one before."""
    if not branch:
        return ()
    root_parent_id = branch[0][MESSAGE_PARENT_ID]
    conversation_id = _to_conversation_id(branch[0][MESSAGE_CONVERSATION_ID])
    ids = [_to_message_id(row[MESSAGE_ID]) for row in branch]
    root_parent = None if root_parent_id is None else _to_message_id(root_parent_id)
    parent_ids = [root_parent, *ids[:-1]]
    times = all_from_milliseconds([row[MESSAGE_CREATED_AT] for row in branch])
    # Written out, without names, nothing called that can be left out: of 500 messages a
    # call each costs as much as a twentieth of reading them.
    return tuple([
        Message(
            message_id,
            conversation_id,
            parent_id,
            _ROLES[role],
            _STATUSES[status],
            _PARTS.decode(parts)
            if parts is not None
            else ((TextPart(text=text),) if text else ()),
            created_at,
            model,
            None if stop_reason is None else _STOP_REASONS[stop_reason],
            None if usage is None else _USAGE.decode(usage),
            None if failure is None else _FAILURE.decode(failure),
            None if replay is None else _REPLAY.decode(replay),
            None if metadata is None else _METADATA.decode(metadata),
        )
        for message_id, parent_id, created_at, (
            _, _, _, _, _, role, status, text, parts, model,
            stop_reason, usage, failure, replay, metadata, _,
        ) in zip(ids, parent_ids, times, branch, strict=True)
    ])  # fmt: skip


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
        metadata=end.metadata,
        created_at=to_milliseconds(message.created_at),
    )


def to_end(message: Message, *, owner_id: OwnerId) -> MessageEnd:
    stop_reason = message.stop_reason
    return MessageEnd(
        owner_id=owner_id,
        id=id_to_bytes(message.id),
        status=message.status.value,
        text=message.text,
        parts=_parts_column(message.parts, text=message.text),
        model=message.model,
        stop_reason=None if stop_reason is None else stop_reason.value,
        usage=encoded(message.usage),
        failure=encoded(message.failure),
        replay=encoded(message.replay),
        metadata=encoded(message.metadata),
    )


def to_unsaid_end(
    row: MessageRow, status: MessageStatus, failure: FailureRecord | None
) -> MessageEnd:
    """The end of an answer before anything was said, whatever its row holds."""
    return MessageEnd(
        owner_id=row.owner_id,
        id=row.id,
        status=status.value,
        text=row.text,
        parts=row.parts,
        model=row.model,
        stop_reason=row.stop_reason,
        usage=row.usage,
        failure=encoded(failure),
        replay=row.replay,
        metadata=row.metadata,
    )


def to_usage_row(
    answer: Message, usage: Usage, *, owner_id: OwnerId, created_at: int
) -> UsageRow:
    """The entry of an answer in the ledger."""
    return UsageRow(
        owner_id=owner_id,
        message_id=id_to_bytes(answer.id),
        conversation_id=id_to_bytes(answer.conversation_id),
        model=answer.model or "",
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cost_micros=usage.cost_micros,
        created_at=created_at,
    )


def preview_of(message: Message) -> str:
    return preview_of_text(message.text)


def preview_of_text(text: str) -> str:
    """The beginning of what is said, on one line."""
    return " ".join(text[: PREVIEW_CHARS * 4].split())[:PREVIEW_CHARS]


def _parts_column(parts: tuple[Part, ...], *, text: str) -> str | None:
    return None if parts == _plain_parts(text) else encoded(parts)


def _plain_parts(text: str) -> tuple[Part, ...]:
    """The parts of a message that is a text and nothing else."""
    return (TextPart(text=text),) if text else ()
