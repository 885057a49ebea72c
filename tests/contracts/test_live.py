"""One suite for live queries in memory and on SQLite."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

import anyio
import pytest

from tests.contracts.conftest import Kept
from tina.database import Database
from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
    Shelf,
)
from tina.domain.events import StreamEvent, TextDelta
from tina.domain.ids import ConversationId, LeaseId, MessageId, ToolCallId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import (
    ConversationRepository,
    JournalRepository,
    LiveQueries,
    ToolCallRepository,
    TurnRepository,
)
from tina.domain.queries import (
    ListConversations,
    ListOpenTurns,
    ListWaitingCalls,
    Query,
    ReadConversation,
    ReadMessage,
)
from tina.domain.tools import Decision, NewToolCall
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio

LEASE = LeaseId("f" * 32)
T = TypeVar("T")


@dataclass
class Stores:
    conversations: ConversationRepository
    turns: TurnRepository
    journal: JournalRepository
    tool_calls: ToolCallRepository
    live: LiveQueries
    clock: FakeClock
    ids: FakeIds

    async def conversation(self, title: str = "Fjords") -> Conversation:
        self.clock.advance(1)
        return await self.conversations.create(NewConversation(title=title))

    async def begin(self, conversation: Conversation) -> Message:
        self.clock.advance(1)
        answer = Message(
            id=MessageId(self.ids.new()),
            conversation_id=conversation.id,
            parent_id=None,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=self.clock.now(),
        )
        turn = NewTurn(
            id=TurnId(self.ids.new()),
            conversation_id=conversation.id,
            after=None,
            prompt=None,
            answer=answer,
            request=TurnRequest(model="scripted:parrot"),
            lease_id=LEASE,
        )
        await self.turns.begin(turn)
        return answer


@pytest.fixture
def stores(kept: Kept) -> Stores:
    return stores_of(*kept)


def stores_of(
    stores: Database | MemoryStores, clock: FakeClock, ids: FakeIds
) -> Stores:
    return Stores(
        stores.conversations,
        stores.turns,
        stores.journal,
        stores.tool_calls,
        stores.live,
        clock,
        ids,
    )


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(10):
        yield


async def is_silent(watched: AsyncGenerator[T], stores: Stores) -> bool:
    """Whether nothing new comes; the generator cannot be used afterwards."""
    came: list[T] = []

    async def listen() -> None:
        came.append(await anext(watched))

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        for _ in range(20):  # as many readings as it could have taken
            await stores.conversations.get(ConversationId("0" * 32))
            await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    return not came


@pytest.mark.requirement("live:watch:answers-again")
async def test_a_list_answers_at_once_and_again_when_it_changes(
    stores: Stores,
) -> None:
    first = await stores.conversation("one")

    async with aclosing(stores.live.watch(ListConversations())) as lists:
        before = await anext(lists)
        second = await stores.conversation("two")
        after = await anext(lists)
        await stores.conversations.change(
            second.id, ConversationChange(is_archived=True)
        )
        archived = await anext(lists)

    assert before == (first,)
    assert after == (second, first)
    assert archived == (first,)


async def test_a_conversation_is_watched_with_its_messages(stores: Stores) -> None:
    conversation = await stores.conversation()
    query = ReadConversation(conversation_id=conversation.id)

    async with aclosing(stores.live.watch(query)) as views:
        empty = await anext(views)
        answer = await stores.begin(conversation)
        begun = await anext(views)
        settled = answer.stopped((TextPart(text="Ice."),), None)
        await stores.turns.settle(settled)
        ended = await anext(views)

    assert empty is not None
    assert empty.messages == ()
    assert begun is not None
    assert begun.messages == (answer,)
    assert ended is not None
    assert ended.messages == (settled,)
    assert ended.conversation.preview == "Ice."


async def test_what_does_not_exist_yet_can_be_watched(stores: Stores) -> None:
    query = ReadConversation(conversation_id=ConversationId("0" * 32))

    async with aclosing(stores.live.watch(query)) as views:
        assert await anext(views) is None


async def test_a_message_and_open_turns_are_watched(stores: Stores) -> None:
    conversation = await stores.conversation()
    answer = await stores.begin(conversation)
    message = ReadMessage(message_id=answer.id, conversation_id=conversation.id)

    async with (
        aclosing(stores.live.watch(message)) as messages,
        aclosing(stores.live.watch(ListOpenTurns())) as turns,
    ):
        before = await anext(messages), await anext(turns)
        await stores.turns.request_stop(answer.id)
        asked = await anext(turns)
        settled = answer.stopped((), None)
        await stores.turns.settle(settled)
        after = await anext(messages), await anext(turns)

    assert before[0] == answer
    assert [turn.is_stop_requested for turn in before[1]] == [False]
    assert [turn.is_stop_requested for turn in asked] == [True]
    assert after == (settled, ())


async def test_a_tool_call_waits_in_a_live_list(stores: Stores) -> None:
    conversation = await stores.conversation()
    answer = await stores.begin(conversation)

    async with aclosing(stores.live.watch(ListWaitingCalls())) as waiting:
        nothing = await anext(waiting)
        call = await stores.tool_calls.add(
            NewToolCall(
                conversation_id=conversation.id,
                message_id=answer.id,
                place=0,
                call_id=ToolCallId("c1"),
                server="files",
                tool="read",
                tool_hash="h",
                arguments="{}",
            )
        )
        asked = await anext(waiting)
        await stores.tool_calls.decide(call.id, Decision.ALLOW)
        decided = await anext(waiting)

    assert (nothing, asked, decided) == ((), (call,), ())


@pytest.mark.requirement("live:watch:skips-equal")
async def test_an_equal_answer_is_not_given_again(stores: Stores) -> None:
    conversation = await stores.conversation()

    async with aclosing(stores.live.watch(ListConversations())) as lists:
        await anext(lists)
        await stores.conversations.change(
            conversation.id, ConversationChange(title=conversation.title)
        )

        assert await is_silent(lists, stores)


@pytest.mark.requirement("live:watch:newest-wins")
async def test_who_is_slow_gets_the_newest_and_nothing_queues(stores: Stores) -> None:
    async with aclosing(stores.live.watch(ListConversations())) as lists:
        await anext(lists)
        created = [await stores.conversation(str(number)) for number in range(20)]
        newest = await anext(lists)

        assert newest == tuple(reversed(created))
        assert await is_silent(lists, stores)


async def test_bursts_are_gathered_where_that_is_wanted(stores: Stores) -> None:
    watched = stores.live.watch(ListConversations(), min_interval_s=0.5)

    async with aclosing(watched) as lists:
        await anext(lists)
        await stores.conversation()
        await anext(lists)

    assert stores.clock.slept == [0.5]


async def test_several_queries_are_answered_of_one_moment(stores: Stores) -> None:
    queries = (
        ListConversations(),
        ListConversations(shelf=Shelf.ARCHIVED),
        ListOpenTurns(),
    )
    conversation = await stores.conversation()

    async with aclosing(stores.live.watch_many(queries)) as answers:
        before = await anext(answers)
        archived = await stores.conversations.change(
            conversation.id, ConversationChange(is_archived=True)
        )
        after = await anext(answers)

    assert before == ((conversation,), (), ())
    assert after == ((), (archived,), ())


async def test_a_query_that_nobody_wrote_down_is_refused(stores: Stores) -> None:
    class Unknown(Query[int], frozen=True):
        pass

    with pytest.raises(TypeError, match="Unknown"):
        await anext(stores.live.watch(Unknown()))


@pytest.mark.requirement("live:follow:growth")
async def test_an_answer_is_followed_until_it_is_settled(stores: Stores) -> None:
    conversation = await stores.conversation()
    answer = await stores.begin(conversation)
    await stores.journal.append({answer.id: [TextDelta("text", "Once ")]})
    said: list[StreamEvent] = []

    async with aclosing(stores.live.follow(answer.id)) as pieces:
        async for piece in pieces:
            said = [*([] if piece.is_fold else said), *piece.events]
            match len(said):
                case 1:
                    delta = TextDelta("text", "upon ")
                    await stores.journal.append({answer.id: [delta]})
                case 2:
                    fold = [TextDelta("text", "Once upon ")] * 3
                    await stores.journal.fold(answer.id, fold)
                    delta = TextDelta("text", "a time")
                    await stores.journal.append({answer.id: [delta]})
                case _:
                    await stores.turns.settle(answer.stopped((), None))

    assert said == [
        *[TextDelta("text", "Once upon ")] * 3,
        TextDelta("text", "a time"),
    ]


async def test_what_is_settled_or_nowhere_is_not_followed(stores: Stores) -> None:
    conversation = await stores.conversation()
    answer = await stores.begin(conversation)
    await stores.turns.settle(answer.stopped((), None))

    for message_id in (answer.id, MessageId("0" * 32)):
        async with aclosing(stores.live.follow(message_id)) as pieces:
            events = [event async for piece in pieces for event in piece.events]
            assert events == []
