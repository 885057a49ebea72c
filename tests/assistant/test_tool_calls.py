"""Who asks for a tool and who decides need not know each other."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import anyio
import pytest
from msgspec import structs

from tina.assistant import ToolCalls
from tina.domain.conversations import NewConversation
from tina.domain.failures import ClosedFailure, NotFoundFailure, NotWaitingFailure
from tina.domain.ids import ConversationId, MessageId, ToolCallId, ToolRunId
from tina.domain.tools import (
    Decision,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio

NOBODY = ToolRunId("0" * 32)
ALLOW, DENY = Decision.ALLOW, Decision.DENY


class House:
    """Use cases on shared rows: the owner of a turn and a face elsewhere."""

    def __init__(self) -> None:
        self.stores = MemoryStores(clock=FakeClock(), ids=FakeIds())
        self.owner = ToolCalls(self.stores.tool_calls, self.stores.live)
        self.face = ToolCalls(self.stores.tool_calls, self.stores.live)
        self.conversation_id = ConversationId("")

    async def call(self, *, tool: str = "read") -> ToolCall:
        return await self.owner.add(await self.new_call(tool=tool))

    async def new_call(self, *, tool: str = "read") -> NewToolCall:
        conversation = await self.stores.conversations.create(NewConversation())
        self.conversation_id = conversation.id
        return NewToolCall(
            conversation_id=conversation.id,
            message_id=MessageId(self.stores.ids.new()),
            place=0,
            call_id=ToolCallId("call_1"),
            server="files",
            tool=tool,
            tool_hash="a1",
            arguments="{}",
        )

    async def stored(self, run_id: ToolRunId) -> ToolCall:
        call = await self.stores.tool_calls.get(run_id)
        assert call is not None
        return call


@pytest.fixture
def house() -> House:
    return House()


class Waiter:
    """A task that waits for a decision."""

    def __init__(self, calls: ToolCalls, run_id: ToolRunId) -> None:
        self._calls = calls
        self._run_id = run_id
        self.is_over = anyio.Event()
        self.call: ToolCall | None = None
        self.failure: Exception | None = None

    async def run(self) -> None:
        try:
            self.call = await self._calls.await_decision(self._run_id)
        except (NotFoundFailure, ClosedFailure) as failure:
            self.failure = failure
        self.is_over.set()


@pytest.mark.parametrize(
    ("decision", "status"),
    [(ALLOW, ToolCallStatus.APPROVED), (DENY, ToolCallStatus.DENIED)],
)
async def test_the_owner_goes_on_when_somebody_has_decided(
    house: House, decision: Decision, status: ToolCallStatus
) -> None:
    other, call = await house.call(tool="write"), await house.call()
    waiter = Waiter(house.owner, call.id)
    was_over = True

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(waiter.run)
            await anyio.wait_all_tasks_blocked()
            await house.face.decide(other.id, ALLOW)
            await anyio.wait_all_tasks_blocked()
            was_over = waiter.is_over.is_set()
            await house.face.decide(call.id, decision)

    assert not was_over, "somebody else's call is none of its business"
    assert waiter.call == await house.stored(call.id)
    assert waiter.call is not None
    assert waiter.call.status is status


async def test_a_decision_that_came_first_is_not_waited_for(house: House) -> None:
    call = await house.call()
    await house.face.decide(call.id, DENY)

    with anyio.fail_after(5):
        decided = await house.owner.await_decision(call.id)

    assert decided.status is ToolCallStatus.DENIED


async def test_a_call_that_ended_meanwhile_is_not_waited_for(house: House) -> None:
    call = await house.call()
    waiter = Waiter(house.owner, call.id)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(waiter.run)
            await anyio.wait_all_tasks_blocked()
            await house.face.settle(call.id, ToolCallStatus.FAILED, None)

    assert waiter.call is not None
    assert waiter.call.status is ToolCallStatus.FAILED


async def test_a_call_that_was_purged_meanwhile_is_not_waited_for(
    house: House,
) -> None:
    call = await house.call()
    waiter = Waiter(house.owner, call.id)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(waiter.run)
            await anyio.wait_all_tasks_blocked()
            del house.stores.rows.conversations_by_id[house.conversation_id]
            house.stores.rows.changed()

    assert isinstance(waiter.failure, NotFoundFailure)


async def test_nobody_waits_for_a_call_that_does_not_exist(house: House) -> None:
    with anyio.fail_after(5), pytest.raises(NotFoundFailure, match=NOBODY):
        await house.owner.await_decision(NOBODY)


async def test_whoever_waits_can_be_cancelled_and_the_call_still_waits(
    house: House,
) -> None:
    call = await house.call()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:

            async def wait() -> None:
                await house.owner.await_decision(call.id)
                pytest.fail("it was cancelled")

            group.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    await house.face.decide(call.id, ALLOW)
    assert (await house.stored(call.id)).status is ToolCallStatus.APPROVED


class ClosingLive:
    """Live queries that say something old once, and are closed then."""

    def __init__(self, stores: MemoryStores) -> None:
        self.watch_many = stores.live.watch_many
        self.follow = stores.live.follow

    async def watch(
        self, query: object, *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[Any]:
        yield ()


async def test_an_old_answer_is_not_believed_and_closing_ends_the_wait(
    house: House,
) -> None:
    call = await house.call()
    calls = ToolCalls(house.stores.tool_calls, ClosingLive(house.stores))

    with anyio.fail_after(5), pytest.raises(ClosedFailure):
        await calls.await_decision(call.id)

    assert await house.stored(call.id) == call


async def test_a_face_sees_what_waits_oldest_first(house: House) -> None:
    first, second = await house.call(), await house.call(tool="write")
    seen: list[tuple[ToolCall, ...]] = []

    with anyio.fail_after(5):
        async with aclosing(house.face.waiting()) as answers:
            async for waiting in answers:
                seen.append(waiting)
                if not waiting:
                    break
                await house.face.decide(waiting[0].id, ALLOW)

    assert seen == [(first, second), (second,), ()]


@pytest.mark.parametrize("decision", list(Decision))
@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (ToolCallStatus.APPROVED, "it was allowed"),
        (ToolCallStatus.DENIED, "it was denied"),
        (ToolCallStatus.RUNNING, "it was allowed and runs"),
        (ToolCallStatus.DONE, "it is over"),
    ],
)
async def test_whoever_comes_too_late_is_told_what_happened(
    house: House, earlier: ToolCallStatus, words: str, decision: Decision
) -> None:
    call = await house.call()
    await house.face.decide(
        call.id, DENY if earlier is ToolCallStatus.DENIED else ALLOW
    )
    if earlier in {ToolCallStatus.RUNNING, ToolCallStatus.DONE}:
        assert await house.owner.start(call.id)
    if earlier is ToolCallStatus.DONE:
        assert await house.owner.settle(call.id, ToolCallStatus.DONE, None)
    before = await house.stored(call.id)

    with pytest.raises(NotWaitingFailure, match=f"any more: {words}\\.") as caught:
        await house.face.decide(call.id, decision)

    assert call.id in caught.value.message
    assert "read" in caught.value.message
    assert await house.stored(call.id) == before
    assert before.status is earlier


async def test_a_call_that_does_not_exist_cannot_be_decided(house: House) -> None:
    with pytest.raises(NotFoundFailure, match=NOBODY):
        await house.face.decide(NOBODY, ALLOW)


async def test_what_a_model_or_a_tool_says_is_made_fit_to_be_stored(
    house: House,
) -> None:
    dirty, clean = "a\0b\ud800", "ab\ufffd"
    new = await house.new_call()

    call = await house.owner.add(
        structs.replace(
            new,
            call_id=ToolCallId(dirty),
            server=dirty,
            tool=dirty,
            arguments=dirty,
        )
    )
    await house.owner.settle(
        call.id, ToolCallStatus.DONE, ToolOutcome(content=dirty, is_error=True)
    )

    stored = await house.stored(call.id)
    assert (stored.call_id, stored.server, stored.tool, stored.arguments) == (
        clean,
        clean,
        clean,
        clean,
    )
    assert stored.outcome == ToolOutcome(content=clean, is_error=True)
