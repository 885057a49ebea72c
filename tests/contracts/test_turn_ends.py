"""What ends with a turn, and what ends a turn: one suite for memory and SQLite."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import anyio
import pytest

from tests.contracts.conftest import Kept
from tina.assistant import ToolCalls
from tina.database import Database
from tina.domain.chat import StopReason
from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
)
from tina.domain.events import TextDelta
from tina.domain.failures import FailureRecord
from tina.domain.ids import LeaseId, MessageId, ToolCallId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import (
    ConversationRepository,
    JournalRepository,
    LiveQueries,
    MessageRepository,
    ToolCallRepository,
    TurnRepository,
)
from tina.domain.queries import ListWaitingCalls
from tina.domain.tools import (
    NOT_RUN,
    PERHAPS_RUN,
    Decision,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
)
from tina.domain.turns import NewTurn, TurnRequest, TurnStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio

LEASE = LeaseId("f" * 32)


@dataclass
class Stores:
    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    journal: JournalRepository
    tool_calls: ToolCallRepository
    live: LiveQueries
    clock: FakeClock
    ids: FakeIds

    async def conversation(self) -> Conversation:
        return await self.conversations.create(NewConversation(title="Fjords"))

    async def begin(
        self, conversation: Conversation, *, lease_id: LeaseId | None = LEASE
    ) -> Message:
        branch = await self.messages.list(conversation.id)
        answer = Message(
            id=MessageId(self.ids.new()),
            conversation_id=conversation.id,
            parent_id=branch[-1].id if branch else None,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=self.clock.now(),
            model="scripted:parrot",
        )
        turn = NewTurn(
            id=TurnId(self.ids.new()),
            conversation_id=conversation.id,
            after=answer.parent_id,
            prompt=None,
            answer=answer,
            request=TurnRequest(model="scripted:parrot"),
            lease_id=lease_id,
        )
        await self.turns.begin(turn)
        self.clock.advance(1)
        return answer

    async def call(self, answer: Message, place: int = 0) -> ToolCall:
        return await self.tool_calls.add(
            NewToolCall(
                conversation_id=answer.conversation_id,
                message_id=answer.id,
                place=place,
                call_id=ToolCallId("call_1"),
                server="files",
                tool="read",
                tool_hash="a1",
                arguments="{}",
            )
        )

    async def status_of(self, answer: Message) -> MessageStatus:
        stored = await self.messages.get(answer.id)
        assert stored is not None
        return stored.status


@pytest.fixture
def stores(kept: Kept) -> Stores:
    return stores_of(*kept)


def stores_of(of: Database | MemoryStores, clock: FakeClock, ids: FakeIds) -> Stores:
    return Stores(
        of.conversations,
        of.messages,
        of.turns,
        of.journal,
        of.tool_calls,
        of.live,
        clock,
        ids,
    )


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(10):
        yield


def endings(answer: Message) -> tuple[Message, ...]:
    return (
        answer.stopped((), None),
        answer.interrupted((), None),
        answer.failed((), failure=FailureRecord(kind="x", message="X."), usage=None),
        answer.completed(
            (), stop_reason=StopReason.TOOL_CALLS, usage=None, replay=None
        ),
    )


@pytest.mark.requirement("turn:end:ends-its-calls")
@pytest.mark.parametrize("which", range(4))
async def test_what_is_not_over_ends_with_its_turn(stores: Stores, which: int) -> None:
    answer = await stores.begin(await stores.conversation())
    other = await stores.call(await stores.begin(await stores.conversation()))
    waiting, approved, running, denied = [
        await stores.call(answer, place) for place in range(4)
    ]
    for call, decision in (
        (approved, Decision.ALLOW),
        (running, Decision.ALLOW),
        (denied, Decision.DENY),
    ):
        await stores.tool_calls.decide(call.id, decision)
    await stores.tool_calls.start(running.id)
    stores.clock.advance(1)

    await stores.turns.settle(endings(answer)[which])

    calls = await stores.tool_calls.list(answer.id)
    now = stores.clock.now()
    assert [(call.status, call.outcome) for call in calls] == [
        (ToolCallStatus.FAILED, NOT_RUN),
        (ToolCallStatus.FAILED, NOT_RUN),
        (ToolCallStatus.UNKNOWN, PERHAPS_RUN),
        (ToolCallStatus.DENIED, None),
    ]
    assert [call.ended_at == now for call in calls] == [True, True, True, False]
    assert await stores.tool_calls.get(other.id) == other
    assert not await stores.tool_calls.decide(waiting.id, Decision.ALLOW)


async def test_whoever_watches_what_waits_sees_it_end_with_its_turn(
    stores: Stores,
) -> None:
    answer = await stores.begin(await stores.conversation())
    call = await stores.call(answer)

    async with aclosing(stores.live.watch(ListWaitingCalls())) as watched:
        before = await anext(watched)
        await stores.turns.settle(answer.stopped((), None))
        after = await anext(watched)

    assert (before, after) == ((call,), ())


async def test_whoever_waits_for_a_decision_hears_that_the_turn_has_ended(
    stores: Stores,
) -> None:
    answer = await stores.begin(await stores.conversation())
    call = await stores.call(answer)
    heard: list[ToolCall] = []
    calls = ToolCalls(stores.tool_calls, stores.live)

    async def wait() -> None:
        heard.append(await calls.await_decision(call.id))

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await stores.turns.settle(answer.stopped((), None))

    assert [(call.status, call.outcome) for call in heard] == [
        (ToolCallStatus.FAILED, NOT_RUN)
    ]


@pytest.mark.requirement("database:delete:stops-turns")
async def test_whatever_is_asked_in_a_conversation_is_stopped_when_it_is_deleted(
    stores: Stores,
) -> None:
    conversation, other = await stores.conversation(), await stores.conversation()
    running = await stores.begin(conversation)
    queued = [await stores.begin(conversation, lease_id=None) for _ in range(2)]
    elsewhere = await stores.begin(other, lease_id=None)
    call = await stores.call(queued[0])

    deleted = await stores.conversations.change(
        conversation.id, ConversationChange(deleted_at=stores.clock.now())
    )

    first, second = await stores.turns.list_open()
    assert await stores.conversations.get(conversation.id) == deleted
    assert (first.answer_id, first.is_stop_requested) == (running.id, True)
    assert (second.answer_id, second.is_stop_requested) == (elsewhere.id, False)
    assert second.status is TurnStatus.QUEUED
    for answer in queued:
        stored = await stores.messages.get(answer.id)
        assert stored == answer.stopped((), None)
    ended = await stores.tool_calls.get(call.id)
    assert ended is not None
    assert ended.status is ToolCallStatus.FAILED


async def test_nothing_of_a_deleted_conversation_is_claimed_even_when_it_is_back(
    stores: Stores,
) -> None:
    conversation = await stores.conversation()
    answer = await stores.begin(conversation, lease_id=None)
    await stores.conversations.change(
        conversation.id, ConversationChange(deleted_at=stores.clock.now())
    )

    while_deleted = await stores.turns.claim(LEASE)
    await stores.conversations.change(
        conversation.id, ConversationChange(deleted_at=None)
    )

    assert while_deleted is None
    assert await stores.turns.claim(LEASE) is None
    assert await stores.status_of(answer) is MessageStatus.STOPPED


async def test_what_is_said_after_the_end_is_not_read(stores: Stores) -> None:
    answer = await stores.begin(await stores.conversation())
    ended = answer.stopped((TextPart(text="Ice"),), None)
    await stores.turns.settle(ended)
    await stores.journal.append({answer.id: [TextDelta("text", "Late")]})

    was_settled = await stores.turns.settle(answer.interrupted((), None))

    assert not was_settled
    assert await stores.messages.get(answer.id) == ended
    assert await stores.journal.read(answer.id) == ()
