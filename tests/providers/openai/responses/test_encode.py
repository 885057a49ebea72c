"""What is asked of the Responses API."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tina.domain.chat import (
    Capability,
    ChatOptions,
    ChatRequest,
    Effort,
    ModelInfo,
)
from tina.domain.failures import InvalidInputFailure, InvalidRequestFailure
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    RefusalPart,
    Replay,
    Role,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.tools import ToolChoice, ToolDefinition, ToolMode
from tina.providers.openai.responses.encode import encode_count, encode_request

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LOOK = ToolDefinition(
    name="look",
    description="Looks.",
    schema='{"type":"object","properties":{"a":{"type":"integer"}}}',
)
IMAGE = ImagePart(media_type="image/png", data=b"png")
THOUGHT: dict[str, Any] = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [],
    "encrypted_content": "gA",
}
SPOKEN: dict[str, Any] = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "Let me look."}],
}
ASKED: dict[str, Any] = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look",
    "arguments": "{}",
}


def said(
    role: Role,
    *parts: Part,
    model: str | None = "openai:gpt-9",
    replay: Replay | None = None,
) -> Message:
    return Message(
        id=MessageId("0" * 32),
        conversation_id=ConversationId("1" * 32),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=NOW,
        model=model if role is Role.ASSISTANT else None,
        replay=replay,
    )


def user(text: str) -> Message:
    return said(Role.USER, TextPart(text=text))


def call(call_id: str = "call_1") -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool="look", arguments="{}")


def result(call_id: str = "call_1", **fields: Any) -> Message:
    told: dict[str, Any] = {
        "call_id": ToolCallId(call_id),
        "content": "It is red.",
        **fields,
    }
    part = ToolResultPart(**told)
    return said(Role.TOOL, part)


def replay(*items: object, provider: str = "openai") -> Replay:
    payload = msgspec.json.encode({"output": items}).decode()
    return Replay(provider=provider, payload=payload)


def encode(
    *messages: Message,
    known: ModelInfo | None = None,
    is_openai: bool = True,
    **fields: Any,
) -> dict[str, Any]:
    """The body as it is sent."""
    asked: dict[str, Any] = {
        "model": "gpt-9",
        "messages": messages or (user("Hi."),),
        **fields,
    }
    body = encode_request(
        ChatRequest(**asked), known, provider="openai", is_openai=is_openai
    )
    return json.loads(msgspec.json.encode(body))


def inputs(*messages: Message, **fields: Any) -> list[dict[str, Any]]:
    return encode(*messages, **fields)["input"]


def options(**fields: Any) -> dict[str, Any]:
    return {"options": ChatOptions(**fields)}


def knowing(*capabilities: Capability) -> ModelInfo:
    return ModelInfo(provider="openai", model="gpt-9", capabilities=capabilities)


def output(text: str = "It is red.", call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


# The body


def test_a_plain_question_keeps_nothing_at_the_server() -> None:
    body = encode(system="Be brief.", cache_key="talk-1")

    assert body == {
        "model": "gpt-9",
        "instructions": "Be brief.",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi."}],
            }
        ],
        "stream": True,
        "store": False,
        "prompt_cache_key": "talk-1",
        "stream_options": {"include_obfuscation": False},
    }


def test_other_servers_are_not_asked_what_only_openai_knows() -> None:
    body = encode(is_openai=False, **options(max_tokens=1))

    assert body.keys() == {"model", "input", "stream", "store", "max_output_tokens"}
    assert body["max_output_tokens"] == 1


@pytest.mark.parametrize(("asked", "sent"), [(1, 16), (16, 16), (17, 17)])
def test_openai_is_asked_for_no_fewer_tokens_than_it_takes(
    asked: int, sent: int
) -> None:
    assert encode(**options(max_tokens=asked))["max_output_tokens"] == sent


def test_options_that_the_protocol_does_not_have_are_left_out() -> None:
    body = encode(
        **options(
            temperature=0.5,
            top_p=0.9,
            top_k=5,
            min_p=0.1,
            seed=1,
            frequency_penalty=1.0,
            presence_penalty=1.0,
        )
    )

    assert (body["temperature"], body["top_p"]) == (0.5, 0.9)
    assert body.keys().isdisjoint({"top_k", "min_p", "seed"})


def test_stop_words_are_refused_rather_than_forgotten() -> None:
    with pytest.raises(InvalidRequestFailure, match="Leave `stop` out"):
        encode(**options(stop=("END",)))


def test_a_model_that_does_not_sample_is_asked_for_no_temperature() -> None:
    asked = options(temperature=0.5)

    assert "temperature" not in encode(known=knowing(Capability.TOOLS), **asked)
    assert "temperature" in encode(known=knowing(Capability.SAMPLING), **asked)


def test_effort_brings_a_readable_summary() -> None:
    body = encode(**options(effort=Effort.HIGH))

    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert "include" not in body


def test_no_effort_brings_no_summary() -> None:
    assert encode(**options(effort=Effort.NONE))["reasoning"] == {"effort": "none"}


def test_a_model_known_to_reason_is_asked_for_a_summary_in_any_case() -> None:
    body = encode(known=knowing(Capability.REASONING))

    assert body["reasoning"] == {"summary": "auto"}
    assert "reasoning" not in encode(known=knowing())


def test_other_servers_are_asked_for_the_reasoning_that_goes_back() -> None:
    body = encode(is_openai=False, **options(effort=Effort.LOW))

    assert body["include"] == ["reasoning.encrypted_content"]


def test_tools_are_flat_and_say_that_they_are_not_strict() -> None:
    body = encode(tools=(LOOK,))

    assert body["tools"] == [
        {
            "type": "function",
            "name": "look",
            "description": "Looks.",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "strict": False,
        }
    ]
    assert body.keys().isdisjoint({"tool_choice", "parallel_tool_calls"})


@pytest.mark.parametrize("schema", ["{}", "[]", "no JSON", '{"type":"object"}'])
def test_a_tool_always_says_that_it_takes_an_object(schema: str) -> None:
    tool = ToolDefinition(name="look", description="", schema=schema)

    parameters = encode(tools=(tool,))["tools"][0]["parameters"]

    assert parameters == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (ToolChoice(), "auto"),
        (ToolChoice(mode=ToolMode.NONE), "none"),
        (ToolChoice(mode=ToolMode.REQUIRED), "required"),
        (ToolChoice(tool="look"), {"type": "function", "name": "look"}),
        (ToolChoice(tool="web_search"), {"type": "web_search"}),
    ],
)
def test_the_choice_of_a_tool_is_sent(choice: ToolChoice, sent: object) -> None:
    body = encode(tools=(LOOK,), tool_choice=choice, has_parallel_calls=False)

    assert body["tool_choice"] == sent
    assert body["parallel_tool_calls"] is False


def test_without_tools_there_is_nothing_to_choose() -> None:
    body = encode(tool_choice=ToolChoice(), has_parallel_calls=False)

    assert body.keys().isdisjoint({"tools", "tool_choice", "parallel_tool_calls"})


def test_hosted_tools_are_asked_for_by_name_and_others_left_out() -> None:
    body = encode(**options(hosted_tools=("web_search", "code_interpreter", "magic")))

    assert body["tools"] == [
        {"type": "web_search"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ]


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "string"}}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "is_strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "required": "a"}, False),
        ({**CLOSED, "properties": None}, False),
        ({**CLOSED, "$defs": {"b": {"type": "object"}}}, False),
        ({**CLOSED, "anyOf": [{"type": "object"}, 5]}, False),
    ],
)
def test_the_shape_of_the_answer_is_strict_where_that_is_possible(
    schema: object, *, is_strict: bool
) -> None:
    body = encode(**options(schema=json.dumps(schema)))

    assert body["text"] == {
        "format": {
            "type": "json_schema",
            "name": "answer",
            "schema": schema,
            "strict": is_strict,
        }
    }


def test_a_schema_that_is_none_is_said_before_anybody_is_asked() -> None:
    with pytest.raises(InvalidInputFailure, match="JSON Schema"):
        encode(**options(schema="{"))


def test_tokens_are_counted_of_what_the_model_reads() -> None:
    request = ChatRequest(
        model="gpt-9",
        messages=(user("Hi."),),
        system="Be brief.",
        tools=(LOOK,),
        cache_key="talk-1",
        options=ChatOptions(max_tokens=20, effort=Effort.LOW),
    )
    body = encode_request(request, None, provider="openai", is_openai=True)

    counted = encode_count(body)

    assert counted.keys() == {"model", "input", "instructions", "tools", "reasoning"}


def test_no_half_of_a_pair_is_sent() -> None:
    body = encode(user("a\ud800b\0"), system="\ud800", cache_key="k\ud800")

    assert body["input"][0]["content"][0]["text"] == "a\ufffdb"
    assert body["instructions"] == "\ufffd"


# The history


def test_images_and_files_go_in() -> None:
    paper = FilePart(name="a.pdf", media_type="application/pdf", data=b"pdf")
    prompt = said(Role.USER, TextPart(text="See."), TextPart(text=""), IMAGE, paper)

    assert inputs(prompt)[0]["content"] == [
        {"type": "input_text", "text": "See."},
        {
            "type": "input_image",
            "image_url": "data:image/png;base64,cG5n",
            "detail": "auto",
        },
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": "data:application/pdf;base64,cGRm",
        },
    ]


def test_an_answer_is_told_in_parts_without_its_reasoning() -> None:
    answer = said(
        Role.ASSISTANT,
        ReasoningPart(text="Hm."),
        TextPart(text="Yes."),
        TextPart(text=""),
        RefusalPart(text="But no."),
        RefusalPart(text=""),
        SourcePart(title="A"),
        IMAGE,
    )

    assert inputs(user("Hi."), answer, user("So?"))[1] == {
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "output_text", "text": "Yes.", "annotations": []},
            {"type": "refusal", "refusal": "But no."},
        ],
    }


def test_a_message_that_says_nothing_is_left_out() -> None:
    empty = said(Role.ASSISTANT, ReasoningPart(text="Hm."))

    assert len(inputs(user("Hi."), empty, user(""), user("So?"))) == 2


def test_a_later_note_of_the_system_comes_from_the_developer() -> None:
    note = said(Role.SYSTEM, TextPart(text="Be brief."))

    assert inputs(user("Hi."), note)[1] == {
        "type": "message",
        "role": "developer",
        "content": [{"type": "input_text", "text": "Be brief."}],
    }


def test_a_call_and_its_result_are_items_of_their_own() -> None:
    answer = said(Role.ASSISTANT, TextPart(text="Let me look."), call())

    assert inputs(user("Hi."), answer, result())[1:] == [
        {
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "output_text", "text": "Let me look.", "annotations": []}
            ],
        },
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "look",
            "arguments": "{}",
        },
        output(),
    ]


def test_a_call_without_a_result_and_a_result_without_a_call_are_left_out() -> None:
    answer = said(Role.ASSISTANT, TextPart(text="Hm."), call("a"))

    assert [item["type"] for item in inputs(user("Hi."), answer, result("b"))] == [
        "message",
        "message",
    ]


def test_ids_of_other_providers_are_made_fit() -> None:
    answer = said(Role.ASSISTANT, call("functions.look:0"))

    items = inputs(user("Hi."), answer, result("functions.look:0"))

    assert [item.get("call_id") for item in items] == [None, "call_0", "call_0"]


def test_an_error_and_images_of_a_tool_are_told() -> None:
    answer = said(Role.ASSISTANT, call())
    broken = result(is_error=True, content="No light.", images=(IMAGE,))

    assert inputs(user("Hi."), answer, broken)[2]["output"] == [
        {"type": "input_text", "text": "Error: No light."},
        {
            "type": "input_image",
            "image_url": "data:image/png;base64,cG5n",
            "detail": "auto",
        },
    ]


def test_a_picture_without_words_is_told_alone() -> None:
    answer = said(Role.ASSISTANT, call())

    told = inputs(user("Hi."), answer, result(content="", images=(IMAGE,)))

    assert [part["type"] for part in told[2]["output"]] == ["input_image"]


# Answers that go back as they came


def test_an_answer_goes_back_as_it_came() -> None:
    answer = said(
        Role.ASSISTANT,
        TextPart(text="Let me look."),
        call(),
        replay=replay(THOUGHT, SPOKEN, THOUGHT, ASKED),
    )

    assert inputs(user("Hi."), answer, result())[1:] == [
        THOUGHT,
        SPOKEN,
        THOUGHT,
        ASKED,
        output(),
    ]


def test_an_answer_goes_back_byte_for_byte() -> None:
    item = '{"type":"message", "n":1e400,"content":[ ]}'
    kept = Replay(provider="openai", payload=f'{{"output":[{item}]}}')
    request = ChatRequest(
        model="gpt-9", messages=(said(Role.ASSISTANT, TextPart(text="x"), replay=kept),)
    )

    body = encode_request(request, None, provider="openai", is_openai=True)

    assert item.encode() in msgspec.json.encode(body)


def test_another_model_gets_neither_the_reasoning_nor_the_ids_tied_to_it() -> None:
    search = {"type": "web_search_call", "id": "ws_1"}
    answer = said(
        Role.ASSISTANT,
        call(),
        model="openai:gpt-8",
        replay=replay(THOUGHT, SPOKEN, search, ASKED),
    )

    spoken = {name: value for name, value in SPOKEN.items() if name != "id"}
    asked = {name: value for name, value in ASKED.items() if name != "id"}
    assert inputs(user("Hi."), answer, result())[1:] == [spoken, asked, output()]


@pytest.mark.parametrize(
    "kept",
    [
        replay(SPOKEN, provider="xai"),
        Replay(provider="openai", payload='{"role":"assistant","content":"Yes."}'),
        Replay(provider="openai", payload='[{"type":"text","text":"Yes."}]'),
        Replay(provider="openai", payload="no JSON"),
        replay({"id": "msg_1"}),
        replay({"type": "function_call", "name": "look"}),
        replay({"type": "function_call", "name": "", "call_id": "c"}),
        replay({"type": "function_call", "name": "my tool!", "call_id": "c"}),
        replay({"type": "function_call", "name": "x" * 65, "call_id": "c"}),
        replay("item"),
    ],
)
def test_what_was_kept_in_another_shape_is_written_anew(kept: Replay) -> None:
    answer = said(Role.ASSISTANT, TextPart(text="Yes."), replay=kept)

    assert inputs(user("Hi."), answer)[1]["content"] == [
        {"type": "output_text", "text": "Yes.", "annotations": []}
    ]


def test_a_call_without_a_result_takes_its_reasoning_with_it() -> None:
    answer = said(
        Role.ASSISTANT,
        TextPart(text="Let me look."),
        call(),
        replay=replay(SPOKEN, THOUGHT, ASKED),
    )

    assert inputs(user("Hi."), answer, user("Stop."))[1:-1] == [SPOKEN]


def test_reasoning_that_led_to_nothing_stays_here() -> None:
    answer = said(Role.ASSISTANT, TextPart(text="x"), replay=replay(SPOKEN, THOUGHT))

    assert inputs(user("Hi."), answer)[1:] == [SPOKEN]


def test_calls_that_have_the_same_id_in_two_answers_are_kept_apart() -> None:
    first = said(Role.ASSISTANT, call(), replay=replay(ASKED))

    items = inputs(user("Hi."), first, result(), first, result(content="Blue."))

    assert items[1:] == [
        ASKED,
        output(),
        {**ASKED, "call_id": "call_0"},
        output("Blue.", "call_0"),
    ]


@pytest.mark.parametrize("model", ["openai:gpt-9", "openai:gpt-8"])
def test_a_call_with_a_number_that_no_one_can_read_gets_another_id(model: str) -> None:
    odd = '{"type":"function_call","call_id":"call_1","name":"look","n":1e400}'
    kept = Replay(provider="openai", payload=f'{{"output":[{odd}]}}')
    first = said(Role.ASSISTANT, call(), replay=replay(ASKED))
    second = said(Role.ASSISTANT, call(), model=model, replay=kept)
    request = ChatRequest(model="gpt-9", messages=(first, result(), second, result()))

    body = encode_request(request, None, provider="openai", is_openai=True)

    assert (
        b'{"type":"function_call","call_id":"call_0","name":"look","n":1e400},'
        b'{"type":"function_call_output","call_id":"call_0",'
    ) in msgspec.json.encode(body)


def test_an_answer_that_was_kept_without_one_of_its_calls_is_written_anew() -> None:
    answer = said(Role.ASSISTANT, call("a"), call("b"), replay=replay(SPOKEN))

    items = inputs(user("Hi."), answer, result("a"), result("b"))

    assert [item["type"] for item in items[1:]] == [
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
    ]


def test_the_result_of_a_free_tool_has_a_type_of_its_own() -> None:
    free = {"type": "custom_tool_call", "call_id": "call_1", "name": "sql", "input": ""}
    answer = said(Role.ASSISTANT, call(), replay=replay(free))

    items = inputs(user("Hi."), answer, result())

    assert items[1:] == [free, {**output(), "type": "custom_tool_call_output"}]
