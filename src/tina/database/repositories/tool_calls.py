"""Tool calls."""

from functools import partial

from tina.database.daos import tool_calls as dao
from tina.database.engine.engine import Engine
from tina.database.mappers.tools import to_call_end, to_new_call_row, to_tool_call
from tina.database.mappers.values import id_to_bytes, to_milliseconds
from tina.domain.failures import NotFoundFailure
from tina.domain.ids import LAPTOP_OWNER, MessageId, OwnerId, ToolRunId
from tina.domain.ports import Clock, IdFactory
from tina.domain.tools import (
    Decision,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)


class DatabaseToolCalls:
    """Fulfils `ToolCallRepository` for one owner."""

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

    async def add(self, call: NewToolCall) -> ToolCall:
        row = to_new_call_row(
            call,
            run_id=ToolRunId(self._ids.new()),
            owner_id=self._owner_id,
            now=self._clock.now(),
        )
        stored = await self._engine.write(partial(dao.insert, row=row))
        if stored is None:
            raise NotFoundFailure(
                f"There is no conversation {call.conversation_id}. `tina log` lists "
                "them."
            )
        return to_tool_call(stored)

    async def get(self, run_id: ToolRunId) -> ToolCall | None:
        row = await self._engine.read(
            partial(dao.get, owner_id=self._owner_id, row_id=id_to_bytes(run_id))
        )
        return None if row is None else to_tool_call(row)

    async def list(self, message_id: MessageId) -> tuple[ToolCall, ...]:
        rows = await self._engine.read(
            partial(
                dao.of_message,
                owner_id=self._owner_id,
                message_id=id_to_bytes(message_id),
            )
        )
        return tuple(map(to_tool_call, rows))

    async def decide(self, run_id: ToolRunId, decision: Decision) -> bool:
        move = dao.approve if decision is Decision.ALLOW else dao.deny
        return await self._engine.write(
            partial(
                move,
                owner_id=self._owner_id,
                row_id=id_to_bytes(run_id),
                at=to_milliseconds(self._clock.now()),
            )
        )

    async def start(self, run_id: ToolRunId) -> bool:
        return await self._engine.write(
            partial(
                dao.start,
                owner_id=self._owner_id,
                row_id=id_to_bytes(run_id),
                at=to_milliseconds(self._clock.now()),
            )
        )

    async def settle(
        self, run_id: ToolRunId, status: ToolCallStatus, outcome: ToolOutcome | None
    ) -> bool:
        end = to_call_end(
            run_id, status, outcome, owner_id=self._owner_id, now=self._clock.now()
        )
        return await self._engine.write(partial(dao.settle, end=end), is_essential=True)
