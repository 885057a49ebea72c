"""What answers cost."""

from datetime import datetime
from functools import partial

import apsw

from tina.database.daos import messages
from tina.database.daos import usage as dao
from tina.database.engine.engine import Engine
from tina.database.mappers.values import id_to_bytes, to_milliseconds
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId


class DatabaseLedger:
    """Fulfils `Ledger` for one owner."""

    def __init__(self, engine: Engine, *, owner_id: OwnerId = LAPTOP_OWNER) -> None:
        self._engine = engine
        self._owner_id = owner_id

    async def enter_cost(self, answer_id: MessageId, cost_micros: int) -> None:
        await self._engine.write(
            partial(
                _enter_cost,
                owner_id=self._owner_id,
                answer_id=id_to_bytes(answer_id),
                cost_micros=cost_micros,
            )
        )

    async def spent_micros(
        self,
        *,
        conversation_id: ConversationId | None = None,
        since: datetime | None = None,
    ) -> int:
        place = None if conversation_id is None else id_to_bytes(conversation_id)
        return await self._engine.read(
            partial(
                dao.spent,
                owner_id=self._owner_id,
                conversation_id=place,
                since=0 if since is None else to_milliseconds(since),
            )
        )


def _enter_cost(
    connection: apsw.Connection, *, owner_id: int, answer_id: bytes, cost_micros: int
) -> None:
    dao.enter_cost(
        connection, owner_id=owner_id, message_id=answer_id, cost_micros=cost_micros
    )
    messages.enter_cost(
        connection, owner_id=owner_id, row_id=answer_id, cost_micros=cost_micros
    )
