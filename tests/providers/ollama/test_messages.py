from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tina.domain.chat import ChatRequest
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.ollama.messages import encode_messages

PICTURE = ImagePart(media_type="image/png", data=b"\x89PNG")
ENCODED = b64encode(b"\x89PNG").decode()


def message(role: Role, *parts: Part, model: str | None = None) -> Message:
    return Message(
        id=MessageId("1"),
        conversation_id=ConversationId("2"),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        model=model,
    )


def user(*parts: Part) -> Message:
    return message(Role.USER, *parts)


def answer(*parts: Part, model: str | None = "ollama:m") -> Message:
    return message(Role.ASSISTANT, *parts, model=model)


def results(*parts: Part) -> Message:
    return message(Role.TOOL, *parts)


def said(text: str) -> TextPart:
    return TextPart(text=text)


def call(call_id: str, tool: str = "look", arguments: str = "{}") -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool=tool, arguments=arguments)


def result(call_id: str, content: str = "seen", *images: ImagePart) -> ToolResultPart:
    return ToolResultPart(call_id=ToolCallId(call_id), content=content, images=images)


def encode(
    *messages: Message, system: str | None = None, sees_images: bool = True
) -> list[dict[str, Any]]:
    request = ChatRequest(model="m", messages=messages, system=system)
    wires = encode_messages(request, provider="ollama", sees_images=sees_images)
    return msgspec.json.decode(msgspec.json.encode(wires), type=list[dict[str, Any]])


def test_a_conversation_is_told_in_order() -> None:
    wires = encode(
        user(said("Hi")),
        answer(said("Hello")),
        message(Role.SYSTEM, said("Be brief.")),
        user(said("Bye\0")),
        system="Be kind.",
    )

    assert wires == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Bye"},
    ]


def test_images_stand_beside_the_text_without_a_prefix() -> None:
    wires = encode(user(said("What "), PICTURE, said("is it?"), PICTURE))

    assert wires == [
        {"role": "user", "content": "What is it?", "images": [ENCODED, ENCODED]}
    ]


def test_a_picture_alone_is_a_prompt() -> None:
    assert encode(user(PICTURE)) == [
        {"role": "user", "content": "", "images": [ENCODED]}
    ]


def test_a_model_that_cannot_see_is_told_that_there_is_something() -> None:
    wires = encode(user(PICTURE), sees_images=False)

    assert wires == [
        {
            "role": "user",
            "content": "(There is an image here, but this model cannot see images.)",
        }
    ]


FILES = [
    ("text/plain; charset=utf-8", "[a]\nhm\n[end of a]"),
    ("application/json", "[a]\nhm\n[end of a]"),
    (
        "application/pdf",
        "(There is a file 'a' here, but this model cannot read files.)",
    ),
]


@pytest.mark.parametrize(("media_type", "text"), FILES)
def test_files_are_text_or_a_word_about_them(media_type: str, text: str) -> None:
    file = FilePart(name="a", media_type=media_type, data=b"hm")

    assert encode(user(file)) == [{"role": "user", "content": text}]


def test_results_stand_in_the_order_of_the_calls_whatever_came_first() -> None:
    wires = encode(
        answer(said("So:"), call("c1", "look", '{"a":1}'), call("c2", "hear")),
        results(result("c2", "a sound")),
        results(result("c1", "a sight")),
    )

    assert wires == [
        {
            "role": "assistant",
            "content": "So:",
            "tool_calls": [
                {"id": "c1", "function": {"name": "look", "arguments": {"a": 1}}},
                {"id": "c2", "function": {"name": "hear", "arguments": {}}},
            ],
        },
        {
            "role": "tool",
            "tool_name": "look",
            "tool_call_id": "c1",
            "content": "a sight",
        },
        {
            "role": "tool",
            "tool_name": "hear",
            "tool_call_id": "c2",
            "content": "a sound",
        },
    ]


def test_images_of_results_follow_them_all() -> None:
    wires = encode(
        answer(call("c1"), call("c2")),
        results(result("c1", "one", PICTURE), result("c2", "two")),
        user(said("And?")),
    )

    assert [wire["role"] for wire in wires] == [
        "assistant",
        "tool",
        "tool",
        "user",
        "user",
    ]
    assert wires[3] == {
        "role": "user",
        "content": "(These images belong to the tool results above.)",
        "images": [ENCODED],
    }


def test_an_error_of_a_tool_says_so() -> None:
    part = ToolResultPart(call_id=ToolCallId("c1"), content="no", is_error=True)

    wires = encode(answer(call("c1")), results(part))

    assert wires[-1]["content"] == "Error: no"


def test_what_has_no_counterpart_is_left_out() -> None:
    wires = encode(
        results(result("c0")),
        answer(call("c1")),
        user(said("Never mind."), call("c9"), result("c9")),
        answer(),
        answer(ReasoningPart(text="hm"), SourcePart(title="t")),
        user(),
    )

    assert wires == [{"role": "user", "content": "Never mind."}]


def test_ids_of_another_provider_get_a_form_that_fits() -> None:
    wires = encode(answer(call("a b")), results(result("a b")))

    assert wires[0]["tool_calls"][0]["id"] == wires[1]["tool_call_id"] == "call_0"


ARGUMENTS = [
    ('{"a":1.50}', b'{"a":1.50}'),
    (' {"n": 12345678901234567890123}\n', b'{"n": 12345678901234567890123}'),
    ("", b"{}"),
    ("null", b"{}"),
    ('{"a":', b'{"unreadable_arguments":"{\\"a\\":"}'),
    ("[1]", b'{"unreadable_arguments":"[1]"}'),
]


@pytest.mark.parametrize(("arguments", "sent"), ARGUMENTS)
def test_arguments_are_always_an_object(arguments: str, sent: bytes) -> None:
    request = ChatRequest(
        model="m",
        messages=(answer(call("c1", "look", arguments)), results(result("c1"))),
    )

    wires = encode_messages(request, provider="ollama", sees_images=True)

    assert b'"arguments":' + sent + b"}" in msgspec.json.encode(wires)


@pytest.mark.parametrize(
    ("model", "thinking"),
    [("ollama:m", "hm"), ("ollama:other", None), ("openai:m", None), (None, None)],
)
def test_only_the_same_model_gets_its_reasoning_back(
    model: str | None, thinking: str | None
) -> None:
    wires = encode(answer(ReasoningPart(text="hm"), said("Hi"), model=model))

    assert wires[0].get("thinking") == thinking
    assert wires[0]["content"] == "Hi"


def test_an_answer_and_its_rest_are_one_message() -> None:
    wires = encode(
        answer(said("Once ")),
        answer(ReasoningPart(text="hm"), said("upon"), RefusalPart(text=" no")),
        answer(call("c1")),
        results(result("c1")),
        answer(said("Seen.")),
    )

    assert [wire["role"] for wire in wires] == ["assistant", "tool", "assistant"]
    assert wires[0]["content"] == "Once upon no"
    assert wires[0]["thinking"] == "hm"
    assert len(wires[0]["tool_calls"]) == 1
