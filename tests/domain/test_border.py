"""Limits and clean text of what is handed over, from the moment a value is made."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import UNSET, structs

from tina.domain.chat import MAX_NUMBER, ChatOptions
from tina.domain.conversations import (
    MAX_METADATA_BYTES,
    MAX_MODEL_BYTES,
    MAX_SYSTEM_BYTES,
    MAX_TITLE_BYTES,
    ConversationChange,
    NewConversation,
    Origin,
)
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import ConversationId, MessageId, TurnId, check_id
from tina.domain.messages import ImagePart, Message, MessageStatus, Role, TextPart
from tina.domain.queries import MAX_PAGE_SIZE, ListConversations
from tina.domain.search import SearchQuery
from tina.domain.text import clean_value, is_clean
from tina.domain.turns import MAX_PROMPT_BYTES, NewTurn, TurnRequest

DIRTY, CLEAN = "a\0b\udc80", "ab\ufffd"


@pytest.mark.parametrize("make", [NewConversation, ConversationChange])
@pytest.mark.parametrize(
    ("field", "max_bytes", "sentence"),
    [
        ("title", MAX_TITLE_BYTES, "A title may have up to 1 KiB"),
        ("model", MAX_MODEL_BYTES, "A model's name may have up to 1 KiB"),
        ("system", MAX_SYSTEM_BYTES, "A system prompt may have up to 1 MiB"),
    ],
)
def test_a_text_has_its_limit(
    make: Callable[..., NewConversation | ConversationChange],
    field: str,
    max_bytes: int,
    sentence: str,
) -> None:
    for fits in ("x" * (max_bytes - 1), "x" * max_bytes, "€" * (max_bytes // 3)):
        assert getattr(make(**{field: fits}), field) == fits
    for does_not in ("x" * (max_bytes + 1), "€" * (max_bytes // 3 + 1)):
        with pytest.raises(InvalidInputFailure, match=sentence):
            make(**{field: does_not})


@pytest.mark.parametrize("make", [NewConversation, ConversationChange])
def test_metadata_has_its_limit(
    make: Callable[..., NewConversation | ConversationChange],
) -> None:
    """Names and values together."""
    half = "x" * (MAX_METADATA_BYTES // 2)

    for fits in ({half: half[1:]}, {half: half}, {half: "", "": half}):
        assert make(metadata=fits).metadata == fits
    for does_not in ({half: half + "x"}, {half + "x": half}, {"1": half, "2": half}):
        with pytest.raises(InvalidInputFailure, match="up to 64 KiB"):
            make(metadata=does_not)


def new_turn(text: str | None) -> NewTurn:
    answer = Message(
        id=MessageId("1" * 32),
        conversation_id=ConversationId("2" * 32),
        parent_id=None,
        role=Role.ASSISTANT,
        status=MessageStatus.STREAMING,
        parts=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    parts = (TextPart(text=text or ""), ImagePart(media_type="a/b", data=b"\0\xff"))
    return NewTurn(
        id=TurnId("3" * 32),
        conversation_id=answer.conversation_id,
        after=None,
        prompt=None if text is None else structs.replace(answer, parts=parts),
        answer=answer,
        request=TurnRequest(model="a:b"),
        lease_id=None,
    )


@pytest.mark.requirement("limits:what-is-handed-over")
def test_a_question_has_its_limit() -> None:
    for fits in (MAX_PROMPT_BYTES - 1, MAX_PROMPT_BYTES):
        prompt = new_turn("x" * fits).prompt
        assert prompt is not None
        assert len(prompt.text) == fits
    with pytest.raises(InvalidInputFailure, match="A question may have up to 16 MiB"):
        new_turn("x" * (MAX_PROMPT_BYTES + 1))


def test_a_turn_without_a_question_has_no_limit_to_keep() -> None:
    assert new_turn(None).prompt is None


def test_a_question_is_clean_and_what_is_no_text_stays_as_it_is() -> None:
    prompt = new_turn(DIRTY).prompt

    assert prompt is not None
    assert prompt.parts == (
        TextPart(text=CLEAN),
        ImagePart(media_type="a/b", data=b"\0\xff"),
    )


@pytest.mark.parametrize("limit", [1, MAX_PAGE_SIZE - 1, MAX_PAGE_SIZE, None])
def test_a_page_may_be_so_long(limit: int | None) -> None:
    assert ListConversations(limit=limit).limit == limit


@pytest.mark.parametrize("limit", [-3, 0, MAX_PAGE_SIZE + 1])
def test_a_page_of_another_length_is_refused(limit: int) -> None:
    with pytest.raises(InvalidInputFailure, match=f"from 1 to 200 .* not {limit}"):
        ListConversations(limit=limit)


@pytest.mark.parametrize("tokens", [-1, -5_000])
def test_an_answer_of_less_than_nothing_cannot_be_asked_for(tokens: int) -> None:
    with pytest.raises(InvalidInputFailure, match=f"cannot be {tokens}"):
        ChatOptions(max_tokens=tokens)


@pytest.mark.parametrize(
    ("name", "least"),
    [("seed", -MAX_NUMBER), ("top_k", -MAX_NUMBER), ("max_tokens", 0)],
)
def test_an_option_fits_into_what_json_carries(name: str, least: int) -> None:
    for fits in (least, MAX_NUMBER - 1, None):
        options = ChatOptions(**{name: fits})  # type: ignore[arg-type]  # one of three
        assert msgspec.json.decode(msgspec.json.encode(options), type=ChatOptions) == (
            options
        )
    for does_not in (-MAX_NUMBER - 1, MAX_NUMBER):
        with pytest.raises(InvalidInputFailure, match=f"{name} cannot be {does_not}"):
            ChatOptions(**{name: does_not})  # type: ignore[arg-type]  # one of three


def test_every_text_of_a_value_is_clean_from_the_beginning() -> None:
    made = NewConversation(
        title=DIRTY,
        model=DIRTY,
        origin=Origin(source=DIRTY, source_id=DIRTY),
        metadata={DIRTY: DIRTY, "c": "d"},
    )
    query = SearchQuery(words=DIRTY, model=DIRTY, role=Role.USER)

    assert (made.title, made.model, made.system) == (CLEAN, CLEAN, None)
    assert made.origin == Origin(source=CLEAN, source_id=CLEAN)
    assert made.metadata == {CLEAN: CLEAN, "c": "d"}
    assert (query.words, query.model, query.role) == (CLEAN, CLEAN, Role.USER)
    assert ChatOptions(stop=("x", DIRTY)).stop == ("x", CLEAN)


def test_what_is_not_named_in_a_change_stays_unnamed() -> None:
    change = ConversationChange(title=DIRTY)

    assert change.title == CLEAN
    assert (change.system, change.metadata, change.deleted_at) == (UNSET, UNSET, UNSET)


def test_a_value_that_is_changed_or_read_is_clean_as_well() -> None:
    read = msgspec.json.decode(b'{"stop": ["a\\u0000b"]}', type=ChatOptions)

    assert structs.replace(NewConversation(), title=DIRTY).title == CLEAN
    assert read.stop == ("ab",)


def test_what_is_clean_is_left_alone() -> None:
    metadata: Mapping[str, str] = {"a": "b"}

    assert NewConversation(metadata=metadata).metadata is metadata
    assert clean_value(metadata) is metadata
    assert clean_value(5) == 5


def test_an_id_is_checked_and_named() -> None:
    assert check_id("0af" + "1" * 29) == "0af" + "1" * 29
    for text in ("", "zz", "0" * 31, "0" * 33, "A" * 32, "\udc80" * 50):
        with pytest.raises(InvalidInputFailure, match="is no id") as caught:
            check_id(text)
        assert is_clean(str(caught.value))
        assert len(str(caught.value)) < 400
