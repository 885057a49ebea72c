"""Messages."""

from collections.abc import Sequence
from functools import partial

import apsw

from tina.database.daos import conversations, messages
from tina.database.engine.engine import Engine
from tina.database.mappers.messages import to_branch, to_message
from tina.database.mappers.values import id_to_bytes
from tina.database.rows import (
    MESSAGE_ID,
    MESSAGE_PARENT_ID,
    MessageRow,
    MessageValues,
)
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId
from tina.domain.messages import Message


class DatabaseMessages:
    """Fulfils `MessageRepository` for one owner."""

    def __init__(self, engine: Engine, *, owner_id: OwnerId = LAPTOP_OWNER) -> None:
        self._engine = engine
        self._owner_id = owner_id

    async def get(self, message_id: MessageId) -> Message | None:
        row = await self._engine.read(
            partial(
                messages.get, owner_id=self._owner_id, row_id=id_to_bytes(message_id)
            )
        )
        return None if row is None else to_message(row)

    async def list(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        key = id_to_bytes(conversation_id)
        # Mapped in the reader's thread: a tenth cheaper, and the loop stays free.
        return await self._engine.read(
            partial(active_branch, owner_id=self._owner_id, conversation_id=key)
        )

    async def list_branch(self, message_id: MessageId) -> tuple[Message, ...]:
        key = id_to_bytes(message_id)
        return await self._engine.read(
            lambda connection: to_branch(
                _rows_around(connection, owner_id=self._owner_id, row_id=key),
                tip_id=key,
            )
        )

    async def pin(self, message_id: MessageId, *, is_pinned: bool) -> bool:
        return await self._engine.write(
            partial(
                messages.pin,
                owner_id=self._owner_id,
                row_id=id_to_bytes(message_id),
                is_pinned=is_pinned,
            )
        )

    async def list_siblings(self, message_id: MessageId) -> tuple[Message, ...]:
        found = await self._rows_around(message_id)
        parents = {row[MESSAGE_ID]: row[MESSAGE_PARENT_ID] for row in found}
        parent_id = parents.get(id_to_bytes(message_id))
        return tuple(
            to_message(MessageRow(*row))
            for row in found
            if row[MESSAGE_PARENT_ID] == parent_id
        )

    async def _rows_around(self, message_id: MessageId) -> Sequence[MessageValues]:
        """Every message of the conversation it is in; empty if there is none."""
        return await self._engine.read(
            partial(
                _rows_around, owner_id=self._owner_id, row_id=id_to_bytes(message_id)
            )
        )


def active_branch(
    connection: apsw.Connection, *, owner_id: int, conversation_id: bytes
) -> tuple[Message, ...]:
    """The branch that the tip chooses, oldest first."""
    conversation = conversations.get(
        connection, owner_id=owner_id, row_id=conversation_id
    )
    if conversation is None:
        return ()
    rows = messages.of_conversation(
        connection, owner_id=owner_id, conversation_id=conversation_id
    )
    return to_branch(rows, tip_id=conversation.tip_id)


def _rows_around(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes
) -> list[MessageValues]:
    message = messages.get(connection, owner_id=owner_id, row_id=row_id)
    if message is None:
        return []
    return messages.of_conversation(
        connection, owner_id=owner_id, conversation_id=message.conversation_id
    )
