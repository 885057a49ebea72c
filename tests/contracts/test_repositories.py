"""One suite for the repositories in memory and on SQLite."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec import structs

from tina.database import Database
from tina.domain.chat import StopReason, Usage
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import BlockKind, BlockStart, TextDelta
from tina.domain.failures import FailureRecord, NotFoundFailure, TipMovedFailure
from tina.domain.ids import (
    LAPTOP_OWNER,
    ConversationId,
    LeaseId,
    MessageId,
    ToolCallId,
    TurnId,
)
from tina.domain.messages import (
    ImagePart,
    Message,
    MessageStatus,
    ReasoningPart,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
)
from tina.domain.ports import (
    ConversationRepository,
    MessageRepository,
    TurnRepository,
)
from tina.domain.turns import NewTurn
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryConversations, MemoryMessages, MemoryTurns

pytestmark = pytest.mark.anyio


@dataclass
class Stores:
    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    clock: FakeClock
    ids: FakeIds

    def message_id(self) -> MessageId:
        return MessageId(self.ids.new())

    async def conversation(self, title: str = "Fjords") -> Conversation:
        self.clock.advance(1)
        return await self.conversations.create(NewConversation(title=title))

    def message(
        self, conversation: Conversation, parent_id: MessageId | None, text: str
    ) -> Message:
        self.clock.advance(1)
        return Message(
            id=self.message_id(),
            conversation_id=conversation.id,
            parent_id=parent_id,
            role=Role.USER if text else Role.ASSISTANT,
            status=MessageStatus.COMPLETE if text else MessageStatus.STREAMING,
            parts=(TextPart(text=text),) if text else (),
            created_at=self.clock.now(),
        )

    async def begin(
        self, conversation: Conversation, prompt: str | None = "Why?"
    ) -> tuple[Message | None, Message]:
        branch = await self.messages.list(conversation.id)
        after = parent_id = branch[-1].id if branch else None
        asked = None
        if prompt is not None:
            asked = self.message(conversation, parent_id, prompt)
            parent_id = asked.id
        answer = self.message(conversation, parent_id, "")
        turn = NewTurn(
            id=TurnId(self.ids.new()),
            conversation_id=conversation.id,
            after=after,
            prompt=asked,
            answer=answer,
            lease_id=LEASE,
        )
        await self.turns.begin(turn)
        return asked, answer


LEASE = LeaseId("f" * 32)
NOBODY = ConversationId("0" * 32)


@pytest.fixture(params=["memory", "sqlite"])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Stores]:
    clock, ids = FakeClock(), FakeIds()
    if request.param == "memory":
        conversations = MemoryConversations(clock=clock, ids=ids)
        messages = MemoryMessages(conversations)
        yield Stores(
            conversations, messages, MemoryTurns(conversations, messages), clock, ids
        )
        return
    database = Database(tmp_path / "tina.db", leases=tmp_path, clock=clock, ids=ids)
    await database.open()
    yield Stores(database.conversations, database.messages, database.turns, clock, ids)
    await database.close()


async def test_a_created_conversation_is_read_back(stores: Stores) -> None:
    new = NewConversation(title="Fjords", model="local:smollm2", system="Be brief.")

    created = await stores.conversations.create(new)

    assert await stores.conversations.get(created.id) == created
    assert (created.title, created.model, created.system) == (
        "Fjords",
        "local:smollm2",
        "Be brief.",
    )
    assert (created.tip, created.message_count, created.preview) == (None, 0, "")


async def test_what_does_not_exist_is_none(stores: Stores) -> None:
    assert await stores.conversations.get(NOBODY) is None
    assert await stores.messages.get(MessageId("0" * 32)) is None
    assert await stores.messages.list(NOBODY) == ()
    assert await stores.turns.read_journal(MessageId("0" * 32)) == ()


async def test_conversations_are_listed_newest_first(stores: Stores) -> None:
    first, second, third = [
        await stores.conversation(title) for title in ("one", "two", "three")
    ]
    await stores.begin(first)

    listed = await stores.conversations.list(limit=2, owner_id=LAPTOP_OWNER)
    everything = await stores.conversations.list(limit=None, owner_id=LAPTOP_OWNER)

    assert [row.id for row in listed] == [first.id, third.id]
    assert [row.id for row in everything] == [first.id, third.id, second.id]


async def test_conversations_are_found_by_how_their_id_begins(stores: Stores) -> None:
    first = await stores.conversation()
    await stores.conversation()
    await stores.conversation()

    assert await stores.conversations.find(prefix=first.id[:20]) == (first,)
    assert len(await stores.conversations.find(prefix="0000")) == 2
    assert await stores.conversations.find(prefix="ffff") == ()


async def test_a_turn_begins_with_prompt_and_empty_answer(stores: Stores) -> None:
    conversation = await stores.conversation()

    asked, answer = await stores.begin(conversation, "Why  are\nfjords deep?")

    assert await stores.messages.list(conversation.id) == (asked, answer)
    assert await stores.messages.get(answer.id) == answer
    stored = await stores.conversations.get(conversation.id)
    assert stored is not None
    assert (stored.tip, stored.message_count) == (answer.id, 2)
    assert stored.preview == "Why are fjords deep?"
    assert stored.last_message_at == answer.created_at


async def test_a_turn_in_no_conversation_stores_nothing(stores: Stores) -> None:
    nowhere = structs.replace(await stores.conversation(), id=NOBODY)

    with pytest.raises(NotFoundFailure):
        await stores.begin(nowhere)

    assert await stores.messages.list(NOBODY) == ()
    assert await stores.turns.list_unsettled() == ()


async def test_the_journal_keeps_what_was_said_in_order(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    _, other = await stores.begin(conversation)

    await stores.turns.append(
        {answer.id: [BlockStart("text", BlockKind.TEXT), TextDelta("text", "Ice")]}
    )
    await stores.turns.append(
        {other.id: [TextDelta("text", "!")], answer.id: [TextDelta("text", " age")]}
    )

    assert await stores.turns.read_journal(answer.id) == (
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "Ice"),
        TextDelta("text", " age"),
    )
    assert await stores.turns.read_journal(other.id) == (TextDelta("text", "!"),)


async def test_a_settled_answer_is_read_back_whole(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    parts = (
        ReasoningPart(text="hm"),
        TextPart(text="Because of ice."),
        ToolCallPart(call_id=ToolCallId("c1"), tool="look", arguments="{"),
        ImagePart(media_type="image/png", data=b"\x89PNG"),
    )
    settled = answer.completed(
        parts,
        stop_reason=StopReason.STOP,
        usage=Usage(input_tokens=3, output_tokens=5),
        replay=Replay(provider="openai", payload='{"role":"assistant"}'),
    )

    was_settled = await stores.turns.settle(settled)

    assert was_settled
    assert await stores.messages.get(answer.id) == settled
    stored = await stores.conversations.get(conversation.id)
    assert stored is not None
    assert stored.preview == "Because of ice."


async def test_a_failed_answer_keeps_its_failure(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    failure = FailureRecord(
        kind="rate_limit", message="Slow down.", retryable=True, retry_after_s=2.5
    )
    failed = answer.failed((TextPart(text="Ic"),), failure=failure, usage=None)

    await stores.turns.settle(failed)

    assert await stores.messages.get(answer.id) == failed


async def test_an_answer_is_settled_once(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    first = answer.stopped((TextPart(text="Ice"),), None)

    results = [
        await stores.turns.settle(first),
        await stores.turns.settle(answer.interrupted((), None)),
    ]

    assert results == [True, False]
    assert await stores.messages.get(answer.id) == first


async def test_settling_ends_the_turn_and_clears_its_journal(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, first = await stores.begin(conversation)
    _, second = await stores.begin(conversation)
    delta = TextDelta("text", "Ice")
    await stores.turns.append({first.id: [delta], second.id: [delta]})

    await stores.turns.settle(first.stopped((TextPart(text="Ice"),), None))

    unsettled = await stores.turns.list_unsettled()
    assert [(turn.answer_id, turn.lease_id) for turn in unsettled] == [
        (second.id, LEASE)
    ]
    assert await stores.turns.read_journal(second.id) == (delta,)


async def test_a_late_answer_does_not_change_the_preview(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, first = await stores.begin(conversation)
    await stores.begin(conversation, "Next question")

    await stores.turns.settle(first.stopped((TextPart(text="Late"),), None))

    stored = await stores.conversations.get(conversation.id)
    assert stored is not None
    assert stored.preview == "Next question"


async def test_an_answer_without_a_prompt_is_a_sibling(stores: Stores) -> None:
    conversation = await stores.conversation()
    asked, first = await stores.begin(conversation)
    assert asked is not None
    again = stores.message(conversation, asked.id, "")
    turn = NewTurn(
        id=TurnId(stores.ids.new()),
        conversation_id=conversation.id,
        after=first.id,
        prompt=None,
        answer=again,
        lease_id=LEASE,
    )

    await stores.turns.begin(turn)

    assert await stores.messages.list(conversation.id) == (asked, again)
    assert await stores.messages.get(first.id) == first


async def test_a_turn_begins_only_where_its_asker_looked(stores: Stores) -> None:
    conversation = await stores.conversation()
    await stores.begin(conversation, "First")
    before = await stores.messages.list(conversation.id)
    late = stores.message(conversation, None, "Late")
    turn = NewTurn(
        id=TurnId(stores.ids.new()),
        conversation_id=conversation.id,
        after=None,
        prompt=late,
        answer=stores.message(conversation, late.id, ""),
        lease_id=LEASE,
    )

    with pytest.raises(TipMovedFailure):
        await stores.turns.begin(turn)

    assert await stores.messages.list(conversation.id) == before
    assert await stores.messages.get(late.id) is None
    assert len(await stores.turns.list_unsettled()) == 1


async def test_unsettled_turns_are_listed_oldest_first(stores: Stores) -> None:
    conversation = await stores.conversation()
    answers = [(await stores.begin(conversation))[1] for _ in range(3)]
    await stores.turns.append({answers[0].id: [TextDelta("text", "x")]})
    await stores.turns.settle(answers[1].stopped((), None))

    unsettled = await stores.turns.list_unsettled()

    assert [turn.answer_id for turn in unsettled] == [answers[0].id, answers[2].id]
