"""Standing decisions about tools."""

from functools import partial

from tina.database.daos import grants as dao
from tina.database.engine.engine import Engine
from tina.database.mappers.tools import to_grant, to_new_grant_row
from tina.database.mappers.values import id_to_bytes
from tina.domain.failures import NotFoundFailure
from tina.domain.ids import LAPTOP_OWNER, GrantId, OwnerId
from tina.domain.ports import Clock, IdFactory
from tina.domain.text import clean_text
from tina.domain.tools import Grant, NewGrant


class DatabaseGrants:
    """Fulfils `GrantRepository` for one owner."""

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

    async def add(self, grant: NewGrant) -> Grant:
        row = to_new_grant_row(
            grant,
            grant_id=GrantId(self._ids.new()),
            owner_id=self._owner_id,
            now=self._clock.now(),
        )
        stored = await self._engine.write(partial(dao.insert, row=row))
        if stored is None:
            raise NotFoundFailure(
                f"There is no conversation {grant.conversation_id}. `tina log` lists "
                "them."
            )
        return to_grant(stored)

    async def list(self, *, server: str, tool: str) -> tuple[Grant, ...]:
        rows = await self._engine.read(
            partial(
                dao.of_tool,
                owner_id=self._owner_id,
                server=clean_text(server),
                tool=clean_text(tool),
            )
        )
        return tuple(map(to_grant, rows))

    async def remove(self, grant_id: GrantId) -> bool:
        return await self._engine.write(
            partial(dao.delete, owner_id=self._owner_id, row_id=id_to_bytes(grant_id))
        )
