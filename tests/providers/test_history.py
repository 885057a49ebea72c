import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.chat import ChatRequest
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    Message,
    MessageStatus,
    Part,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.history import (
    CallIdForm,
    Place,
    is_own,
    own_replay,
    pair_calls,
    plain_tool_name,
)

FORM = CallIdForm(re.compile("[a-z0-9]{1,4}"), "c{}")
SYSTEM, USER, ASSISTANT, TOOL = Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL


def message(
    role: Role, *parts: Part, model: str | None = None, replay: Replay | None = None
) -> Message:
    return Message(
        id=MessageId("1"),
        conversation_id=ConversationId("2"),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        model=model,
        replay=replay,
    )


def call(call_id: str) -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool="look", arguments="{}")


def result(call_id: str) -> ToolResultPart:
    return ToolResultPart(call_id=ToolCallId(call_id), content="seen")


TEXT = TextPart(text="Hi")

HISTORIES = [
    pytest.param([], {}, id="nothing"),
    pytest.param(
        [
            message(ASSISTANT, TEXT, call("a"), call("b")),
            message(TOOL, result("b"), result("a")),
        ],
        {(0, 1): "a", (0, 2): "b", (1, 0): "b", (1, 1): "a"},
        id="in-any-order",
    ),
    pytest.param(
        [
            message(ASSISTANT, call("a"), call("b")),
            message(TOOL, result("a")),
            message(TOOL, result("b")),
        ],
        {(0, 0): "a", (0, 1): "b", (1, 0): "a", (2, 0): "b"},
        id="in-several-messages",
    ),
    pytest.param(
        [message(ASSISTANT, call("a"), call("b")), message(TOOL, result("b"))],
        {(0, 1): "b", (1, 0): "b"},
        id="one-without-result",
    ),
    pytest.param([message(TOOL, result("a"), TEXT)], {}, id="one-without-call"),
    pytest.param(
        [message(ASSISTANT, call("a")), message(TOOL, result("a"), result("a"))],
        {(0, 0): "a", (1, 0): "a"},
        id="second-result-of-one-call",
    ),
    pytest.param(
        [
            message(ASSISTANT, call("a"), call("a")),
            message(TOOL, result("a"), result("a")),
        ],
        {(0, 0): "a", (0, 1): "c0", (1, 0): "a", (1, 1): "c0"},
        id="one-id-for-two-calls",
    ),
    pytest.param(
        [
            message(ASSISTANT, call("a")),
            message(TOOL, result("a")),
            message(ASSISTANT, call("a")),
            message(TOOL, result("a")),
        ],
        {(0, 0): "a", (1, 0): "a", (2, 0): "c0", (3, 0): "c0"},
        id="one-id-in-two-answers",
    ),
    pytest.param(
        [
            message(ASSISTANT, call("A b"), call("c0")),
            message(TOOL, result("A b"), result("c0")),
        ],
        {(0, 0): "c0", (0, 1): "c1", (1, 0): "c0", (1, 1): "c1"},
        id="an-invented-id-that-comes-later",
    ),
    pytest.param(
        [
            message(ASSISTANT, call("a")),
            message(USER, TEXT),
            message(TOOL, result("a")),
        ],
        {},
        id="somebody-spoke-between",
    ),
    pytest.param(
        [message(ASSISTANT, call("a")), message(USER), message(TOOL, result("a"))],
        {(0, 0): "a", (2, 0): "a"},
        id="nobody-spoke-between",
    ),
    pytest.param(
        [
            message(ASSISTANT, call("a")),
            message(ASSISTANT, call("b")),
            message(TOOL, result("a"), result("b")),
        ],
        {(1, 0): "b", (2, 1): "b"},
        id="another-answer-between",
    ),
    pytest.param(
        [message(USER, call("a")), message(TOOL, result("a"))], {}, id="no-answer"
    ),
    pytest.param(
        [message(ASSISTANT, call("a")), message(USER, result("a"))],
        {},
        id="no-tool-message",
    ),
]


@pytest.mark.parametrize(("messages", "ids"), HISTORIES)
def test_calls_and_results_are_paired_under_ids_that_fit(
    messages: list[Message], ids: dict[tuple[int, int], str]
) -> None:
    assert pair_calls(messages, FORM) == ids


CALL_IDS = st.sampled_from(["a", "b", "c0", "c1", "Too long", ""])
ANSWERS = st.lists(CALL_IDS.map(call) | st.just(TEXT), max_size=4).map(
    lambda parts: message(ASSISTANT, *parts)
)
RESULTS = st.lists(CALL_IDS.map(result), max_size=4).map(
    lambda parts: message(TOOL, *parts)
)
MESSAGES = st.lists(
    ANSWERS | RESULTS | st.sampled_from([message(USER, TEXT), message(SYSTEM)]),
    max_size=8,
)


@given(MESSAGES)
def test_every_id_fits_and_belongs_to_one_call_and_one_result(
    messages: list[Message],
) -> None:
    sent = pair_calls(messages, FORM)

    calls = {sent[place]: place for place in sent if _role(messages, place) != TOOL}
    results = {sent[place]: place for place in sent if _role(messages, place) == TOOL}
    assert len(calls) + len(results) == len(sent)
    assert calls.keys() == results.keys()
    assert all(calls[call_id] < results[call_id] for call_id in calls)
    assert all(FORM.pattern.fullmatch(call_id) for call_id in calls)


@given(MESSAGES, st.integers(0, 8))
def test_what_was_sent_once_keeps_its_ids(messages: list[Message], size: int) -> None:
    """Else the beginning of a prompt changes, and nothing of it is found again."""
    before = pair_calls(messages[:size], FORM)
    later = pair_calls([*messages[:size], message(USER, TEXT), *messages[size:]], FORM)

    assert {place: later[place] for place in before} == before


def _role(messages: list[Message], place: Place) -> Role:
    return messages[place.message].role


@pytest.mark.parametrize(
    ("model", "expected"),
    [("house:m", True), ("house:n", False), ("other:m", False), (None, False)],
)
def test_an_answer_is_own_if_the_same_model_of_the_provider_gave_it(
    model: str | None, expected: bool
) -> None:
    request = ChatRequest(model="m", messages=())
    answer = message(ASSISTANT, TEXT, model=model)

    assert is_own(answer, request, provider="house") is expected


def test_a_replay_is_given_to_its_own_provider_only() -> None:
    answer = message(ASSISTANT, TEXT, replay=Replay(provider="house", payload="{}"))

    assert own_replay(answer, provider="house") == "{}"
    assert own_replay(answer, provider="other") is None
    assert own_replay(message(ASSISTANT, TEXT), provider="house") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("look_up-2", "look_up-2"),
        ("bad name!", "bad_name_"),
        ("lo\0ok", "look"),
        ("ä" * 200, "_" * 64),
        ("", "tool"),
    ],
)
def test_a_tool_of_another_provider_has_a_name_that_each_vendor_takes(
    name: str, expected: str
) -> None:
    assert plain_tool_name(name) == expected
