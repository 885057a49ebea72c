"""Conversations."""

from functools import partial

from tina.database.daos import conversations as dao
from tina.database.engine import Engine
from tina.database.mappers.conversations import to_conversation, to_new_row
from tina.database.mappers.values import id_to_bytes
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.ids import LAPTOP_OWNER, ConversationId, OwnerId
from tina.domain.ports import Clock, IdFactory

ID_DIGITS = 32


class DatabaseConversations:
    """Fulfils `ConversationRepository`."""

    def __init__(self, engine: Engine, *, clock: Clock, ids: IdFactory) -> None:
        self._engine = engine
        self._clock = clock
        self._ids = ids

    async def create(self, conversation: NewConversation) -> Conversation:
        row = to_new_row(
            conversation,
            conversation_id=ConversationId(self._ids.new()),
            now=self._clock.now(),
        )
        await self._engine.write(partial(dao.insert, row=row))
        return to_conversation(row)

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        row = await self._engine.read(
            partial(dao.get, owner_id=LAPTOP_OWNER, row_id=id_to_bytes(conversation_id))
        )
        return None if row is None else to_conversation(row)

    async def list(
        self, *, limit: int | None, owner_id: OwnerId = LAPTOP_OWNER
    ) -> tuple[Conversation, ...]:
        bound = dao.NO_LIMIT if limit is None else limit
        rows = await self._engine.read(
            partial(dao.newest, owner_id=owner_id, limit=bound)
        )
        return tuple(map(to_conversation, rows))

    async def find(self, *, prefix: str) -> tuple[Conversation, ...]:
        rows = await self._engine.read(
            partial(
                dao.between,
                owner_id=LAPTOP_OWNER,
                first=id_to_bytes(prefix.ljust(ID_DIGITS, "0")),
                last=id_to_bytes(prefix.ljust(ID_DIGITS, "f")),
                limit=2,
            )
        )
        return tuple(map(to_conversation, rows))
