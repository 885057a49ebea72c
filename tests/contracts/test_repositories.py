"""One suite for the repositories in memory and on SQLite."""

from dataclasses import dataclass

import pytest
from msgspec import structs

from tests.contracts.conftest import Kept
from tina.database import Database
from tina.domain.chat import ChatOptions, StopReason, Usage
from tina.domain.conversations import (
    FORK,
    Conversation,
    ConversationChange,
    NewConversation,
    Origin,
    Shelf,
)
from tina.domain.events import BlockKind, BlockStart, TextDelta
from tina.domain.failures import FailureRecord, NotFoundFailure, TipMovedFailure
from tina.domain.ids import (
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
    JournalRepository,
    MessageRepository,
    TurnRepository,
)
from tina.domain.queries import ListConversations
from tina.domain.turns import NewTurn, TurnRequest, TurnStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio


LEASE = LeaseId("f" * 32)
REQUEST = TurnRequest(
    model="openai:gpt", options=ChatOptions(temperature=0.5, stop=("END",))
)
NOBODY = ConversationId("0" * 32)


@dataclass
class Stores:
    conversations: ConversationRepository
    messages: MessageRepository
    turns: TurnRepository
    journal: JournalRepository
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
        self,
        conversation: Conversation,
        prompt: str | None = "Why?",
        *,
        lease_id: LeaseId | None = LEASE,
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
            request=REQUEST,
            lease_id=lease_id,
        )
        await self.turns.begin(turn)
        return asked, answer


@pytest.fixture
def stores(kept: Kept) -> Stores:
    return stores_of(*kept)


def stores_of(
    database: Database | MemoryStores, clock: FakeClock, ids: FakeIds
) -> Stores:
    return Stores(
        database.conversations,
        database.messages,
        database.turns,
        database.journal,
        clock,
        ids,
    )


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
    assert await stores.journal.read(MessageId("0" * 32)) == ()


async def test_conversations_are_listed_newest_first(stores: Stores) -> None:
    first, second, third = [
        await stores.conversation(title) for title in ("one", "two", "three")
    ]
    await stores.begin(first)

    listed = await stores.conversations.list(ListConversations(limit=2))
    everything = await stores.conversations.list(ListConversations(limit=None))

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
    assert await stores.turns.list_open() == ()


async def test_the_journal_keeps_what_was_said_in_order(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    _, other = await stores.begin(conversation)

    await stores.journal.append(
        {answer.id: [BlockStart("text", BlockKind.TEXT), TextDelta("text", "Ice")]}
    )
    await stores.journal.append(
        {other.id: [TextDelta("text", "!")], answer.id: [TextDelta("text", " age")]}
    )

    assert await stores.journal.read(answer.id) == (
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "Ice"),
        TextDelta("text", " age"),
    )
    assert await stores.journal.read(other.id) == (TextDelta("text", "!"),)


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
    await stores.journal.append({first.id: [delta], second.id: [delta]})

    await stores.turns.settle(first.stopped((TextPart(text="Ice"),), None))

    open_turns = await stores.turns.list_open()
    assert [(turn.answer_id, turn.lease_id) for turn in open_turns] == [
        (second.id, LEASE)
    ]
    assert await stores.journal.read(second.id) == (delta,)


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
        request=REQUEST,
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
        request=REQUEST,
        lease_id=LEASE,
    )

    with pytest.raises(TipMovedFailure):
        await stores.turns.begin(turn)

    assert await stores.messages.list(conversation.id) == before
    assert await stores.messages.get(late.id) is None
    assert len(await stores.turns.list_open()) == 1


async def test_open_turns_are_listed_oldest_first(stores: Stores) -> None:
    conversation = await stores.conversation()
    answers = [(await stores.begin(conversation))[1] for _ in range(3)]
    await stores.journal.append({answers[0].id: [TextDelta("text", "x")]})
    await stores.turns.settle(answers[1].stopped((), None))

    open_turns = await stores.turns.list_open()

    assert [turn.answer_id for turn in open_turns] == [answers[0].id, answers[2].id]


async def test_a_turn_without_a_lease_waits_to_be_claimed(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation, lease_id=None)

    (queued,) = await stores.turns.list_open()
    claimed = await stores.turns.claim(LEASE)

    assert (queued.status, queued.lease_id) == (TurnStatus.QUEUED, None)
    assert claimed is not None
    assert (claimed.answer_id, claimed.request) == (answer.id, REQUEST)
    assert (claimed.status, claimed.lease_id) == (TurnStatus.RUNNING, LEASE)
    assert await stores.turns.claim(LEASE) is None


async def test_turns_are_claimed_in_order_and_one_by_one_in_a_conversation(
    stores: Stores,
) -> None:
    one, two = await stores.conversation(), await stores.conversation()
    answers = [
        (await stores.begin(conversation, lease_id=None))[1].id
        for conversation in (one, one, two)
    ]

    claimed = [await stores.turns.claim(LEASE) for _ in range(3)]
    first = await stores.messages.get(answers[0])
    assert first is not None
    await stores.turns.settle(first.stopped((), None))
    after = await stores.turns.claim(LEASE)

    assert [turn and turn.answer_id for turn in claimed] == [
        answers[0],
        answers[2],
        None,
    ]
    assert after is not None
    assert after.answer_id == answers[1]


async def test_a_running_turn_is_asked_to_stop(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)

    was_asked = await stores.turns.request_stop(answer.id)

    (turn,) = await stores.turns.list_open()
    assert was_asked
    assert turn.is_stop_requested
    assert await stores.messages.get(answer.id) == answer


async def test_a_queued_turn_that_is_stopped_is_never_claimed(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation, lease_id=None)

    was_asked = await stores.turns.request_stop(answer.id)

    stopped = await stores.messages.get(answer.id)
    assert was_asked
    assert stopped == answer.stopped((), None)
    assert await stores.turns.claim(LEASE) is None
    assert await stores.turns.list_open() == ()


async def test_what_has_ended_cannot_be_stopped(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    await stores.turns.settle(answer.interrupted((), None))

    assert not await stores.turns.request_stop(answer.id)
    assert not await stores.turns.request_stop(MessageId("0" * 32))


async def test_a_fold_takes_the_place_of_what_was_said_before(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    for word in ("Ice", " age", "s"):
        await stores.journal.append({answer.id: [TextDelta("text", word)]})

    await stores.journal.fold(answer.id, [TextDelta("text", "Ice ages")])
    await stores.journal.append({answer.id: [TextDelta("text", ".")]})

    assert await stores.journal.read(answer.id) == (
        TextDelta("text", "Ice ages"),
        TextDelta("text", "."),
    )


async def test_a_settled_answer_is_not_folded_any_more(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    settled = answer.stopped((TextPart(text="Ice"),), None)
    await stores.turns.settle(settled)

    await stores.journal.fold(answer.id, [TextDelta("text", "Late")])

    assert await stores.messages.get(answer.id) == settled
    assert await stores.turns.list_open() == ()


async def test_a_change_changes_what_is_named_and_nothing_else(stores: Stores) -> None:
    conversation = await stores.conversation()
    deleted_at = stores.clock.now()

    renamed = await stores.conversations.change(
        conversation.id, ConversationChange(title="Ice", metadata={"color": "blue"})
    )
    changed = await stores.conversations.change(
        conversation.id,
        ConversationChange(
            is_pinned=True, is_archived=True, deleted_at=deleted_at, model="a:b"
        ),
    )

    assert renamed == structs.replace(
        conversation, title="Ice", metadata={"color": "blue"}
    )
    assert changed == structs.replace(
        renamed, is_pinned=True, is_archived=True, deleted_at=deleted_at, model="a:b"
    )
    assert await stores.conversations.get(conversation.id) == changed


async def test_a_change_can_be_taken_back(stores: Stores) -> None:
    conversation = await stores.conversation()
    change = ConversationChange(
        deleted_at=stores.clock.now(), system="Be brief.", metadata={"a": "b"}
    )
    await stores.conversations.change(conversation.id, change)

    back = await stores.conversations.change(
        conversation.id,
        ConversationChange(deleted_at=None, system=None, metadata=None),
    )

    assert back == conversation


async def test_what_does_not_exist_cannot_be_changed(stores: Stores) -> None:
    one, two = await stores.conversation(), await stores.conversation()
    _, answer = await stores.begin(two)

    for conversation_id, change in (
        (NOBODY, ConversationChange(title="x")),
        (one.id, ConversationChange(branch=MessageId("0" * 32))),
        (one.id, ConversationChange(branch=answer.id)),
    ):
        with pytest.raises(NotFoundFailure):
            await stores.conversations.change(conversation_id, change)

    assert await stores.conversations.get(one.id) == one


async def test_nothing_begins_in_a_deleted_conversation(stores: Stores) -> None:
    conversation = await stores.conversation()
    await stores.conversations.change(
        conversation.id, ConversationChange(deleted_at=stores.clock.now())
    )

    with pytest.raises(NotFoundFailure):
        await stores.begin(conversation)


async def test_each_conversation_stands_on_one_shelf(stores: Stores) -> None:
    active, archived, deleted, both = [
        await stores.conversation(title) for title in ("a", "b", "c", "d")
    ]
    now = stores.clock.now()
    for conversation, change in (
        (archived, ConversationChange(is_archived=True)),
        (deleted, ConversationChange(deleted_at=now)),
        (both, ConversationChange(is_archived=True, deleted_at=now)),
    ):
        await stores.conversations.change(conversation.id, change)

    shelves = {
        shelf: [
            row.id
            for row in await stores.conversations.list(ListConversations(shelf=shelf))
        ]
        for shelf in Shelf
    }

    assert shelves == {
        Shelf.ACTIVE: [active.id],
        Shelf.ARCHIVED: [archived.id],
        Shelf.DELETED: [both.id, deleted.id],
    }


async def test_pages_join_without_gap_or_double(stores: Stores) -> None:
    made = [await stores.conversation(f"number {number}") for number in range(7)]
    for pinned in (made[1], made[4]):
        await stores.conversations.change(pinned.id, ConversationChange(is_pinned=True))

    pages: list[list[str]] = []
    after = None
    while True:
        page = await stores.conversations.list(ListConversations(limit=3, after=after))
        if not page:
            break
        pages.append([row.title for row in page])
        after = page[-1].mark

    assert pages == [
        ["number 4", "number 1", "number 6"],
        ["number 5", "number 3", "number 2"],
        ["number 0"],
    ]


async def test_versions_of_a_message_are_siblings(stores: Stores) -> None:
    conversation = await stores.conversation()
    asked, answer = await stores.begin(conversation)
    assert asked is not None
    other = stores.message(conversation, None, "Why not?")
    other_answer = stores.message(conversation, other.id, "")
    await stores.turns.begin(
        NewTurn(
            id=TurnId(stores.ids.new()),
            conversation_id=conversation.id,
            after=answer.id,
            prompt=other,
            answer=other_answer,
            request=REQUEST,
            lease_id=LEASE,
        )
    )

    assert await stores.messages.list(conversation.id) == (other, other_answer)
    assert await stores.messages.list_siblings(other.id) == (asked, other)
    assert await stores.messages.list_branch(answer.id) == (asked, answer)


async def test_any_message_of_a_branch_makes_it_the_active_one(
    stores: Stores,
) -> None:
    conversation = await stores.conversation()
    old = [*await stores.begin(conversation), *await stores.begin(conversation)]
    tip = old[-1]
    assert tip is not None
    other = stores.message(conversation, None, "Why not?")
    await stores.turns.begin(
        NewTurn(
            id=TurnId(stores.ids.new()),
            conversation_id=conversation.id,
            after=tip.id,
            prompt=other,
            answer=stores.message(conversation, other.id, ""),
            request=REQUEST,
            lease_id=LEASE,
        )
    )

    for message in old:
        assert message is not None
        await stores.conversations.change(
            conversation.id, ConversationChange(branch=other.id)
        )
        changed = await stores.conversations.change(
            conversation.id, ConversationChange(branch=message.id)
        )

        assert (changed.tip, changed.message_count) == (tip.id, 6)
        assert await stores.conversations.get(conversation.id) == changed
        assert await stores.messages.list(conversation.id) == tuple(old)


async def test_messages_that_do_not_exist_have_no_relatives(stores: Stores) -> None:
    nobody = MessageId("0" * 32)

    assert await stores.messages.list_branch(nobody) == ()
    assert await stores.messages.list_siblings(nobody) == ()


async def test_a_fork_is_a_copy_that_leaves_the_old_one_alone(stores: Stores) -> None:
    conversation = await stores.conversation()
    asked, answer = await stores.begin(conversation)
    settled = answer.completed(
        (TextPart(text="Because of ice."),),
        stop_reason=StopReason.STOP,
        usage=Usage(output_tokens=4),
        replay=None,
    )
    await stores.turns.settle(settled)
    await stores.begin(conversation, "And then?")
    before = await stores.messages.list(conversation.id)
    origin = Origin(source=FORK, source_id=settled.id)

    forked = await stores.conversations.fork(
        settled.id, NewConversation(title="Fork", origin=origin)
    )

    copies = await stores.messages.list(forked.id)
    assert asked is not None
    assert [copy.parts for copy in copies] == [asked.parts, settled.parts]
    assert copies[1].usage == settled.usage
    assert copies[1].parent_id == copies[0].id
    assert {copy.id for copy in copies}.isdisjoint({asked.id, settled.id})
    assert (forked.tip, forked.message_count) == (copies[1].id, 2)
    assert (forked.preview, forked.origin) == ("Because of ice.", origin)
    assert await stores.conversations.get(forked.id) == forked
    assert await stores.messages.list(conversation.id) == before


async def test_the_copy_of_a_running_answer_does_not_stream_for_ever(
    stores: Stores,
) -> None:
    conversation = await stores.conversation()
    _, running = await stores.begin(conversation)
    asked, _ = await stores.begin(conversation, "And then?")
    assert asked is not None

    forked = await stores.conversations.fork(asked.id, NewConversation())

    copies = await stores.messages.list(forked.id)
    assert [copy.status for copy in copies] == [
        MessageStatus.COMPLETE,
        MessageStatus.INTERRUPTED,
        MessageStatus.COMPLETE,
    ]
    assert await stores.messages.get(running.id) == running


async def test_nothing_is_read_from_the_journal_of_a_settled_answer(
    stores: Stores,
) -> None:
    """An older turn that still runs keeps the rows in the table."""
    conversation = await stores.conversation()
    await stores.begin(conversation)
    _, answer = await stores.begin(conversation)
    delta = TextDelta("text", "Ice")
    await stores.journal.append({answer.id: [delta]})

    await stores.turns.settle(answer.stopped((), None))
    await stores.journal.append({answer.id: [delta]})

    assert await stores.journal.read(answer.id) == ()


async def test_an_empty_text_is_a_part(stores: Stores) -> None:
    conversation = await stores.conversation()
    _, answer = await stores.begin(conversation)
    stopped = answer.stopped((TextPart(text=""),), None)

    await stores.turns.settle(stopped)

    assert await stores.messages.get(answer.id) == stopped


async def test_a_message_that_does_not_exist_cannot_be_forked(stores: Stores) -> None:
    with pytest.raises(NotFoundFailure):
        await stores.conversations.fork(MessageId("0" * 32), NewConversation())

    assert await stores.conversations.list(ListConversations()) == ()
