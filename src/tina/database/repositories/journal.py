"""What running answers said, until they are settled."""

from collections.abc import Mapping, Sequence
from functools import partial

import apsw

from tina.database.daos import journal, turns
from tina.database.engine.engine import Engine
from tina.database.mappers.turns import to_entry, to_events
from tina.database.mappers.values import id_to_bytes
from tina.database.rows import JournalRow
from tina.domain.events import StreamEvent
from tina.domain.ids import LAPTOP_OWNER, MessageId, OwnerId
from tina.domain.turns import TurnStatus


class DatabaseJournal:
    """Fulfils `JournalRepository` for one owner."""

    def __init__(self, engine: Engine, *, owner_id: OwnerId = LAPTOP_OWNER) -> None:
        self._engine = engine
        self._owner_id = owner_id

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        entries = [to_entry(message_id, events) for message_id, events in batch.items()]
        await self._engine.write(
            partial(journal.append, owner_id=self._owner_id, entries=entries),
            is_durable=False,
            is_essential=True,
        )

    async def fold(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        await self._engine.write(
            partial(_fold, owner_id=self._owner_id, entry=to_entry(message_id, events)),
            is_durable=False,
            is_essential=True,
        )

    async def read(self, message_id: MessageId) -> tuple[StreamEvent, ...]:
        rows = await self._engine.read(
            partial(
                journal_of, owner_id=self._owner_id, answer_id=id_to_bytes(message_id)
            )
        )
        return to_events(rows)


def journal_of(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes
) -> list[JournalRow]:
    """The rows that a running answer still needs; empty if nobody runs it."""
    turn = turns.of_answer(connection, owner_id=owner_id, answer_id=answer_id)
    # The rows of a settled answer may lie there as long as an older turn runs.
    if turn is None or turn.journal_from is None or turn.status == TurnStatus.DONE:
        return []
    return journal.of_message(
        connection, message_id=answer_id, journal_from=turn.journal_from
    )


def _fold(
    connection: apsw.Connection, *, owner_id: int, entry: tuple[bytes, str]
) -> None:
    message_id, events = entry
    first = journal.end(connection)
    if turns.move_journal(
        connection, owner_id=owner_id, answer_id=message_id, journal_from=first
    ):
        journal.fold(
            connection, owner_id=owner_id, message_id=message_id, events=events
        )
        journal.trim(connection)
