"""One suite for tool calls and grants in memory and on SQLite."""

from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest
from msgspec import structs

from tests.contracts.conftest import Kept
from tina.domain.conversations import NewConversation
from tina.domain.failures import NotFoundFailure, StorageFailure
from tina.domain.ids import (
    ConversationId,
    GrantId,
    MessageId,
    ToolCallId,
    ToolRunId,
)
from tina.domain.ports import (
    ConversationRepository,
    GrantRepository,
    ToolCallRepository,
)
from tina.domain.tools import (
    Decision,
    NewGrant,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio

NOBODY = ConversationId("0" * 32)
ENDS = (ToolCallStatus.DONE, ToolCallStatus.FAILED, ToolCallStatus.UNKNOWN)


@dataclass
class Stores:
    conversations: ConversationRepository
    calls: ToolCallRepository
    grants: GrantRepository
    clock: FakeClock
    ids: FakeIds

    async def new_call(
        self, status: ToolCallStatus = ToolCallStatus.WAITING
    ) -> NewToolCall:
        conversation = await self.conversations.create(NewConversation(title="Fjords"))
        self.clock.advance(1)
        return NewToolCall(
            conversation_id=conversation.id,
            message_id=MessageId(self.ids.new()),
            place=0,
            call_id=ToolCallId("call_1"),
            server="files",
            tool="read",
            tool_hash="a1",
            arguments='{"path": ',
            status=status,
        )

    async def call(self, status: ToolCallStatus = ToolCallStatus.WAITING) -> ToolCall:
        """A stored call that came to this status the way calls do."""
        call = await self.calls.add(await self.new_call())
        self.clock.advance(1)
        if status is ToolCallStatus.DENIED:
            await self.calls.decide(call.id, Decision.DENY)
        elif status is not ToolCallStatus.WAITING:
            await self.calls.decide(call.id, Decision.ALLOW)
        self.clock.advance(1)
        if status is ToolCallStatus.RUNNING or status in ENDS:
            await self.calls.start(call.id)
        self.clock.advance(1)
        if status in ENDS:
            await self.calls.settle(call.id, status, ToolOutcome(content="First."))
        self.clock.advance(1)
        return await self.stored(call.id)

    async def stored(self, run_id: ToolRunId) -> ToolCall:
        call = await self.calls.get(run_id)
        assert call is not None
        return call


@pytest.fixture
def stores(kept: Kept) -> Stores:
    of = kept.stores
    return Stores(of.conversations, of.tool_calls, of.grants, kept.clock, kept.ids)


async def test_a_new_call_waits_and_is_read_back(stores: Stores) -> None:
    new = await stores.new_call()

    added = await stores.calls.add(new)

    assert await stores.calls.get(added.id) == added
    assert (
        NewToolCall(**{name: getattr(added, name) for name in structs.asdict(new)})
        == new
    )
    assert (added.status, added.created_at) == (
        ToolCallStatus.WAITING,
        stores.clock.now(),
    )
    assert (added.outcome, added.decided_at, added.started_at, added.ended_at) == (
        None,
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("status", "is_over"),
    [(ToolCallStatus.APPROVED, False), (ToolCallStatus.DENIED, True)],
)
async def test_a_call_that_a_grant_answers_is_decided_as_it_is_made(
    stores: Stores, status: ToolCallStatus, *, is_over: bool
) -> None:
    added = await stores.calls.add(await stores.new_call(status))

    assert await stores.calls.get(added.id) == added
    assert (added.status, added.decided_at) == (status, added.created_at)
    assert added.ended_at == (added.created_at if is_over else None)
    assert not await stores.calls.decide(added.id, Decision.ALLOW)


async def test_a_call_in_no_conversation_is_not_stored(stores: Stores) -> None:
    new = structs.replace(await stores.new_call(), conversation_id=NOBODY)

    with pytest.raises(NotFoundFailure, match=NOBODY):
        await stores.calls.add(new)

    assert await stores.calls.list(new.message_id) == ()


async def test_the_calls_of_a_message_stand_in_their_order(stores: Stores) -> None:
    new = await stores.new_call()
    second = await stores.calls.add(structs.replace(new, place=1))
    first = await stores.calls.add(new)
    await stores.call()

    assert await stores.calls.list(new.message_id) == (first, second)


async def test_two_calls_cannot_have_one_place(stores: Stores) -> None:
    new = await stores.new_call()
    first = await stores.calls.add(new)

    with pytest.raises(StorageFailure):
        await stores.calls.add(new)

    assert await stores.calls.list(new.message_id) == (first,)


async def test_what_does_not_exist_is_none(stores: Stores) -> None:
    nothing = ToolRunId("0" * 32)

    assert await stores.calls.get(nothing) is None
    assert await stores.calls.list(MessageId("0" * 32)) == ()
    assert not await stores.calls.decide(nothing, Decision.ALLOW)
    assert not await stores.calls.start(nothing)
    assert not await stores.calls.settle(nothing, ToolCallStatus.FAILED, None)
    assert await stores.grants.list(server="files", tool="read") == ()
    assert not await stores.grants.remove(GrantId("0" * 32))


async def test_an_approved_call_has_a_time_and_no_end(stores: Stores) -> None:
    call = await stores.call()

    was_decided = await stores.calls.decide(call.id, Decision.ALLOW)

    assert was_decided
    assert await stores.stored(call.id) == structs.replace(
        call, status=ToolCallStatus.APPROVED, decided_at=stores.clock.now()
    )


async def test_a_denied_call_is_over(stores: Stores) -> None:
    call = await stores.call()

    was_decided = await stores.calls.decide(call.id, Decision.DENY)

    now = stores.clock.now()
    assert was_decided
    assert await stores.stored(call.id) == structs.replace(
        call, status=ToolCallStatus.DENIED, decided_at=now, ended_at=now
    )


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize(
    "status", [status for status in ToolCallStatus if status != ToolCallStatus.WAITING]
)
async def test_only_what_waits_is_decided(
    stores: Stores, status: ToolCallStatus, decision: Decision
) -> None:
    call = await stores.call(status)

    assert call.status is status
    assert not await stores.calls.decide(call.id, decision)
    assert await stores.stored(call.id) == call


async def test_a_started_call_has_a_time(stores: Stores) -> None:
    call = await stores.call(ToolCallStatus.APPROVED)

    was_started = await stores.calls.start(call.id)

    assert was_started
    assert await stores.stored(call.id) == structs.replace(
        call, status=ToolCallStatus.RUNNING, started_at=stores.clock.now()
    )


@pytest.mark.parametrize(
    "status", [status for status in ToolCallStatus if status != ToolCallStatus.APPROVED]
)
async def test_only_what_is_approved_is_started(
    stores: Stores, status: ToolCallStatus
) -> None:
    call = await stores.call(status)

    assert not await stores.calls.start(call.id)
    assert await stores.stored(call.id) == call


@pytest.mark.parametrize("status", ENDS)
@pytest.mark.parametrize(
    "outcome",
    [None, ToolOutcome(content='"æ"\n', is_error=True), ToolOutcome(content="")],
)
async def test_a_call_that_ran_ends_with_its_outcome(
    stores: Stores, status: ToolCallStatus, outcome: ToolOutcome | None
) -> None:
    call = await stores.call(ToolCallStatus.RUNNING)

    was_settled = await stores.calls.settle(call.id, status, outcome)

    assert was_settled
    assert await stores.stored(call.id) == structs.replace(
        call, status=status, outcome=outcome, ended_at=stores.clock.now()
    )


@pytest.mark.parametrize("status", [ToolCallStatus.WAITING, ToolCallStatus.APPROVED])
async def test_a_call_that_never_ran_can_fail(
    stores: Stores, status: ToolCallStatus
) -> None:
    call = await stores.call(status)

    was_settled = await stores.calls.settle(call.id, ToolCallStatus.FAILED, None)

    assert was_settled
    assert await stores.stored(call.id) == structs.replace(
        call, status=ToolCallStatus.FAILED, ended_at=stores.clock.now()
    )
    assert not await stores.calls.decide(call.id, Decision.ALLOW)
    assert not await stores.calls.start(call.id)


@pytest.mark.parametrize("status", [ToolCallStatus.DENIED, *ENDS])
async def test_a_call_ends_once(stores: Stores, status: ToolCallStatus) -> None:
    call = await stores.call(status)

    was_settled = await stores.calls.settle(
        call.id, ToolCallStatus.DONE, ToolOutcome(content="Second.")
    )

    assert not was_settled
    assert await stores.stored(call.id) == call


@pytest.mark.parametrize(
    "status",
    [ToolCallStatus.WAITING, ToolCallStatus.APPROVED, ToolCallStatus.RUNNING],
)
async def test_a_call_does_not_end_with_what_is_no_end(
    stores: Stores, status: ToolCallStatus
) -> None:
    call = await stores.call(ToolCallStatus.RUNNING)

    with pytest.raises(ValueError, match=status.value):
        await stores.calls.settle(call.id, status, None)

    assert await stores.stored(call.id) == call


async def test_one_of_many_starts_a_call(stores: Stores) -> None:
    call = await stores.call(ToolCallStatus.APPROVED)
    started: list[bool] = []

    async def start() -> None:
        started.append(await stores.calls.start(call.id))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(start)

    assert (len(started), sum(started)) == (20, 1)


def new_grant(conversation_id: ConversationId | None = None) -> NewGrant:
    return NewGrant(
        decision=Decision.ALLOW,
        conversation_id=conversation_id,
        server="files",
        tool="read",
        config_hash="c1",
        tool_hash="a1",
    )


async def test_grants_of_a_tool_are_listed_newest_first(stores: Stores) -> None:
    call = await stores.call()
    expired = stores.clock.now() - timedelta(days=1)
    first = await stores.grants.add(new_grant())
    second = await stores.grants.add(
        structs.replace(
            new_grant(call.conversation_id),
            decision=Decision.DENY,
            config_hash="c2",
            tool_hash="a2",
            expires_at=expired,
        )
    )
    await stores.grants.add(structs.replace(new_grant(), tool="write"))
    await stores.grants.add(structs.replace(new_grant(), server="web"))

    listed = await stores.grants.list(server="files", tool="read")

    assert listed == (second, first)
    assert (first.conversation_id, first.expires_at) == (None, None)
    assert (second.conversation_id, second.expires_at) == (
        call.conversation_id,
        expired,
    )
    assert (second.decision, second.config_hash, second.tool_hash) == (
        Decision.DENY,
        "c2",
        "a2",
    )
    assert first.created_at == stores.clock.now()


async def test_a_grant_for_no_conversation_is_not_stored(stores: Stores) -> None:
    with pytest.raises(NotFoundFailure, match=NOBODY):
        await stores.grants.add(new_grant(NOBODY))

    assert await stores.grants.list(server="files", tool="read") == ()


async def test_a_removed_grant_is_gone(stores: Stores) -> None:
    kept = await stores.grants.add(new_grant())
    grant = await stores.grants.add(new_grant())

    removed = [await stores.grants.remove(grant.id) for _ in range(2)]

    assert removed == [True, False]
    assert await stores.grants.list(server="files", tool="read") == (kept,)
