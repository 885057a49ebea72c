"""The life of a turn: begun, claimed, stopped, settled, each in one transaction."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import apsw

from tina.database.daos import (
    conversations,
    journal,
    messages,
    tool_calls,
    turns,
    usage,
)
from tina.database.engine.engine import Engine
from tina.database.mappers.messages import (
    preview_of,
    to_end,
    to_row,
    to_unsaid_end,
    to_usage_row,
)
from tina.database.mappers.tools import to_call_ends
from tina.database.mappers.turns import to_new_row, to_open_turn
from tina.database.mappers.values import id_to_bytes, to_milliseconds
from tina.database.rows import TipMove, TurnRow
from tina.domain.failures import (
    DamagedFailure,
    FailureRecord,
    NotFoundFailure,
    TipMovedFailure,
)
from tina.domain.ids import LAPTOP_OWNER, ConversationId, LeaseId, MessageId, OwnerId
from tina.domain.messages import Message, MessageStatus
from tina.domain.ports import Clock
from tina.domain.text import clean_value
from tina.domain.turns import NewTurn, OpenTurn, TurnStatus

_logger = logging.getLogger(__name__)


class DatabaseTurns:
    """Fulfils `TurnRepository` for one owner."""

    def __init__(
        self, engine: Engine, *, clock: Clock, owner_id: OwnerId = LAPTOP_OWNER
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._owner_id = owner_id
        self._known_unreadable: frozenset[bytes] = frozenset()

    async def begin(self, turn: NewTurn) -> None:
        await self._engine.write(partial(_begin, turn=turn, owner_id=self._owner_id))

    async def claim(self, lease_id: LeaseId) -> OpenTurn | None:
        return await self._engine.write(
            partial(
                _claim,
                owner_id=self._owner_id,
                lease_id=id_to_bytes(lease_id),
                now=self._now(),
            )
        )

    async def request_stop(self, answer_id: MessageId) -> bool:
        return await self._engine.write(
            partial(
                request_stop,
                owner_id=self._owner_id,
                answer_id=id_to_bytes(answer_id),
                now=self._now(),
            ),
            is_essential=True,
        )

    async def settle(self, answer: Message) -> bool:
        return await self._engine.write(
            partial(
                _settle,
                answer=clean_value(answer),
                owner_id=self._owner_id,
                ended_at=self._now(),
            ),
            is_essential=True,
        )

    async def list_open(self) -> tuple[OpenTurn, ...]:
        rows = await self._engine.read(
            partial(turns.open_turns, owner_id=self._owner_id)
        )
        found = tuple(readable_turns(rows))
        if len(found) < len(rows):
            self._warn_of({row.id for row in rows}, found)
        return found

    def _warn_of(self, ids: set[bytes], readable: Iterable[OpenTurn]) -> None:
        """Say once which turns cannot be read: they are looked for every second."""
        unreadable = ids - {id_to_bytes(turn.id) for turn in readable}
        for turn_id in unreadable - self._known_unreadable:
            _logger.warning("turn_not_readable", extra={"turn_id": turn_id.hex()})
        self._known_unreadable |= unreadable

    def _now(self) -> int:
        return to_milliseconds(self._clock.now())


def readable_turns(rows: Iterable[TurnRow]) -> Iterator[OpenTurn]:
    """The turns of rows; one that cannot be read must not hide the others."""
    for row in rows:
        try:
            yield to_open_turn(row)
        except DamagedFailure:
            continue


def _begin(connection: apsw.Connection, turn: NewTurn, owner_id: OwnerId) -> None:
    prompt, answer = turn.prompt, turn.answer
    new = [answer] if prompt is None else [prompt, answer]
    count = conversations.advance(connection, _tip_move(turn, new, owner_id))
    if count is None:
        raise _not_begun(connection, turn.conversation_id, owner_id)
    for seq, message in enumerate(new, start=count - len(new)):
        messages.insert(connection, to_row(message, owner_id=owner_id, seq=seq))
    row = to_new_row(turn, owner_id=owner_id, journal_from=journal.end(connection))
    turns.insert(connection, row)


def _claim(
    connection: apsw.Connection, *, owner_id: int, lease_id: bytes, now: int
) -> OpenTurn | None:
    for answer_id in turns.end_stray(connection, owner_id=owner_id, ended_at=now):
        _end_turn(connection, owner_id=owner_id, answer_id=answer_id, ended_at=now)
    while True:
        row = turns.claim(
            connection,
            owner_id=owner_id,
            lease_id=lease_id,
            journal_from=journal.end(connection),
            started_at=now,
        )
        if row is None:
            return None
        try:
            return to_open_turn(row)
        except DamagedFailure as failure:
            # Claimed and not run, it would stand in the way of what comes after it.
            _end_unsaid(
                connection,
                owner_id=owner_id,
                answer_id=row.answer_id,
                failure=failure.as_record(),
                ended_at=now,
            )


def request_stop(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, now: int
) -> bool:
    """Stop a queued turn, ask a running one to stop; False if there is none."""
    status = turns.request_stop(
        connection, owner_id=owner_id, answer_id=answer_id, now=now
    )
    if status == TurnStatus.QUEUED:
        _end_unsaid(
            connection,
            owner_id=owner_id,
            answer_id=answer_id,
            failure=None,
            ended_at=now,
        )
    return status is not None


def _end_unsaid(
    connection: apsw.Connection,
    *,
    owner_id: int,
    answer_id: bytes,
    failure: FailureRecord | None,
    ended_at: int,
) -> None:
    """End a turn that nobody began, as failed or, without a failure, as stopped."""
    row = messages.get(connection, owner_id=owner_id, row_id=answer_id)
    if row is not None:
        status = MessageStatus.STOPPED if failure is None else MessageStatus.FAILED
        messages.settle(connection, to_unsaid_end(row, status, failure))
    _end_turn(connection, owner_id=owner_id, answer_id=answer_id, ended_at=ended_at)


def _settle(
    connection: apsw.Connection, answer: Message, *, owner_id: OwnerId, ended_at: int
) -> bool:
    end = to_end(answer, owner_id=owner_id)
    is_new = messages.settle(connection, end) is not None
    if is_new:
        _note_end(connection, answer, owner_id=owner_id, ended_at=ended_at)
    # Also of an answer that had ended before, or is gone: nobody writes it any more.
    _end_turn(connection, owner_id=owner_id, answer_id=end.id, ended_at=ended_at)
    return is_new


def _note_end(
    connection: apsw.Connection, answer: Message, *, owner_id: OwnerId, ended_at: int
) -> None:
    """Enter into the conversation and the ledger what was said, and used."""
    if answer.text:
        conversations.refresh_preview(
            connection,
            owner_id=owner_id,
            row_id=id_to_bytes(answer.conversation_id),
            tip_id=id_to_bytes(answer.id),
            preview=preview_of(answer),
        )
    if answer.usage is not None:
        usage.insert(
            connection,
            to_usage_row(answer, answer.usage, owner_id=owner_id, created_at=ended_at),
        )


def _end_turn(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, ended_at: int
) -> None:
    turns.end(connection, owner_id=owner_id, answer_id=answer_id, ended_at=ended_at)
    ends = to_call_ends(owner_id=owner_id, message_id=answer_id, at=ended_at)
    tool_calls.end_of_message(connection, ends)
    journal.trim(connection)


def _tip_move(turn: NewTurn, new: Sequence[Message], owner_id: OwnerId) -> TipMove:
    return TipMove(
        owner_id=owner_id,
        id=id_to_bytes(turn.conversation_id),
        after=None if turn.after is None else id_to_bytes(turn.after),
        tip_id=id_to_bytes(new[-1].id),
        added=len(new),
        preview=preview_of(new[0]),
        at=to_milliseconds(new[-1].created_at),
    )


def _not_begun(
    connection: apsw.Connection, conversation_id: ConversationId, owner_id: OwnerId
) -> NotFoundFailure | TipMovedFailure:
    row_id = id_to_bytes(conversation_id)
    row = conversations.get(connection, owner_id=owner_id, row_id=row_id)
    if row is None:
        return NotFoundFailure(
            f"There is no conversation {conversation_id}. `tina log` lists them."
        )
    if row.deleted_at is not None:
        return NotFoundFailure(
            f"The conversation {conversation_id} is deleted. "
            f"`tina undelete {conversation_id}` takes it back."
        )
    return TipMovedFailure(
        "Somebody else wrote into this conversation in the meantime; try again."
    )
