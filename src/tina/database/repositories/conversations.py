"""Conversations."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import starmap

import apsw
from msgspec import UNSET, structs

from tina.database.branches import walk_to_root, walk_to_tip
from tina.database.daos import conversations as dao
from tina.database.daos import messages, turns
from tina.database.engine.engine import Engine
from tina.database.mappers.conversations import (
    changed_row,
    to_conversation,
    to_new_row,
    to_page,
)
from tina.database.mappers.messages import preview_of_text
from tina.database.mappers.values import id_to_bytes, to_milliseconds
from tina.database.repositories.turns import request_stop
from tina.database.rows import ConversationRow, MessageRow
from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
)
from tina.domain.failures import NotFoundFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId
from tina.domain.messages import MessageStatus
from tina.domain.ports import Clock, IdFactory
from tina.domain.queries import ListConversations

ID_DIGITS = 32
_STREAMING = MessageStatus.STREAMING.value
_INTERRUPTED = MessageStatus.INTERRUPTED.value


class DatabaseConversations:
    """Fulfils `ConversationRepository` for one owner."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock,
        ids: IdFactory,
        owner_id: OwnerId = LAPTOP_OWNER,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._ids = ids
        self._owner_id = owner_id

    async def create(self, conversation: NewConversation) -> Conversation:
        row = await self._engine.write(
            partial(dao.insert, row=self._new_row(conversation))
        )
        return to_conversation(row)

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        row = await self._engine.read(
            partial(
                dao.get, owner_id=self._owner_id, row_id=id_to_bytes(conversation_id)
            )
        )
        return None if row is None else to_conversation(row)

    async def find(self, *, prefix: str) -> tuple[Conversation, ...]:
        rows = await self._engine.read(
            partial(
                dao.between,
                owner_id=self._owner_id,
                first=id_to_bytes(prefix.ljust(ID_DIGITS, "0")),
                last=id_to_bytes(prefix.ljust(ID_DIGITS, "f")),
                limit=2,
            )
        )
        return tuple(map(to_conversation, rows))

    async def list(self, query: ListConversations) -> tuple[Conversation, ...]:
        rows = await self._engine.read(partial(dao.page, page=to_page(query)))
        return tuple(map(to_conversation, rows))

    async def change(
        self, conversation_id: ConversationId, change: ConversationChange
    ) -> Conversation:
        row = await self._engine.write(
            partial(
                _change,
                owner_id=self._owner_id,
                row_id=id_to_bytes(conversation_id),
                change=change,
            )
        )
        if row is None:
            raise NotFoundFailure(
                f"There is no conversation {conversation_id}, or no such message in "
                "it. `tina log` lists them."
            )
        return to_conversation(row)

    async def fork(
        self, message_id: MessageId, conversation: NewConversation
    ) -> Conversation:
        branch = await self._engine.read(
            partial(
                branch_to, owner_id=self._owner_id, message_id=id_to_bytes(message_id)
            )
        )
        if not branch:
            raise NotFoundFailure(
                f"There is no message {message_id}. `tina show --json` lists them."
            )
        new = self._new_row(conversation)
        copies = _copies(branch, new.id, [self._ids.new() for _ in branch])
        row = structs.replace(
            new,
            tip_id=copies[-1].id,
            message_count=len(copies),
            preview=preview_of_text(copies[-1].text),
        )
        await self._engine.write(partial(_insert_all, row=row, messages_of_it=copies))
        return to_conversation(row)

    def _new_row(self, conversation: NewConversation) -> ConversationRow:
        return to_new_row(
            conversation,
            conversation_id=ConversationId(self._ids.new()),
            now=self._clock.now(),
        )


def branch_to(
    connection: apsw.Connection, *, owner_id: int, message_id: bytes
) -> list[MessageRow]:
    """The branch that ends with the message, oldest first; empty if there is none."""
    message = messages.get(connection, owner_id=owner_id, row_id=message_id)
    if message is None:
        return []
    rows = messages.of_conversation(
        connection, owner_id=owner_id, conversation_id=message.conversation_id
    )
    return list(starmap(MessageRow, walk_to_root(rows, tip_id=message_id)))


def _change(
    connection: apsw.Connection,
    *,
    owner_id: int,
    row_id: bytes,
    change: ConversationChange,
) -> ConversationRow | None:
    row = dao.get(connection, owner_id=owner_id, row_id=row_id)
    if row is None:
        return None
    if change.branch is not UNSET:
        tip = _newest_tip(connection, row, through=id_to_bytes(change.branch))
        if tip is None:
            return None
        row = structs.replace(row, tip_id=tip.id, preview=preview_of_text(tip.text))
    changed = changed_row(row, change)
    dao.replace(connection, changed)
    if isinstance(change.deleted_at, datetime):
        _stop_all(connection, changed, to_milliseconds(change.deleted_at))
    return changed


def _newest_tip(
    connection: apsw.Connection, row: ConversationRow, *, through: bytes
) -> MessageRow | None:
    """The message at the end of the newest branch; None if it is not of this one."""
    links = messages.links(connection, owner_id=row.owner_id, conversation_id=row.id)
    if all(child != through for _, child in links):
        return None
    tip_id = walk_to_tip(links, from_id=through)
    return messages.get(connection, owner_id=row.owner_id, row_id=tip_id)


def _stop_all(connection: apsw.Connection, row: ConversationRow, now: int) -> None:
    """Nobody is to ask a model for a conversation that is deleted."""
    for answer_id in turns.open_answers(
        connection, owner_id=row.owner_id, conversation_id=row.id
    ):
        request_stop(
            connection,
            owner_id=row.owner_id,
            answer_id=answer_id,
            now=now,
        )


def _copies(
    branch: Sequence[MessageRow], conversation_id: bytes, ids: Sequence[str]
) -> list[MessageRow]:
    """The same messages, in another conversation, one below the other."""
    new_ids = [id_to_bytes(new_id) for new_id in ids]
    parents = [None, *new_ids]
    return [
        structs.replace(
            row,
            id=new_id,
            conversation_id=conversation_id,
            seq=seq,
            parent_id=parent,
            # No turn writes the copy: nobody would ever settle it.
            status=_INTERRUPTED if row.status == _STREAMING else row.status,
        )
        for seq, (row, new_id, parent) in enumerate(
            zip(branch, new_ids, parents, strict=False)
        )
    ]


def _insert_all(
    connection: apsw.Connection, row: ConversationRow, messages_of_it: list[MessageRow]
) -> None:
    dao.insert(connection, row)
    for message in messages_of_it:
        messages.insert(connection, message)
