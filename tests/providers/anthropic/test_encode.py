import msgspec
import pytest

from tests.providers.anthropic.histories import (
    ADAPTIVE,
    ALWAYS,
    BY_BUDGET,
    OLDEST,
    answer,
    note,
    options,
    plain,
    request,
    unmarked,
    user,
)
from tina.domain.chat import ChatOptions, ChatRequest, Effort, ModelInfo
from tina.domain.failures import InvalidInputFailure
from tina.domain.messages import Message
from tina.domain.tools import ToolChoice, ToolDefinition
from tina.providers.anthropic.encode import (
    MAX_TOKENS,
    MAX_TOKENS_OF_LONG_THOUGHT,
    USUAL_MAX_TOKENS,
    answer_tokens,
    encode_request,
)
from tina.providers.lenient import Wire

LOOK = ToolDefinition(name="look", description="Looks.")
SMALL = ModelInfo(provider="local", model="m", context_tokens=2_048)


def body_of(
    asked: ChatRequest, known: ModelInfo | None = None, *, is_anthropic: bool = True
) -> Wire:
    return plain(
        encode_request(asked, known, provider="anthropic", is_anthropic=is_anthropic)
    )


def options_in(body: Wire) -> Wire:
    prompt = ("model", "max_tokens", "stream", "messages")
    return {name: value for name, value in body.items() if name not in prompt}


def test_the_least_request_is_small() -> None:
    mark = {"type": "ephemeral"}

    assert body_of(request(user("Hi"))) == {
        "model": "claude",
        "max_tokens": USUAL_MAX_TOKENS,
        "stream": True,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi", "cache_control": mark}],
            }
        ],
    }


def test_the_system_text_is_a_block_of_its_own() -> None:
    body = body_of(request(note("Be kind."), user("Hi"), system="Be brief."))

    assert unmarked(body["system"]) == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Be kind."},
    ]


@pytest.mark.parametrize("history", [(user(" "),), (note("Be kind."),)])
def test_nothing_cannot_be_asked(history: tuple[Message, ...]) -> None:
    with pytest.raises(InvalidInputFailure, match="nothing to ask"):
        body_of(request(*history))


LENGTHS: list[tuple[ModelInfo | None, ChatOptions, int]] = [
    (None, ChatOptions(), USUAL_MAX_TOKENS),
    (ADAPTIVE, ChatOptions(max_tokens=7), 7),
    (ADAPTIVE, ChatOptions(max_tokens=0), 0),
    (ADAPTIVE, ChatOptions(), MAX_TOKENS),
    (ADAPTIVE, ChatOptions(effort=Effort.MAX), MAX_TOKENS_OF_LONG_THOUGHT),
    (BY_BUDGET, ChatOptions(effort=Effort.HIGH), MAX_TOKENS),
    (OLDEST, ChatOptions(), 8_192),
    (SMALL, ChatOptions(), 512),
    (msgspec.structs.replace(SMALL, context_tokens=2), ChatOptions(), 1),
    (ModelInfo(provider="local", model="m"), ChatOptions(), USUAL_MAX_TOKENS),
]


@pytest.mark.parametrize(("known", "chosen", "tokens"), LENGTHS)
def test_an_answer_has_a_length(
    known: ModelInfo | None, chosen: ChatOptions, tokens: int
) -> None:
    assert answer_tokens(chosen, known) == tokens


def test_options_are_sent_as_the_protocol_knows_them() -> None:
    chosen = options(
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        min_p=0.1,
        seed=3,
        frequency_penalty=1.0,
        presence_penalty=1.0,
        stop=["###", ""],
        schema='{"type":"object"}',
        effort="low",
    )

    assert options_in(body_of(request(user("Hi"), options=chosen))) == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "stop_sequences": ["###"],
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {
            "effort": "low",
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "additionalProperties": False},
            },
        },
    }


SAMPLING: list[tuple[ModelInfo | None, Effort | None, bool]] = [
    (None, None, True),
    (None, Effort.HIGH, True),
    (OLDEST, None, True),
    (OLDEST, Effort.HIGH, True),
    (BY_BUDGET, None, True),
    (BY_BUDGET, Effort.NONE, True),
    (BY_BUDGET, Effort.HIGH, False),
    (ADAPTIVE, None, False),
    (ALWAYS, None, False),
]


@pytest.mark.parametrize(("known", "effort", "is_sent"), SAMPLING)
def test_sampling_is_sent_where_it_is_allowed(
    known: ModelInfo | None, effort: Effort | None, *, is_sent: bool
) -> None:
    chosen = ChatOptions(temperature=0.5, effort=effort)

    assert ("temperature" in body_of(request(options=chosen), known)) is is_sent


def test_tools_have_a_choice() -> None:
    forced = request(user("Hi"), tools=(LOOK,), tool_choice=ToolChoice(tool="look"))

    assert body_of(forced)["tool_choice"] == {"type": "tool", "name": "look"}
    assert "tool_choice" not in body_of(forced, ALWAYS)
    assert "tool_choice" not in body_of(request(tool_choice=ToolChoice(tool="look")))


def test_hosted_tools_are_asked_of_anthropic_alone() -> None:
    asked = request(options=options(hosted_tools=["web_search"]))

    assert unmarked(body_of(asked)["tools"]) == [
        {"type": "web_search_20260318", "name": "web_search"}
    ]
    assert "tools" not in body_of(asked, is_anthropic=False)


@pytest.mark.parametrize(
    ("known", "roles"),
    [(None, ["user"]), (BY_BUDGET, ["user"]), (ADAPTIVE, ["user", "system"])],
)
def test_only_recent_models_know_later_notes(
    known: ModelInfo | None, roles: list[str]
) -> None:
    messages = body_of(request(user("Hi"), note("It is late.")), known)["messages"]

    assert [wire["role"] for wire in msgspec.convert(messages, list[Wire])] == roles


def test_the_same_request_is_the_same_bytes() -> None:
    asked = request(
        user("Hi"), answer("Well."), user("Go on"), tools=(LOOK,), system="Be brief."
    )
    encode = encode_request

    first = encode(asked, ADAPTIVE, provider="anthropic", is_anthropic=True)
    again = encode(asked, ADAPTIVE, provider="anthropic", is_anthropic=True)

    assert msgspec.json.encode(first) == msgspec.json.encode(again)


def test_half_characters_are_never_sent() -> None:
    body = body_of(
        request(user("a\ud800b"), system="\ud800", model="m\0", options=ChatOptions())
    )

    assert body["model"] == "m"
    assert "a\ufffdb" in str(body["messages"])
