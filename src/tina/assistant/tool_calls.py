"""Tool calls, as the owner of a turn and the faces use them.

The owner stores a call before anything happens with it, and waits until it is decided.
A face, in any process, sees what waits and decides. Neither knows of the other: both
look at the row.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import assert_never

from msgspec import structs

from tina.domain.failures import ClosedFailure, NotFoundFailure, NotWaitingFailure
from tina.domain.ids import ToolCallId, ToolRunId
from tina.domain.ports import LiveQueries, ToolCallRepository
from tina.domain.queries import ListWaitingCalls
from tina.domain.text import clean_text
from tina.domain.tools import (
    Decision,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)


class ToolCalls:
    """Stores calls, decides them, waits for decisions."""

    def __init__(self, calls: ToolCallRepository, live: LiveQueries) -> None:
        self._calls = calls
        self._live = live

    def waiting(self) -> AsyncGenerator[tuple[ToolCall, ...]]:
        """Calls that wait for a person, oldest first, now and whenever they change.

        Consume under `aclosing`.
        """
        return self._live.watch(ListWaitingCalls())

    async def decide(self, run_id: ToolRunId, decision: Decision) -> None:
        """Answer a call for a person, durably; of several who answer, one does.

        Raises:
            NotFoundFailure: there is no such call.
            NotWaitingFailure: it was decided, or has ended, before.
        """
        if not await self._calls.decide(run_id, decision):
            call = await self._get(run_id)
            raise NotWaitingFailure(
                f"The tool call {run_id} ({call.tool}) does not wait for a decision "
                f"any more: {_state(call.status)}. Nothing was changed."
            )

    async def add(self, call: NewToolCall) -> ToolCall:
        """Store a call durably, with text that every database can hold.

        Raises:
            NotFoundFailure: there is no such conversation.
        """
        return await self._calls.add(
            structs.replace(
                call,
                call_id=ToolCallId(clean_text(call.call_id)),
                server=clean_text(call.server),
                tool=clean_text(call.tool),
                arguments=clean_text(call.arguments),
            )
        )

    async def await_decision(self, run_id: ToolRunId) -> ToolCall:
        """Wait, as long as it takes, until a person in any process has decided.

        Cancelled, it leaves the call as it is: it can still be decided.

        Returns:
            The call as it was decided: approved or denied; or over, when the turn was
            stopped meanwhile.

        Raises:
            NotFoundFailure: there is no such call, or its conversation was purged.
            ClosedFailure: Tina was closed meanwhile.
        """
        async with aclosing(self.waiting()) as answers:
            async for _ in answers:
                call = await self._get(run_id)
                if call.status is not ToolCallStatus.WAITING:
                    return call
        raise ClosedFailure("Tina was closed before the tool call was decided.")

    async def start(self, run_id: ToolRunId) -> bool:
        """Take an approved call to run it; whoever gets True runs it, nobody else."""
        return await self._calls.start(run_id)

    async def settle(
        self, run_id: ToolRunId, status: ToolCallStatus, outcome: ToolOutcome | None
    ) -> bool:
        """Store how a call ended, durably; False if it had ended before."""
        if outcome is not None:
            outcome = structs.replace(outcome, content=clean_text(outcome.content))
        return await self._calls.settle(run_id, status, outcome)

    async def _get(self, run_id: ToolRunId) -> ToolCall:
        call = await self._calls.get(run_id)
        if call is None:
            raise NotFoundFailure(
                f"There is no tool call {run_id}. Its conversation may be gone."
            )
        return call


def _state(status: ToolCallStatus) -> str:
    match status:
        # It cannot wait: nothing waits again once it did not.
        case ToolCallStatus.WAITING | ToolCallStatus.APPROVED:
            return "it was allowed"
        case ToolCallStatus.DENIED:
            return "it was denied"
        case ToolCallStatus.RUNNING:
            return "it was allowed and runs"
        case ToolCallStatus.DONE | ToolCallStatus.FAILED | ToolCallStatus.UNKNOWN:
            return "it is over"
        case _:
            assert_never(status)
