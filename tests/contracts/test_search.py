"""One suite for the search in memory and on SQLite."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tina.database.daos import conversations as conversation_rows
from tina.database.daos import messages as message_rows
from tina.database.engine.engine import Engine
from tina.database.mappers.conversations import to_new_row
from tina.database.mappers.messages import to_row
from tina.database.search.search import DatabaseSearch
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import Search
from tina.domain.search import (
    MAX_SEARCH_BYTES,
    MAX_SEARCH_HITS,
    MAX_SEARCH_TERMS,
    SearchOrder,
    SearchQuery,
)
from tina.testing.clock import START, FakeClock
from tina.testing.ids import FakeIds
from tina.testing.search import MemorySearch

pytestmark = pytest.mark.anyio


@dataclass
class House:
    """Conversations to search, in memory and, if there is an engine, in its file."""

    search: Search
    engine: Engine | None
    conversations: dict[ConversationId, Conversation]
    messages: dict[MessageId, Message]
    clock: FakeClock = field(default_factory=FakeClock)
    ids: FakeIds = field(default_factory=FakeIds)

    async def talk(
        self,
        title: str = "Fjords",
        *,
        owner_id: OwnerId = LAPTOP_OWNER,
        deleted_at: datetime | None = None,
    ) -> Conversation:
        stored = Conversation(
            id=ConversationId(self.ids.new()),
            owner_id=owner_id,
            title=title,
            model=None,
            system=None,
            tip=None,
            message_count=0,
            preview="",
            deleted_at=deleted_at,
            created_at=self.clock.now(),
            last_message_at=self.clock.now(),
        )
        self.conversations[stored.id] = stored
        if self.engine is not None:
            row = to_new_row(
                NewConversation(title=title, owner_id=owner_id),
                conversation_id=stored.id,
                now=self.clock.now(),
            )
            await self.engine.write(partial(conversation_rows.insert, row=row))
            await self.engine.write(
                lambda connection: connection.execute(
                    "UPDATE conversations SET deleted_at = :at WHERE id = :id",
                    {"at": None if deleted_at is None else 1, "id": row.id},
                )
            )
        return stored

    async def say(
        self,
        conversation: Conversation,
        text: str,
        *,
        role: Role = Role.USER,
        model: str | None = None,
    ) -> MessageId:
        self.clock.advance(60)
        message = Message(
            id=MessageId(self.ids.new()),
            conversation_id=conversation.id,
            parent_id=None,
            role=role,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text=text),) if text else (),
            created_at=self.clock.now(),
            model=model,
        )
        self.messages[message.id] = message
        if self.engine is not None:
            row = to_row(
                message, owner_id=conversation.owner_id, seq=len(self.messages)
            )
            await self.engine.write(partial(message_rows.insert, row=row))
        return message.id

    async def found(self, words: str, **asked: object) -> list[MessageId]:
        query = SearchQuery(words=words, **asked)  # type: ignore[arg-type]  # any field
        return [hit.message_id for hit in (await self.search.search(query)).hits]


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    conversations: dict[ConversationId, Conversation] = {}
    messages: dict[MessageId, Message] = {}
    if request.param == "memory":
        memory = MemorySearch(conversations, messages)
        yield House(memory, None, conversations, messages)
        return
    clock = FakeClock()
    engine = Engine(tmp_path / "tina.db", monotonic=clock.monotonic)
    await engine.open()
    try:
        search = DatabaseSearch(engine, clock=clock)
        yield House(search, engine, conversations, messages, clock)
    finally:
        await engine.close()


async def test_what_was_said_is_found_the_newest_first(house: House) -> None:
    norway, iceland = await house.talk("Norway"), await house.talk("Iceland")
    first = await house.say(norway, "A fjord is deep.")
    await house.say(norway, "A lake is not.")
    second = await house.say(
        iceland, "No fjord here?", role=Role.ASSISTANT, model="local:smollm2"
    )

    result = await house.search.search(SearchQuery(words="fjord"))

    assert [hit.message_id for hit in result.hits] == [second, first]
    newest = result.hits[0]
    assert (newest.title, newest.role, newest.model) == (
        "Iceland",
        Role.ASSISTANT,
        "local:smollm2",
    )
    assert newest.conversation_id == iceland.id
    assert newest.created_at == house.clock.now()
    assert [newest.snippet[span.start : span.end] for span in newest.matches] == [
        "fjord"
    ]
    assert (result.is_whole, result.failure) == (True, None)


async def test_every_word_must_be_there_in_any_order(house: House) -> None:
    talk = await house.talk()
    both = await house.say(talk, "Deep is the fjord.")
    await house.say(talk, "Deep is the sea.")

    assert await house.found("fjord deep") == [both]
    assert await house.found("fjord deep lake") == []


async def test_case_and_accents_do_not_matter(house: House) -> None:
    said = await house.say(await house.talk(), "Un CAFÉ près de l'église.")

    assert await house.found("cafe Église PRES") == [said]


async def test_a_term_that_holds_several_words_is_a_phrase(house: House) -> None:
    talk = await house.talk()
    phrase = await house.say(talk, "A state of the art engine.")
    await house.say(talk, "The art of the state.")

    assert await house.found("state-of-the-art") == [phrase]


@pytest.mark.parametrize(
    "words",
    [
        "fjord AND",
        "NOT fjord",
        "NEAR(fjord deep, 2)",
        "text:fjord",
        "{text}: fjord",
        "^fjord ice",
        "fjo*",
        '"fjord ice',
        "fjord OR nothing",
        "(fjord ice",
        "fjord' OR 1=1 --",
    ],
)
async def test_nothing_that_is_typed_is_syntax(house: House, words: str) -> None:
    await house.say(await house.talk(), "Fjord deep.")

    assert await house.found(words) == []


@pytest.mark.parametrize(
    "words",
    ["fjord -", "- fjord", '"fjord"', "(fjord)", "* fjord ^", "fjo\0rd", "fjord\x01"],
)
async def test_signs_around_words_do_not_matter(house: House, words: str) -> None:
    said = await house.say(await house.talk(), "Fjord deep.")

    assert await house.found(words) == [said]


@pytest.mark.parametrize(
    "words", ["?!", '"', '""', "\ud800", "* ( )", "\x01", "…", "(" * MAX_SEARCH_BYTES]
)
async def test_signs_alone_find_nothing(house: House, words: str) -> None:
    await house.say(await house.talk(), 'Fjord?! "deep" \ufffd')

    assert await house.found(words) == []


@pytest.mark.parametrize("words", ["", "  \n\t", "\0"])
async def test_no_words_are_refused(house: House, words: str) -> None:
    with pytest.raises(InvalidInputFailure, match="which words"):
        await house.search.search(SearchQuery(words=words))


@pytest.mark.parametrize("join", [" ", "-"])
async def test_words_are_bounded_by_number(house: House, join: str) -> None:
    said = ["fjord"] * MAX_SEARCH_TERMS
    found = await house.say(await house.talk(), " ".join(said))

    assert await house.found(join.join(said[1:])) == [found]
    assert await house.found(join.join(said)) == [found]
    with pytest.raises(InvalidInputFailure, match=f"at most {MAX_SEARCH_TERMS} words"):
        await house.found(join.join([*said, "fjord"]))


async def test_words_are_bounded_by_length(house: House) -> None:
    word = "å" * (MAX_SEARCH_BYTES // 2)
    found = await house.say(await house.talk(), f"{word} {word[1:]}")

    assert await house.found(word[1:]) == [found]
    assert await house.found(word) == [found]
    for too_long in (word + "a", "(" * 100_000, "a" * 100_000):
        with pytest.raises(InvalidInputFailure, match="4 KiB"):
            await house.found(too_long)


async def test_the_number_of_hits_is_bounded(house: House) -> None:
    talk = await house.talk()
    said = [await house.say(talk, "fjord") for _ in range(3)]

    assert await house.found("fjord", limit=2) == [said[2], said[1]]
    assert len(await house.found("fjord", limit=MAX_SEARCH_HITS)) == 3
    for limit in (0, -1, MAX_SEARCH_HITS + 1):
        with pytest.raises(InvalidInputFailure, match="from 1 to 500"):
            await house.found("fjord", limit=limit)


async def test_the_best_match_says_the_words_more_often(house: House) -> None:
    talk = await house.talk()
    best = await house.say(talk, "fjord fjord fjord")
    other = await house.say(talk, "a fjord and much more of what is no such thing")

    best_first = {"order": SearchOrder.BEST}
    assert await house.found("fjord", **best_first) == [best, other]
    assert await house.found("fjord", **best_first, limit=1) == [best]
    within = {**best_first, "conversation_id": talk.id}
    assert await house.found("fjord", **within) == [best, other]
    assert await house.found("lake", **best_first) == []


async def test_one_conversation_can_be_searched(house: House) -> None:
    norway, iceland = await house.talk(), await house.talk()
    first = await house.say(norway, "fjord one")
    await house.say(iceland, "fjord")
    second = await house.say(norway, "fjord two")

    assert await house.found("fjord", conversation_id=norway.id) == [second, first]
    assert await house.found("fjord", conversation_id=norway.id, limit=1) == [second]
    assert await house.found("fjord", conversation_id=ConversationId("0" * 32)) == []


@pytest.mark.parametrize("is_within", [False, True])
async def test_filters_narrow_a_search(house: House, is_within: bool) -> None:
    talk = await house.talk()
    asked = await house.say(talk, "fjord?")
    answered = await house.say(talk, "fjord.", role=Role.ASSISTANT, model="a:b")
    within = {"conversation_id": talk.id} if is_within else {}
    answered_at = START + timedelta(seconds=120)

    assert await house.found("fjord", role=Role.USER, **within) == [asked]
    assert await house.found("fjord", model="a:b", **within) == [answered]
    assert await house.found("fjord", model="a:c", **within) == []
    assert await house.found("fjord", since=answered_at, **within) == [answered]
    assert await house.found("fjord", until=answered_at, **within) == [asked]


async def test_deleted_conversations_and_other_people_s_are_not_found(
    house: House,
) -> None:
    deleted = await house.talk(deleted_at=START)
    foreign = await house.talk(owner_id=OwnerId(2))
    await house.say(deleted, "fjord")
    theirs = await house.say(foreign, "fjord")

    assert await house.found("fjord") == []
    assert await house.found("fjord", conversation_id=deleted.id) == []
    assert await house.found("fjord", conversation_id=foreign.id) == []
    assert await house.found("fjord", owner_id=OwnerId(2)) == [theirs]


@pytest.mark.requirement("search:any-words")
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    words=st.one_of(
        st.text(st.characters(exclude_categories=[])),
        st.text('"*^:(){}+-~ ANDORTE\0\ud800'),
        st.lists(
            st.sampled_from(
                [
                    "AND",
                    "OR",
                    "NOT",
                    "NEAR(",
                    '"',
                    "*",
                    "^",
                    "text:",
                    "(",
                    "é",
                    "{",
                    "+",
                ]
            )
        ).map(" ".join),
    ),
    order=st.sampled_from(SearchOrder),
)
async def test_any_string_gives_a_result_or_is_refused(
    house: House, words: str, order: SearchOrder
) -> None:
    if not house.messages:
        await house.say(await house.talk(), "é and OR NEAR text \ufffd")

    try:
        result = await house.search.search(SearchQuery(words=words, order=order))
    except InvalidInputFailure:
        assert not words.replace("\0", "").split() or len(words) > MAX_SEARCH_TERMS
    else:
        assert result.is_whole
