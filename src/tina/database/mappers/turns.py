"""Turns and their journal."""

from collections.abc import Iterable, Sequence

import msgspec

from tina.database.mappers.values import encoded, id_to_bytes, to_milliseconds
from tina.database.rows import JournalRow, TurnRow
from tina.domain.events import StreamEvent
from tina.domain.failures import DamagedFailure, InvalidInputFailure
from tina.domain.ids import ConversationId, LeaseId, MessageId, OwnerId, TurnId
from tina.domain.ports import JournalPiece
from tina.domain.turns import NewTurn, OpenTurn, TurnRequest, TurnStatus

_EVENTS = msgspec.json.Decoder(tuple[StreamEvent, ...])
_REQUEST = msgspec.json.Decoder(TurnRequest)


def to_new_row(turn: NewTurn, *, owner_id: OwnerId, journal_from: int) -> TurnRow:
    """Its row: running, where a lease claims it from the first moment, else queued."""
    created_at = to_milliseconds(turn.answer.created_at)
    is_claimed = turn.lease_id is not None
    return TurnRow(
        owner_id=owner_id,
        id=id_to_bytes(turn.id),
        conversation_id=id_to_bytes(turn.conversation_id),
        answer_id=id_to_bytes(turn.answer.id),
        request=encoded(turn.request) or "",
        status=TurnStatus.RUNNING if is_claimed else TurnStatus.QUEUED,
        lease_id=None if turn.lease_id is None else id_to_bytes(turn.lease_id),
        journal_from=journal_from if is_claimed else None,
        stop_requested_at=None,
        created_at=created_at,
        started_at=created_at if is_claimed else None,
        ended_at=None,
    )


def to_open_turn(row: TurnRow) -> OpenTurn:
    """The turn of a row.

    Raises:
        DamagedFailure: a column holds what no Tina up to this one writes.
    """
    try:
        return OpenTurn(
            id=TurnId(row.id.hex()),
            owner_id=OwnerId(row.owner_id),
            conversation_id=ConversationId(row.conversation_id.hex()),
            answer_id=MessageId(row.answer_id.hex()),
            request=_REQUEST.decode(row.request),
            status=TurnStatus(row.status),
            lease_id=None if row.lease_id is None else LeaseId(row.lease_id.hex()),
            is_stop_requested=row.stop_requested_at is not None,
        )
    except (ValueError, msgspec.DecodeError, InvalidInputFailure) as error:
        raise DamagedFailure(
            f"The turn {row.id.hex()} cannot be read: {error}. "
            "`tina db check` looks at the whole file."
        ) from error


def to_entry(message_id: MessageId, events: Sequence[StreamEvent]) -> tuple[bytes, str]:
    """One journal row: (message id, events as JSON)."""
    return id_to_bytes(message_id), encoded(events) or "[]"


def to_piece(row: JournalRow) -> JournalPiece | None:
    """What a journal row says; None if it cannot be read."""
    try:
        return JournalPiece(_EVENTS.decode(row.events), bool(row.is_fold))
    except msgspec.DecodeError:
        return None


def to_events(rows: Iterable[JournalRow]) -> tuple[StreamEvent, ...]:
    """The events up to the first row that cannot be read.

    What comes after a gap would not join what came before it; a fold says all again.
    """
    events: list[StreamEvent] = []
    is_broken = False
    for row in rows:
        piece = to_piece(row)
        if piece is None:
            is_broken = True
        elif piece.is_fold:
            events, is_broken = list(piece.events), False
        elif not is_broken:
            events.extend(piece.events)
    return tuple(events)
