import copy

import msgspec
import pytest

from tests.providers.anthropic.histories import (
    answer,
    call,
    note,
    options,
    plain,
    request,
    result,
    user,
)
from tina.domain.chat import Capability, ChatOptions, Effort, ModelInfo
from tina.domain.failures import ProviderFailure
from tina.domain.tools import ToolChoice, ToolDefinition
from tina.providers.anthropic.downgrade import without
from tina.providers.anthropic.encode import encode_request
from tina.providers.errors import failure_for_response
from tina.providers.lenient import Wire

LOOK = ToolDefinition(name="look", description="Looks.")
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
HIDDEN = {"type": "redacted_thinking", "data": "x"}
WORDS = {"type": "text", "text": "Well."}
RECENT = ModelInfo(
    provider="anthropic", model="claude", capabilities=(Capability.REASONING,)
)


def refusal(said: str, status: int = 400) -> ProviderFailure:
    body = {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": said},
    }
    return failure_for_response(
        status, msgspec.json.encode(body), {}, model="claude", provider="anthropic"
    )


def body_of(known: ModelInfo | None = None, **rest: object) -> Wire:
    asked = request(
        user("Hi"),
        answer(call("1"), replay=[THOUGHT, HIDDEN, used("1")]),
        result("1"),
        note("It is late."),
        tools=(LOOK,),
        system="Be brief.",
        tool_choice=ToolChoice(tool="look"),
        options=ChatOptions(
            temperature=0.5,
            top_p=0.9,
            top_k=3,
            effort=Effort.XHIGH,
            schema='{"type":"object"}',
        ),
    )
    asked = msgspec.structs.replace(asked, **rest)
    return encode_request(asked, known, provider="anthropic", is_anthropic=True)


def used(call_id: str) -> Wire:
    return {"type": "tool_use", "id": call_id, "name": "look", "input": {}}


def changes(body: Wire, said: str, status: int = 400) -> dict[str, object]:
    """The fields that are different in the lesser body; None for what is gone."""
    lesser = without(body, refusal(said, status))
    assert lesser is not None
    before, after = plain(body), plain(lesser)
    names = before.keys() | after.keys()
    return {n: after.get(n) for n in names if after.get(n) != before.get(n)}


FORMAT = {
    "type": "json_schema",
    "schema": {"type": "object", "additionalProperties": False},
}
REFUSALS: list[tuple[str, dict[str, object]]] = [
    (
        "`temperature` is deprecated for this model.",
        {"temperature": None, "top_p": None, "top_k": None},
    ),
    (
        "top_k: Extra inputs are not permitted",
        {"temperature": None, "top_p": None, "top_k": None},
    ),
    ("`temperature` and `top_p` cannot both be specified.", {"top_p": None}),
    (
        "`temperature` may only be set to 1 when thinking is enabled.",
        {"temperature": None, "top_p": None, "top_k": None},
    ),
    (
        "Thinking may not be enabled when tool_choice forces tool use.",
        {"tool_choice": None},
    ),
    ("tool_choice: unsupported", {"tool_choice": None}),
    (
        "thinking.adaptive.display: Extra inputs are not permitted",
        {"thinking": {"type": "adaptive"}},
    ),
    (
        "adaptive thinking is not supported on this model",
        {"thinking": None, "output_config": {"format": FORMAT}},
    ),
    (
        "This model does not support the effort parameter.",
        {"thinking": None, "output_config": {"format": FORMAT}},
    ),
    (
        "Effort 'xhigh' is not supported: low, medium and high are.",
        {"output_config": {"format": FORMAT}},
    ),
    (
        "output_config.format: not supported by this model",
        {"output_config": {"effort": "xhigh"}},
    ),
    (
        "Structured outputs are not supported.",
        {"output_config": {"effort": "xhigh"}},
    ),
    (
        "output_config: Extra inputs are not permitted",
        {"output_config": None, "thinking": None},
    ),
]


@pytest.mark.parametrize(("said", "expected"), REFUSALS)
def test_what_a_refusal_names_is_left_out(
    said: str, expected: dict[str, object]
) -> None:
    assert changes(body_of(), said) == expected


@pytest.mark.parametrize("status", [400, 422, 500])
def test_servers_refuse_with_different_statuses(status: int) -> None:
    assert "top_k" in changes(body_of(), "top_k is not supported", status)


def test_a_field_may_be_named_beside_the_words() -> None:
    said = b'{"detail":[{"loc":["body","top_k"],"msg":"Extra inputs not permitted"}]}'
    failure = failure_for_response(422, said, {}, model="m")

    lesser = without(body_of(), failure)

    assert lesser is not None
    assert "top_k" not in lesser


NO_HELP = [
    (400, "max_tokens: must be greater than 0"),
    (400, "messages: text content blocks must be non-empty"),
    (400, ""),
    (400, "temperature: 0.5"),
    (400, "prompt is too long: 9 tokens"),
    (401, "temperature is not supported"),
    (404, "temperature is not supported"),
    (409, "temperature is not supported"),
    (413, "temperature is not supported"),
    (429, "temperature is not supported"),
    (503, "temperature is not supported"),
]


@pytest.mark.parametrize(("status", "said"), NO_HELP)
def test_what_names_nothing_of_the_request_is_no_reason(status: int, said: str) -> None:
    assert without(body_of(), refusal(said, status)) is None


LEAST = [
    "temperature is not supported",
    "tool_choice is not supported",
    "disable_parallel_tool_use is not supported",
    "display is not supported",
    "effort is not supported",
    "output_config is not supported",
    "output_config.format is not supported",
    "thinking is not supported",
    "unexpected role",
    "signature: Field required",
]


@pytest.mark.parametrize("said", LEAST)
def test_what_is_not_in_the_request_cannot_be_left_out(said: str) -> None:
    asked = request(user("Hi"), answer("Well."), user("Go on"))
    body = encode_request(asked, None, provider="anthropic", is_anthropic=True)

    assert without(body, refusal(said)) is None


def test_marks_of_the_cache_are_taken_off_everywhere() -> None:
    body = body_of()
    assert b"cache_control" in msgspec.json.encode(body)

    lesser = without(body, refusal("cache_control: Extra inputs are not permitted"))

    assert b"cache_control" not in msgspec.json.encode(lesser)
    assert b'"signature":"c2ln"' in msgspec.json.encode(lesser)


def test_marks_are_taken_off_where_there_is_neither_tool_nor_system_text() -> None:
    body = body_of(tools=(), system=None, tool_choice=None)

    changed = changes(body, "cache_control: unknown field")

    assert list(changed) == ["messages"]


BOUND = [
    "messages.1.content.0: Invalid `signature` in `thinking` block: "
    "it is bound to a different conversation",
    "messages.1.content.0.thinking.signature: Field required",
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot "
    "be modified.",
]


@pytest.mark.parametrize("said", BOUND)
def test_thinking_that_is_bound_elsewhere_is_forgotten(said: str) -> None:
    body = body_of()

    changed = changes(body, said)

    assert list(changed) == ["messages"]
    assert "thinking" not in str(changed["messages"])
    assert used("1") in contents(changed)


def contents(body: dict[str, object]) -> list[object]:
    messages = msgspec.convert(body["messages"], list[dict[str, object]])
    return [
        block
        for wire in messages
        for block in msgspec.convert(wire["content"], list[object])
    ]


def test_an_answer_of_thinking_alone_is_forgotten_whole() -> None:
    body: Wire = {
        "messages": [
            {"role": "user", "content": [WORDS]},
            {
                "role": "assistant",
                "content": [msgspec.Raw(msgspec.json.encode(THOUGHT))],
            },
        ]
    }

    lesser = without(body, refusal("signature: invalid"))

    assert lesser == {"messages": [{"role": "user", "content": [WORDS]}]}


def test_with_a_budget_thinking_stops_when_it_is_forgotten() -> None:
    body = {**body_of(), "thinking": {"type": "enabled", "budget_tokens": 1024}}

    assert changes(body, "signature: invalid")["thinking"] is None


CHOICES = [
    ({"type": "any"}, "tool_choice: not supported", None),
    (
        {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
        "tool_choice: not supported",
        {"type": "auto", "disable_parallel_tool_use": True},
    ),
    (
        {"type": "any", "disable_parallel_tool_use": True},
        "tool_choice.disable_parallel_tool_use: unknown",
        {"type": "any"},
    ),
    (
        {"type": "auto", "disable_parallel_tool_use": True},
        "tool_choice.disable_parallel_tool_use: unknown",
        None,
    ),
    ({"type": "none"}, "tool_choice.type 'none' is not supported", None),
]


@pytest.mark.parametrize(("choice", "said", "expected"), CHOICES)
def test_a_choice_becomes_a_lesser_one(choice: Wire, said: str, expected: Wire) -> None:
    assert changes({**body_of(), "tool_choice": choice}, said) == {
        "tool_choice": expected
    }


def test_who_cannot_stop_thinking_is_not_asked_to() -> None:
    body = body_of(options=options(effort="none"))

    assert changes(body, "thinking: cannot be disabled") == {"thinking": None}
    assert without(body, refusal("display: not permitted")) is None


@pytest.mark.parametrize(
    "said", ["messages.3.role: unexpected value", "unsupported role: system"]
)
def test_notes_become_text_of_the_prompt(said: str) -> None:
    body = body_of(known=RECENT)

    messages = msgspec.convert(changes(body, said)["messages"], list[Wire])

    assert [wire["role"] for wire in messages] == ["user", "assistant", "user"]
    assert "<system>\\nIt is late.\\n</system>" in str(messages[-1])


def test_the_first_body_stays_as_it_is() -> None:
    body = body_of(known=RECENT)
    before = msgspec.json.encode(copy.copy(body))

    for said in (*(said for said, _ in REFUSALS), *BOUND, "cache_control unknown"):
        without(body, refusal(said))

    assert msgspec.json.encode(body) == before


@pytest.mark.parametrize(
    ("asked", "said", "left"),
    [
        pytest.param(
            16_384,
            "max_tokens: 16384 > 8192, which is the maximum allowed number of output "
            "tokens for this model",
            8_192,
            id="its-longest",
        ),
        pytest.param(4_096, "max_tokens: 16384 > 8192", None, id="not-ours"),
        pytest.param(16_384, "max_tokens: 16384 is too many", None, id="no-number"),
    ],
)
def test_an_answer_is_asked_for_as_long_as_the_model_can(
    asked: int, said: str, left: int | None
) -> None:
    body: Wire = {"model": "m", "max_tokens": asked, "messages": []}

    refusal = b'{"error":{"type":"invalid_request_error","message":"%s"}}'
    failure = failure_for_response(400, refusal % said.encode(), {}, model="m")

    lesser = without(body, failure)

    assert (None if lesser is None else lesser["max_tokens"]) == left
