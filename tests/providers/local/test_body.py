from typing import Any

import msgspec
import pytest

from tests.providers.llama_server import WEATHER, message, shown, user
from tina.domain.chat import ChatOptions, ChatRequest, Effort
from tina.domain.failures import InvalidInputFailure, InvalidRequestFailure
from tina.domain.ids import ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.tools import ToolChoice, ToolMode
from tina.providers.local.body import encode
from tina.providers.local.weights import SMOLLM2, KnownWeights

HI = user("Hi")
PICTURE = ImagePart(media_type="image/png", data=b"\x89PNG")
PDF = FilePart(name="a.pdf", media_type="application/pdf", data=b"%PDF")
NOTES = FilePart(name="a.md", media_type="text/markdown", data=b"hm")


def body_of(
    *messages: Message,
    options: ChatOptions | None = None,
    known: KnownWeights | None = None,
    **rest: Any,
) -> dict[str, Any]:
    request = ChatRequest(
        model="mine",
        messages=messages or (HI,),
        options=options or ChatOptions(),
        **rest,
    )
    return msgspec.json.decode(encode(request, known), type=dict[str, Any])


def test_a_question_is_a_streaming_chat_completion_that_reports_progress() -> None:
    assert body_of() == {
        "model": "mine",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
    }


SAMPLINGS = [
    (SMOLLM2, ChatOptions(), (0.2, 0.8)),
    (SMOLLM2, ChatOptions(temperature=1.0), (1.0, None)),
    (None, ChatOptions(), (None, None)),
]


@pytest.mark.parametrize(("known", "options", "expected"), SAMPLINGS)
def test_sampling_is_chosen_only_where_nobody_chose(
    known: KnownWeights | None, options: ChatOptions, expected: tuple[object, object]
) -> None:
    body = body_of(options=options, known=known)

    assert (body.get("temperature"), body.get("dry_multiplier")) == expected


@pytest.mark.parametrize(
    ("known", "asked", "limit"),
    [(SMOLLM2, None, 1024), (SMOLLM2, 5000, 5000), (None, None, None)],
)
def test_the_small_model_does_not_talk_until_its_window_is_full(
    known: KnownWeights | None, asked: int | None, limit: int | None
) -> None:
    body = body_of(options=ChatOptions(max_tokens=asked), known=known)

    assert body.get("max_tokens") == limit


def test_options_go_to_the_engine_but_for_effort() -> None:
    options = ChatOptions(
        top_k=3, min_p=0.1, seed=7, stop=("a",), effort=Effort.HIGH, schema="{}"
    )

    body = body_of(options=options)

    assert (body["top_k"], body["min_p"], body["seed"]) == (3, 0.1, 7)
    assert body["stop"] == ["a"]
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {}},
    }
    assert "reasoning_effort" not in body


def test_a_schema_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputFailure, match="is no JSON object"):
        body_of(options=ChatOptions(schema="["))


def test_tools_and_their_history_go_along() -> None:
    choice = ToolChoice(mode=ToolMode.REQUIRED)

    body = body_of(*shown("Rome"), HI, tools=(WEATHER,), tool_choice=choice)

    assert body["tools"][0]["function"]["name"] == "get_weather"
    assert body["tool_choice"] == "required"
    assert [wire["role"] for wire in body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]


def test_a_call_without_a_result_is_left_out_and_ids_are_the_engines_own() -> None:
    odd, lost = ToolCallId("a b"), ToolCallId("c")
    calls = [
        ToolCallPart(call_id=call_id, tool="look", arguments="{}")
        for call_id in (odd, lost)
    ]

    body = body_of(
        message(Role.ASSISTANT, *calls),
        message(Role.TOOL, ToolResultPart(call_id=odd, content="seen")),
    )

    answer, result = body["messages"]
    assert [call["id"] for call in answer["tool_calls"]] == ["call_0"]
    assert result["tool_call_id"] == "call_0"


@pytest.mark.parametrize(
    ("part", "words"),
    [(PICTURE, "image input is not supported"), (PDF, "'a.pdf' is none")],
)
def test_what_the_model_cannot_read_is_refused(
    part: ImagePart | FilePart, words: str
) -> None:
    with pytest.raises(InvalidRequestFailure, match=words):
        body_of(message(Role.USER, TextPart(text="What is it?"), part))


def test_a_text_file_is_read() -> None:
    body = body_of(message(Role.USER, NOTES))

    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "[a.md]\nhm\n[end of a.md]"}
    ]


def test_what_was_shown_to_another_model_is_told_in_words() -> None:
    body = body_of(
        message(Role.USER, PICTURE, PDF, NOTES),
        message(Role.ASSISTANT, TextPart(text="A cat.")),
        user("Sure?"),
    )

    assert [part["text"] for part in body["messages"][0]["content"]] == [
        "(There is an image here, but this model cannot see images.)",
        "(There is a file 'a.pdf' here, but this model cannot read it.)",
        "[a.md]\nhm\n[end of a.md]",
    ]
