"""Messages."""

from functools import partial

import apsw

from tina.database.daos import conversations, messages
from tina.database.engine import Engine
from tina.database.mappers.messages import to_message
from tina.database.mappers.values import id_to_bytes
from tina.database.rows import MessageRow
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId
from tina.domain.messages import Message


class DatabaseMessages:
    """Fulfils `MessageRepository`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, message_id: MessageId) -> Message | None:
        row = await self._engine.read(
            partial(messages.get, owner_id=LAPTOP_OWNER, row_id=id_to_bytes(message_id))
        )
        return None if row is None else to_message(row)

    async def list(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        rows = await self._engine.read(
            partial(_active_branch, conversation_id=id_to_bytes(conversation_id))
        )
        return tuple(map(to_message, rows))


def _active_branch(
    connection: apsw.Connection, conversation_id: bytes
) -> list[MessageRow]:
    conversation = conversations.get(
        connection, owner_id=LAPTOP_OWNER, row_id=conversation_id
    )
    if conversation is None:
        return []
    rows = messages.of_conversation(
        connection, owner_id=LAPTOP_OWNER, conversation_id=conversation_id
    )
    return walk_to_root(rows, tip_id=conversation.tip_id)


def walk_to_root(rows: list[MessageRow], *, tip_id: bytes | None) -> list[MessageRow]:
    """The rows on the way from the root to the tip, oldest first."""
    by_id = {row.id: row for row in rows}
    branch: list[MessageRow] = []
    while tip_id is not None and (row := by_id.pop(tip_id, None)) is not None:
        branch.append(row)
        tip_id = row.parent_id
    branch.reverse()
    return branch
