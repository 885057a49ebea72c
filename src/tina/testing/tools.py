"""Tool calls and grants in memory, held to the same contracts as the database."""

from collections.abc import Callable, Container

from msgspec import structs

from tina.domain.failures import NotFoundFailure, StorageFailure
from tina.domain.ids import (
    ConversationId,
    GrantId,
    MessageId,
    ToolRunId,
    check_id,
)
from tina.domain.ports import Clock, IdFactory
from tina.domain.text import clean_text
from tina.domain.tools import (
    NOT_RUN,
    PERHAPS_RUN,
    Decision,
    Grant,
    NewGrant,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)


class MemoryToolCalls:
    """Fulfils `ToolCallRepository`.

    Args:
        conversations: those there are now; calls of others are gone with them.
        changed: called after each change, so that live queries look again.
    """

    def __init__(
        self,
        conversations: Container[ConversationId],
        *,
        clock: Clock,
        ids: IdFactory,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._conversations = conversations
        self._clock = clock
        self._ids = ids
        self._changed = changed
        self.by_id: dict[ToolRunId, ToolCall] = {}

    async def add(self, call: NewToolCall) -> ToolCall:
        check_id(call.message_id)
        check_id(call.conversation_id)
        if call.conversation_id not in self._conversations:
            raise NotFoundFailure(f"There is no conversation {call.conversation_id}.")
        if any(stored.place == call.place for stored in self._of(call.message_id)):
            raise StorageFailure(f"The message has a call at place {call.place}.")
        now = self._clock.now()
        stored = ToolCall(
            id=ToolRunId(self._ids.new()),
            created_at=now,
            decided_at=None if call.status is ToolCallStatus.WAITING else now,
            ended_at=now if call.status.is_over else None,
            **structs.asdict(call),
        )
        self._store(stored)
        return stored

    async def get(self, run_id: ToolRunId) -> ToolCall | None:
        check_id(run_id)
        call = self.by_id.get(run_id)
        return call if call is not None and self._is_kept(call) else None

    async def list(self, message_id: MessageId) -> tuple[ToolCall, ...]:
        check_id(message_id)
        return tuple(sorted(self._of(message_id), key=lambda call: call.place))

    async def decide(self, run_id: ToolRunId, decision: Decision) -> bool:
        call = await self.get(run_id)
        if call is None or call.status is not ToolCallStatus.WAITING:
            return False
        now = self._clock.now()
        if decision is Decision.ALLOW:
            status, ended_at = ToolCallStatus.APPROVED, None
        else:
            status, ended_at = ToolCallStatus.DENIED, now
        self._store(
            structs.replace(call, status=status, decided_at=now, ended_at=ended_at)
        )
        return True

    async def start(self, run_id: ToolRunId) -> bool:
        call = await self.get(run_id)
        if call is None or call.status is not ToolCallStatus.APPROVED:
            return False
        status, now = ToolCallStatus.RUNNING, self._clock.now()
        self._store(structs.replace(call, status=status, started_at=now))
        return True

    async def settle(
        self, run_id: ToolRunId, status: ToolCallStatus, outcome: ToolOutcome | None
    ) -> bool:
        if not status.is_over:
            raise ValueError(f"a call does not end as {status.value}")
        call = await self.get(run_id)
        if call is None or call.status.is_over:
            return False
        now = self._clock.now()
        self._store(structs.replace(call, status=status, outcome=outcome, ended_at=now))
        return True

    def end_of_message(self, message_id: MessageId) -> None:
        """End the calls that are not over: their turn is."""
        now = self._clock.now()
        for call in self._of(message_id):
            if call.status is ToolCallStatus.RUNNING:
                status, outcome = ToolCallStatus.UNKNOWN, PERHAPS_RUN
            else:
                status, outcome = ToolCallStatus.FAILED, NOT_RUN
            if not call.status.is_over:
                self._store(
                    structs.replace(call, status=status, outcome=outcome, ended_at=now)
                )

    def waiting(self) -> tuple[ToolCall, ...]:
        """Those that wait for a person, oldest first."""
        calls = filter(self._is_kept, self.by_id.values())
        return tuple(call for call in calls if call.status is ToolCallStatus.WAITING)

    def _of(self, message_id: MessageId) -> tuple[ToolCall, ...]:
        calls = filter(self._is_kept, self.by_id.values())
        return tuple(call for call in calls if call.message_id == message_id)

    def _is_kept(self, call: ToolCall) -> bool:
        return call.conversation_id in self._conversations

    def _store(self, call: ToolCall) -> None:
        self.by_id[call.id] = call
        self._changed()


class MemoryGrants:
    """Fulfils `GrantRepository`; `conversations` are those there are now."""

    def __init__(
        self,
        conversations: Container[ConversationId],
        *,
        clock: Clock,
        ids: IdFactory,
    ) -> None:
        self._conversations = conversations
        self._clock = clock
        self._ids = ids
        self._by_id: dict[GrantId, Grant] = {}

    async def add(self, grant: NewGrant) -> Grant:
        if grant.conversation_id is not None:
            check_id(grant.conversation_id)
        stored = Grant(
            id=GrantId(self._ids.new()),
            created_at=self._clock.now(),
            **structs.asdict(grant),
        )
        if not self._is_kept(stored):
            raise NotFoundFailure(f"There is no conversation {grant.conversation_id}.")
        self._by_id[stored.id] = stored
        return stored

    async def list(self, *, server: str, tool: str) -> tuple[Grant, ...]:
        return tuple(
            grant
            for grant in reversed(self._by_id.values())
            if (grant.server, grant.tool) == (clean_text(server), clean_text(tool))
            and self._is_kept(grant)
        )

    async def remove(self, grant_id: GrantId) -> bool:
        grant = self._by_id.pop(GrantId(check_id(grant_id)), None)
        return grant is not None and self._is_kept(grant)

    def _is_kept(self, grant: Grant) -> bool:
        conversation_id = grant.conversation_id
        return conversation_id is None or conversation_id in self._conversations
