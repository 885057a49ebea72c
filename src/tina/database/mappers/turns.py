"""Turns and their journal."""

from collections.abc import Iterable, Sequence

import msgspec

from tina.database.mappers.values import id_to_bytes, to_milliseconds
from tina.database.rows import TurnRow
from tina.domain.events import StreamEvent
from tina.domain.ids import LeaseId, MessageId, OwnerId, TurnId
from tina.domain.turns import NewTurn, UnsettledTurn

_ENCODER = msgspec.json.Encoder()
_EVENTS = msgspec.json.Decoder(tuple[StreamEvent, ...])


def to_new_row(turn: NewTurn, *, owner_id: OwnerId, journal_from: int) -> TurnRow:
    return TurnRow(
        owner_id=owner_id,
        id=id_to_bytes(turn.id),
        conversation_id=id_to_bytes(turn.conversation_id),
        answer_id=id_to_bytes(turn.answer.id),
        lease_id=id_to_bytes(turn.lease_id),
        status="running",
        journal_from=journal_from,
        created_at=to_milliseconds(turn.answer.created_at),
        ended_at=None,
    )


def to_unsettled(row: TurnRow) -> UnsettledTurn:
    return UnsettledTurn(
        id=TurnId(row.id.hex()),
        answer_id=MessageId(row.answer_id.hex()),
        lease_id=LeaseId(row.lease_id.hex()),
    )


def to_entry(message_id: MessageId, events: Sequence[StreamEvent]) -> tuple[bytes, str]:
    """One journal row: (message id, events as JSON)."""
    return id_to_bytes(message_id), _ENCODER.encode(events).decode()


def to_events(entries: Iterable[str]) -> tuple[StreamEvent, ...]:
    """The events up to the first entry that cannot be read.

    What comes after a gap would not join what came before it.
    """
    events: list[StreamEvent] = []
    for entry in entries:
        try:
            events.extend(_EVENTS.decode(entry))
        except msgspec.DecodeError:
            break
    return tuple(events)
