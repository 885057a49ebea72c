"""The life of a turn: begun, journalled, settled, each in one transaction."""

from collections.abc import Mapping, Sequence
from functools import partial

import apsw

from tina.database.daos import conversations, journal, messages, turns
from tina.database.engine import Engine
from tina.database.mappers.messages import preview_of, to_end, to_row
from tina.database.mappers.turns import (
    to_entry,
    to_events,
    to_new_row,
    to_unsettled,
)
from tina.database.mappers.values import id_to_bytes, to_milliseconds
from tina.database.rows import TipMove
from tina.domain.events import StreamEvent
from tina.domain.failures import NotFoundFailure, TipMovedFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId
from tina.domain.messages import Message
from tina.domain.ports import Clock
from tina.domain.turns import NewTurn, UnsettledTurn


class DatabaseTurns:
    """Fulfils `TurnRepository`."""

    def __init__(self, engine: Engine, *, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def begin(self, turn: NewTurn) -> None:
        await self._engine.write(partial(_begin, turn=turn))

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        entries = [to_entry(message_id, events) for message_id, events in batch.items()]
        await self._engine.write(
            partial(journal.append, entries=entries), is_durable=False
        )

    async def settle(self, answer: Message) -> bool:
        ended_at = to_milliseconds(self._clock.now())
        return await self._engine.write(
            partial(_settle, answer=answer, ended_at=ended_at)
        )

    async def list_unsettled(self) -> tuple[UnsettledTurn, ...]:
        return tuple(map(to_unsettled, await self._engine.read(turns.running)))

    async def read_journal(self, message_id: MessageId) -> tuple[StreamEvent, ...]:
        entries = await self._engine.read(
            partial(_read_journal, message_id=id_to_bytes(message_id))
        )
        return to_events(entries)


def _begin(connection: apsw.Connection, turn: NewTurn) -> None:
    prompt, answer = turn.prompt, turn.answer
    new = [answer] if prompt is None else [prompt, answer]
    count = conversations.advance(connection, _tip_move(turn, new))
    if count is None:
        raise _not_begun(connection, turn.conversation_id)
    for seq, message in enumerate(new, start=count - len(new)):
        messages.insert(connection, to_row(message, owner_id=LAPTOP_OWNER, seq=seq))
    row = to_new_row(turn, owner_id=LAPTOP_OWNER, journal_from=journal.end(connection))
    turns.insert(connection, row)


def _settle(connection: apsw.Connection, answer: Message, ended_at: int) -> bool:
    end = to_end(answer, owner_id=LAPTOP_OWNER)
    if messages.settle(connection, end) is None:
        return False
    if answer.text:
        conversations.refresh_preview(
            connection,
            owner_id=LAPTOP_OWNER,
            row_id=id_to_bytes(answer.conversation_id),
            tip_id=end.id,
            preview=preview_of(answer),
        )
    turns.end(connection, owner_id=LAPTOP_OWNER, answer_id=end.id, ended_at=ended_at)
    journal.trim(connection)
    return True


def _read_journal(connection: apsw.Connection, message_id: bytes) -> list[str]:
    turn = turns.of_answer(connection, owner_id=LAPTOP_OWNER, answer_id=message_id)
    if turn is None:
        return []
    return journal.of_message(
        connection, message_id=message_id, journal_from=turn.journal_from
    )


def _tip_move(turn: NewTurn, new: Sequence[Message]) -> TipMove:
    return TipMove(
        owner_id=LAPTOP_OWNER,
        id=id_to_bytes(turn.conversation_id),
        after=None if turn.after is None else id_to_bytes(turn.after),
        tip_id=id_to_bytes(new[-1].id),
        added=len(new),
        preview=preview_of(new[0]),
        at=to_milliseconds(new[-1].created_at),
    )


def _not_begun(
    connection: apsw.Connection, conversation_id: ConversationId
) -> NotFoundFailure | TipMovedFailure:
    row_id = id_to_bytes(conversation_id)
    if conversations.get(connection, owner_id=LAPTOP_OWNER, row_id=row_id) is None:
        return NotFoundFailure(
            f"There is no conversation {conversation_id}. `tina log` lists them."
        )
    return TipMovedFailure(
        "Somebody else wrote into this conversation in the meantime; try again."
    )
