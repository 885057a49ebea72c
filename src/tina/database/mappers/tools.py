"""Tool calls, grants, and where imported conversations came from."""

from datetime import datetime

import msgspec

from tina.database.mappers.values import (
    decoded,
    encoded,
    from_milliseconds,
    id_to_bytes,
    to_milliseconds,
)
from tina.database.tool_rows import (
    GrantRow,
    ImportOriginRow,
    ToolCallEnd,
    ToolCallEnds,
    ToolCallRow,
)
from tina.domain.conversations import Origin
from tina.domain.failures import DamagedFailure
from tina.domain.ids import (
    ConversationId,
    GrantId,
    MessageId,
    OwnerId,
    ToolCallId,
    ToolRunId,
)
from tina.domain.tools import (
    NOT_RUN,
    PERHAPS_RUN,
    Decision,
    Grant,
    NewGrant,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)

_OUTCOME = msgspec.json.Decoder(ToolOutcome)

_UNREADABLE = (ValueError, OverflowError, msgspec.DecodeError)
"""An unknown word, a time that no calendar has, JSON that is none."""


def to_tool_call(row: ToolCallRow) -> ToolCall:
    """The call of a row.

    Raises:
        DamagedFailure: a column holds what no Tina up to this one writes.
    """
    try:
        return ToolCall(
            id=ToolRunId(row.id.hex()),
            conversation_id=ConversationId(row.conversation_id.hex()),
            message_id=MessageId(row.message_id.hex()),
            place=row.place,
            call_id=ToolCallId(row.call_id),
            server=row.server,
            tool=row.tool,
            tool_hash=row.tool_hash,
            arguments=row.arguments,
            status=ToolCallStatus(row.status),
            outcome=decoded(_OUTCOME, row.outcome),
            created_at=from_milliseconds(row.created_at),
            decided_at=_time_or_none(row.decided_at),
            started_at=_time_or_none(row.started_at),
            ended_at=_time_or_none(row.ended_at),
        )
    except _UNREADABLE as error:
        raise _damaged("tool call", row.id, error) from error


def to_new_call_row(
    new: NewToolCall, *, run_id: ToolRunId, owner_id: OwnerId, now: datetime
) -> ToolCallRow:
    """The row of a new call; one that does not wait was decided as it was made."""
    created_at = to_milliseconds(now)
    is_decided = new.status is not ToolCallStatus.WAITING
    return ToolCallRow(
        owner_id=owner_id,
        id=id_to_bytes(run_id),
        conversation_id=id_to_bytes(new.conversation_id),
        message_id=id_to_bytes(new.message_id),
        place=new.place,
        call_id=new.call_id,
        server=new.server,
        tool=new.tool,
        tool_hash=new.tool_hash,
        arguments=new.arguments,
        status=new.status.value,
        outcome=None,
        created_at=created_at,
        decided_at=created_at if is_decided else None,
        started_at=None,
        ended_at=created_at if new.status.is_over else None,
    )


def to_call_end(
    run_id: ToolRunId,
    status: ToolCallStatus,
    outcome: ToolOutcome | None,
    *,
    owner_id: OwnerId,
    now: datetime,
) -> ToolCallEnd:
    """The columns of an end.

    Raises:
        ValueError: the status is none that a call ends with.
    """
    if not status.is_over:
        raise ValueError(f"a call does not end as {status.value}")
    return ToolCallEnd(
        owner_id=owner_id,
        id=id_to_bytes(run_id),
        status=status.value,
        outcome=encoded(outcome),
        ended_at=to_milliseconds(now),
    )


def to_call_ends(*, owner_id: int, message_id: bytes, at: int) -> ToolCallEnds:
    """The ends of the calls that a turn leaves when it ends itself."""
    return ToolCallEnds(
        owner_id=owner_id,
        message_id=message_id,
        not_run=encoded(NOT_RUN),
        perhaps_run=encoded(PERHAPS_RUN),
        at=at,
    )


def to_grant(row: GrantRow) -> Grant:
    """The grant of a row.

    Raises:
        DamagedFailure: a column holds what no Tina up to this one writes.
    """
    conversation_id = row.conversation_id
    try:
        return Grant(
            id=GrantId(row.id.hex()),
            decision=Decision(row.decision),
            conversation_id=(
                None
                if conversation_id is None
                else ConversationId(conversation_id.hex())
            ),
            server=row.server,
            tool=row.tool,
            config_hash=row.config_hash,
            tool_hash=row.tool_hash,
            created_at=from_milliseconds(row.created_at),
            expires_at=_time_or_none(row.expires_at),
        )
    except _UNREADABLE as error:
        raise _damaged("grant", row.id, error) from error


def to_new_grant_row(
    new: NewGrant, *, grant_id: GrantId, owner_id: OwnerId, now: datetime
) -> GrantRow:
    conversation_id = new.conversation_id
    return GrantRow(
        owner_id=owner_id,
        id=id_to_bytes(grant_id),
        decision=new.decision.value,
        conversation_id=None
        if conversation_id is None
        else id_to_bytes(conversation_id),
        server=new.server,
        tool=new.tool,
        config_hash=new.config_hash,
        tool_hash=new.tool_hash,
        created_at=to_milliseconds(now),
        expires_at=None if new.expires_at is None else to_milliseconds(new.expires_at),
    )


def to_import_row(
    origin: Origin,
    conversation_id: ConversationId,
    *,
    owner_id: OwnerId,
    now: datetime,
) -> ImportOriginRow:
    return ImportOriginRow(
        owner_id=owner_id,
        source=origin.source,
        source_id=origin.source_id,
        conversation_id=id_to_bytes(conversation_id),
        imported_at=to_milliseconds(now),
    )


def _time_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else from_milliseconds(milliseconds)


def _damaged(what: str, row_id: bytes, error: Exception) -> DamagedFailure:
    return DamagedFailure(
        f"The {what} {row_id.hex()} cannot be read: {error}. "
        "`tina db check` looks at the whole file."
    )
