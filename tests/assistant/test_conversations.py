"""Conversations as programs and faces use them."""

import pytest

from tina.assistant import Conversations
from tina.assistant.conversations import TITLE_CHARS, title_of
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import ConversationId
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryConversations, MemoryMessages

pytestmark = pytest.mark.anyio


@pytest.fixture
def conversations() -> Conversations:
    stored = MemoryConversations(clock=FakeClock(), ids=FakeIds())
    return Conversations(stored, MemoryMessages(stored))


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


@pytest.mark.parametrize("text", ["", "abc", "zzzz", "Why fjords?", "f" * 32, "a" * 33])
async def test_what_is_no_id_finds_nothing(
    conversations: Conversations, text: str
) -> None:
    await conversations.create()

    assert await conversations.find(text) is None


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
