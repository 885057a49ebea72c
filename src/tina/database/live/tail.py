"""The journal's growth, for watchers in processes that do not write it.

One reading serves all who follow: what was added since the last one, given out by
message. A follower begins with a snapshot of its own; it is registered before that, so
that nothing falls between. One that is slow has at most so many rows waiting; then they
are dropped, and a new snapshot says all of it again.
"""

from collections import deque
from collections.abc import AsyncGenerator, Iterable
from functools import partial
from typing import NamedTuple

import anyio
import apsw

from tina.database.daos import journal, messages
from tina.database.engine.engine import Engine
from tina.database.mappers.turns import to_piece
from tina.database.mappers.values import id_to_bytes
from tina.database.repositories.journal import journal_of
from tina.database.rows import JournalRow
from tina.domain.events import StreamEvent
from tina.domain.ids import MessageId, OwnerId
from tina.domain.messages import MessageStatus
from tina.domain.ports import JournalPiece

MAX_WAITING_ROWS = 2000
ROWS_A_READING = 5000


class _Joined(NamedTuple):
    """Rows as one piece; what follows a row that cannot be read is left out."""

    piece: JournalPiece
    is_broken: bool


class _Snapshot(NamedTuple):
    joined: _Joined
    last_rid: int
    is_streaming: bool


class _Growth(NamedTuple):
    rows: list[JournalRow]
    ended: frozenset[bytes]


class _Follower:
    def __init__(self) -> None:
        self.rows: deque[JournalRow] = deque()
        self.after_rid = 0
        self.is_lost = True  # it needs a snapshot
        self.is_broken = False  # until a fold, what comes does not join what it has
        self.is_over = False

    def add(self, row: JournalRow) -> None:
        if len(self.rows) >= MAX_WAITING_ROWS:
            self.rows.clear()
            self.is_lost = True
        if not self.is_lost:
            self.rows.append(row)


class JournalTail:
    """Gives out what running answers say; `rung` says that there may be more.

    Attributes:
        readings: how often the growth was read, for all who follow.
    """

    def __init__(self, engine: Engine, *, owner_id: OwnerId) -> None:
        self._engine = engine
        self._owner_id = owner_id
        self._followers: dict[bytes, set[_Follower]] = {}
        self._first_rid = 0
        self._last_rid: int | None = None
        self.readings = 0
        self._rings = 0
        self._read_rings = 0
        self._rang = anyio.Event()
        self._reading: anyio.Event | None = None

    @property
    def followed(self) -> int:
        """How many messages are followed now."""
        return len(self._followers)

    def rung(self) -> None:
        if self._followers:
            self._rings += 1
            self._rang.set()
            self._rang = anyio.Event()

    async def follow(self, message_id: MessageId) -> AsyncGenerator[JournalPiece]:
        """What the answer has said, then what it says, until it is settled."""
        key = id_to_bytes(message_id)
        follower = _Follower()
        self._followers.setdefault(key, set()).add(follower)
        try:
            while not follower.is_over:
                if follower.is_lost:
                    yield await self._catch_up(key, follower)
                elif follower.rows:
                    piece = _take(follower)
                    if piece.events or piece.is_fold:
                        yield piece
                else:
                    await self._wait()
        finally:
            self._leave(key, follower)

    async def _catch_up(self, key: bytes, follower: _Follower) -> JournalPiece:
        # From here on rows wait for it; those that the snapshot has are passed over.
        follower.is_lost = False
        snapshot = await self._engine.read(
            partial(_snapshot, owner_id=self._owner_id, message_id=key)
        )
        follower.after_rid = snapshot.last_rid
        follower.is_broken = snapshot.joined.is_broken
        if not snapshot.is_streaming:  # else somebody may know better meanwhile
            follower.is_over = True
        if self._last_rid is None:
            self._first_rid = self._last_rid = snapshot.last_rid
        elif snapshot.last_rid < self._first_rid:
            follower.is_lost = True  # what lies between was given to nobody
        return JournalPiece(snapshot.joined.piece.events, is_fold=True)

    async def _wait(self) -> None:
        """Until somebody rang and what there is was given out."""
        if self._read_rings == self._rings:
            await self._rang.wait()
        elif self._reading is not None:
            await self._reading.wait()
        else:
            await self._read()

    async def _read(self) -> None:
        reading = self._reading = anyio.Event()
        rings = self._rings
        self.readings += 1
        try:
            growth = await self._engine.read(
                partial(
                    _growth,
                    owner_id=self._owner_id,
                    after_rid=self._last_rid or 0,
                    message_ids=tuple(self._followers),
                )
            )
        finally:
            self._reading = None
            reading.set()
        self._read_rings = rings
        self._give_out(growth)

    def _give_out(self, growth: _Growth) -> None:
        for row in growth.rows:
            for follower in self._followers.get(row.message_id, ()):
                follower.add(row)
        for key in growth.ended:
            for follower in self._followers.get(key, ()):
                follower.is_over = True
        if growth.rows:
            self._last_rid = growth.rows[-1].rid
        if len(growth.rows) == ROWS_A_READING:
            self.rung()

    def _leave(self, key: bytes, follower: _Follower) -> None:
        of_message = self._followers[key]
        of_message.discard(follower)
        if not of_message:
            del self._followers[key]
        if not self._followers:
            self._last_rid = None


def _take(follower: _Follower) -> JournalPiece:
    """What waits for a follower."""
    rows = [row for row in follower.rows if row.rid > follower.after_rid]
    follower.rows.clear()
    piece, follower.is_broken = _join(rows, is_broken=follower.is_broken)
    return piece


def _join(rows: Iterable[JournalRow], *, is_broken: bool) -> _Joined:
    events: list[StreamEvent] = []
    is_fold = False
    for row in rows:
        piece = to_piece(row)
        if piece is None:
            is_broken = True
        elif piece.is_fold:
            events, is_fold, is_broken = list(piece.events), True, False
        elif not is_broken:
            events.extend(piece.events)
    return _Joined(JournalPiece(tuple(events), is_fold), is_broken)


def _snapshot(
    connection: apsw.Connection, owner_id: OwnerId, message_id: bytes
) -> _Snapshot:
    rows = journal_of(connection, owner_id=owner_id, answer_id=message_id)
    status = messages.status(connection, owner_id=owner_id, row_id=message_id)
    return _Snapshot(
        joined=_join(rows, is_broken=False),
        last_rid=journal.end(connection) - 1,
        is_streaming=status == MessageStatus.STREAMING,
    )


def _growth(
    connection: apsw.Connection,
    owner_id: OwnerId,
    after_rid: int,
    message_ids: tuple[bytes, ...],
) -> _Growth:
    ended = {
        key
        for key in message_ids
        if messages.status(connection, owner_id=owner_id, row_id=key)
        != MessageStatus.STREAMING
    }
    rows = journal.after(connection, rid=after_rid, limit=ROWS_A_READING)
    return _Growth(rows, frozenset(ended))
