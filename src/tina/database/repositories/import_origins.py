"""Where imported conversations came from, so that importing again finds them."""

from functools import partial

import apsw

from tina.database.daos import import_origins as dao
from tina.database.engine.engine import Engine
from tina.database.mappers.tools import to_import_row
from tina.database.tool_rows import ImportOriginRow
from tina.domain.conversations import Origin
from tina.domain.failures import NotFoundFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, OwnerId
from tina.domain.ports import Clock


class ImportOrigins:
    """Which conversation each import of one owner became."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock,
        owner_id: OwnerId = LAPTOP_OWNER,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._owner_id = owner_id

    async def add(self, origin: Origin, conversation_id: ConversationId) -> bool:
        """Note it durably; False if it was imported before, which is then kept.

        Raises:
            NotFoundFailure: there is no such conversation.
        """
        row = to_import_row(
            origin, conversation_id, owner_id=self._owner_id, now=self._clock.now()
        )
        return await self._engine.write(partial(_add, row=row))

    async def find(self, origin: Origin) -> ConversationId | None:
        row = await self._engine.read(
            partial(
                dao.find,
                owner_id=self._owner_id,
                source=origin.source,
                source_id=origin.source_id,
            )
        )
        return None if row is None else ConversationId(row.conversation_id.hex())


def _add(connection: apsw.Connection, row: ImportOriginRow) -> bool:
    if dao.insert(connection, row):
        return True
    found = dao.find(
        connection, owner_id=row.owner_id, source=row.source, source_id=row.source_id
    )
    if found is None:
        raise NotFoundFailure(
            f"There is no conversation {row.conversation_id.hex()}. `tina log` lists "
            "them."
        )
    return False
