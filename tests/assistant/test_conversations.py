"""Conversations as programs and faces use them."""

from contextlib import aclosing
from typing import cast

import anyio
import pytest
from msgspec import structs

from tests.assistant.house import house, ports_of
from tina.assistant import Conversations, Keeper
from tina.assistant.conversations import TITLE_CHARS, title_of
from tina.domain.conversations import (
    FORK,
    Conversation,
    ConversationChange,
    Origin,
    Shelf,
)
from tina.domain.failures import InvalidInputFailure, NotFoundFailure
from tina.domain.ids import ConversationId, LeaseId, MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import ConversationRepository
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio


@pytest.fixture
def conversations() -> Conversations:
    return conversations_on(MemoryStores(clock=FakeClock(), ids=FakeIds()))


def conversations_on(stores: MemoryStores) -> Conversations:
    return Conversations(
        stores.conversations,
        stores.messages,
        live=stores.live,
        keeper=Keeper(ports_of(stores)),
        clock=stores.clock,
    )


async def test_a_new_conversation_is_clean_and_found(
    conversations: Conversations,
) -> None:
    created = await conversations.create(
        "Why\nfjords\0?", model="local:smollm2", system="Be \0brief."
    )

    assert created.title == "Why fjords?"
    assert created.system == "Be brief."
    assert await conversations.get(created.id) == created
    assert await conversations.list() == (created,)
    assert await conversations.messages(created.id) == ()


async def test_an_id_is_found_as_people_paste_it(conversations: Conversations) -> None:
    created = await conversations.create()
    dashed = f"{created.id[:8]}-{created.id[8:]}".upper()

    assert await conversations.find(f" {dashed} ") == created
    assert await conversations.find(created.id[:-1]) == created


@pytest.mark.parametrize("text", ["", "xyz", "zzzz", "Why fjords?", "f" * 32, "a" * 33])
async def test_what_is_no_id_finds_nothing(
    conversations: Conversations, text: str
) -> None:
    await conversations.create()

    assert await conversations.find(text) is None


@pytest.mark.parametrize("chars", [1, 3])
async def test_a_beginning_that_is_too_short_asks_for_more(
    conversations: Conversations, chars: int
) -> None:
    created = await conversations.create()

    with pytest.raises(InvalidInputFailure, match="at least 4 characters"):
        await conversations.find(f" {created.id[:chars]} ")


async def test_an_ambiguous_beginning_asks_for_more(
    conversations: Conversations,
) -> None:
    first = await conversations.create()
    await conversations.create()

    with pytest.raises(InvalidInputFailure, match="type more"):
        await conversations.find(first.id[:4])


async def test_a_beginning_that_fits_nothing_finds_nothing(
    conversations: Conversations,
) -> None:
    await conversations.create()

    assert await conversations.find("ffff") is None
    assert await conversations.get(ConversationId("f" * 32)) is None


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        ("  Why \n fjords? ", "Why fjords?"),
        ("x" * TITLE_CHARS, "x" * TITLE_CHARS),
        ("x" * (TITLE_CHARS + 1), "x" * TITLE_CHARS + "…"),
        ("word " * 40, ("word " * 16).strip() + "…"),
    ],
)
def test_a_title_is_one_line_cut_at_a_word(text: str, title: str) -> None:
    assert title_of(text) == title


class Talk:
    """Conversations, and the stores they lie in, with one answered question."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.stores = MemoryStores(clock=self.clock, ids=FakeIds())
        self.conversations = Conversations(
            self.stores.conversations,
            self.stores.messages,
            live=self.stores.live,
            keeper=Keeper(ports_of(self.stores)),
            clock=self.clock,
        )

    async def ask(
        self, conversation: Conversation, *, status: MessageStatus
    ) -> tuple[Message, Message]:
        prompt = self._message(conversation, conversation.tip, Role.USER, "Why?")
        answer = structs.replace(
            self._message(conversation, prompt.id, Role.ASSISTANT, ""),
            status=MessageStatus.STREAMING,
            parts=(),
        )
        await self.stores.turns.begin(
            NewTurn(
                id=TurnId(self.stores.ids.new()),
                conversation_id=conversation.id,
                after=conversation.tip,
                prompt=prompt,
                answer=answer,
                request=TurnRequest(model="scripted:parrot"),
                lease_id=LeaseId("f" * 32),
            )
        )
        ended = structs.replace(answer, status=status, parts=(TextPart(text="Ice."),))
        if status is not MessageStatus.STREAMING:
            await self.stores.turns.settle(ended)
        return prompt, ended

    def _message(
        self,
        conversation: Conversation,
        parent_id: MessageId | None,
        role: Role,
        text: str,
    ) -> Message:
        return Message(
            id=MessageId(self.stores.ids.new()),
            conversation_id=conversation.id,
            parent_id=parent_id,
            role=role,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text=text),),
            created_at=self.clock.now(),
        )


async def test_what_a_person_does_with_a_conversation_can_be_taken_back() -> None:
    talk = Talk()
    created = await talk.conversations.create("Fjords", metadata={"a\0": "b"})

    renamed = await talk.conversations.rename(created.id, "Ice\nages")
    pinned = await talk.conversations.pin(created.id)
    archived = await talk.conversations.archive(created.id)
    deleted = await talk.conversations.delete(created.id)
    for undo in (
        talk.conversations.undelete(created.id),
        talk.conversations.archive(created.id, is_archived=False),
        talk.conversations.pin(created.id, is_pinned=False),
        talk.conversations.rename(created.id, "Fjords"),
    ):
        await undo

    assert created.metadata == {"a": "b"}
    assert (renamed.title, pinned.is_pinned) == ("Ice ages", True)
    assert (archived.is_archived, deleted.deleted_at) == (True, talk.clock.now())
    assert await talk.conversations.get(created.id) == created


async def test_a_shelf_is_listed_page_by_page() -> None:
    talk = Talk()
    created = [await talk.conversations.create(str(number)) for number in range(3)]
    await talk.conversations.archive(created[1].id)

    first = await talk.conversations.list(limit=1)
    second = await talk.conversations.list(limit=1, after=first[0].mark)
    archived = await talk.conversations.list(shelf=Shelf.ARCHIVED)

    assert [row.title for row in (*first, *second, *archived)] == ["2", "0", "1"]


async def test_the_newest_is_found_whatever_is_pinned() -> None:
    talk = Talk()
    nothing = await talk.conversations.newest()
    old = await talk.conversations.create("Old", metadata={"a": "b"})
    talk.clock.advance(1)
    new = await talk.conversations.create("New", metadata={"a": "b"})

    await talk.conversations.pin(old.id)
    below_a_pinned_one = await talk.conversations.newest()
    pinned = await talk.conversations.pin(new.id)

    assert nothing is None
    assert below_a_pinned_one == new
    assert await talk.conversations.newest() == pinned


async def test_a_list_and_a_conversation_are_watched() -> None:
    talk = Talk()
    created = await talk.conversations.create("Fjords")

    with anyio.fail_after(5):
        async with (
            aclosing(talk.conversations.watch()) as lists,
            aclosing(talk.conversations.watch_one(created.id)) as views,
        ):
            before = await anext(lists), await anext(views)
            prompt, answer = await talk.ask(created, status=MessageStatus.COMPLETE)
            after = await anext(lists), await anext(views)

    assert before[0] == (created,)
    assert before[1] is not None
    assert before[1].messages == ()
    assert after[0][0].preview == "Ice."
    assert after[1] is not None
    assert after[1].messages == (prompt, answer)


async def test_a_branch_is_chosen_by_any_of_its_messages() -> None:
    talk = Talk()
    created = await talk.conversations.create("Fjords")
    prompt, answer = await talk.ask(created, status=MessageStatus.COMPLETE)
    await talk.ask(
        structs.replace(created, tip=answer.id), status=MessageStatus.COMPLETE
    )

    chosen = await talk.conversations.choose(prompt.id)

    last = (await talk.conversations.messages(created.id))[-1]
    assert chosen.tip == last.id
    assert await talk.conversations.siblings(prompt.id) == (prompt,)


async def test_a_question_asked_meanwhile_stays_on_the_branch_that_is_chosen() -> None:
    talk = Talk()
    created = await talk.conversations.create("Fjords")
    _, answer = await talk.ask(created, status=MessageStatus.COMPLETE)
    tip = structs.replace(created, tip=answer.id)
    asked: list[Message] = []

    class AskedMeanwhile:
        """The store, with somebody who asks in the moment before a change."""

        def __getattr__(self, name: str) -> object:
            return getattr(talk.stores.conversations, name)

        async def change(
            self, conversation_id: ConversationId, change: ConversationChange
        ) -> Conversation:
            asked.extend(await talk.ask(tip, status=MessageStatus.COMPLETE))
            return await talk.stores.conversations.change(conversation_id, change)

    conversations = Conversations(
        cast("ConversationRepository", AskedMeanwhile()),
        talk.stores.messages,
        live=talk.stores.live,
        keeper=Keeper(ports_of(talk.stores)),
        clock=talk.clock,
    )

    chosen = await conversations.choose(answer.id)

    assert chosen.tip == asked[-1].id
    assert (await talk.conversations.messages(created.id))[-2:] == tuple(asked)


async def test_a_fork_remembers_where_it_came_from() -> None:
    talk = Talk()
    created = await talk.conversations.create("Fjords", model="a:b", system="Be brief.")
    _, answer = await talk.ask(created, status=MessageStatus.COMPLETE)

    forked = await talk.conversations.fork(answer.id)
    named = await talk.conversations.fork(answer.id, title="Ice")

    assert (forked.title, named.title) == ("Fjords", "Ice")
    assert (forked.model, forked.system) == ("a:b", "Be brief.")
    assert forked.origin == Origin(source=FORK, source_id=answer.id)
    assert len(await talk.conversations.messages(forked.id)) == 2


async def test_what_cannot_be_forked_is_said() -> None:
    talk = Talk()
    created = await talk.conversations.create("Fjords")
    _, answer = await talk.ask(created, status=MessageStatus.STREAMING)

    with pytest.raises(InvalidInputFailure, match="still being written"):
        await talk.conversations.fork(answer.id)
    with pytest.raises(NotFoundFailure):
        await talk.conversations.fork(MessageId("0" * 32))
    with pytest.raises(NotFoundFailure):
        await talk.conversations.choose(MessageId("0" * 32))
    del talk.stores.rows.conversations_by_id[created.id]
    talk.stores.rows.messages_by_id[answer.id] = structs.replace(
        answer, status=MessageStatus.COMPLETE
    )
    with pytest.raises(NotFoundFailure):
        await talk.conversations.fork(answer.id)


async def test_a_message_is_pinned_and_what_is_none_is_told() -> None:
    async with house("Ice.") as here:
        answer = await (await here.send()).result()
        conversations = conversations_on(here.stores)

        await conversations.pin_message(answer.id)
        pinned = await here.stores.messages.get(answer.id)
        await conversations.pin_message(answer.id, is_pinned=False)
        with pytest.raises(NotFoundFailure, match="could be pinned"):
            await conversations.pin_message(MessageId("f" * 32))

    assert pinned is not None
    assert pinned.is_pinned


async def test_a_conversation_keeps_its_fallback_beside_a_programs_own() -> None:
    async with house() as here:
        conversations = conversations_on(here.stores)

        kept = await conversations.create(
            fallback=["a:b", "c/d"], metadata={"mine": "x"}
        )
        with pytest.raises(InvalidInputFailure, match="'nonsense'"):
            await conversations.create(fallback=["nonsense"])

    assert kept.fallback == ("a:b", "c:d")
    assert kept.metadata == {"mine": "x", "fallback": "a:b, c:d"}
