from datetime import UTC, datetime

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
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import ImagePart, Message, MessageStatus, Role, TextPart
from tina.domain.tools import ToolChoice, ToolDefinition, ToolMode
from tina.providers.ollama.encode import encode_body

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","maximum":9.50}}}'
LOOK = ToolDefinition(name="look", description="Look.", schema=SCHEMA)
HEAR = ToolDefinition(name="hear", description="Hear.")
HI = Message(
    id=MessageId("1"),
    conversation_id=ConversationId("2"),
    parent_id=None,
    role=Role.USER,
    status=MessageStatus.COMPLETE,
    parts=(TextPart(text="Hi"), ImagePart(media_type="image/png", data=b"x")),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def ask(
    *,
    options: ChatOptions | None = None,
    tools: tuple[ToolDefinition, ...] = (),
    choice: ToolChoice | None = None,
) -> ChatRequest:
    return ChatRequest(
        model="m",
        messages=(HI,),
        tools=tools,
        tool_choice=choice,
        options=options or ChatOptions(),
    )


def able(*capabilities: Capability) -> ModelInfo:
    return ModelInfo(provider="ollama", model="m", capabilities=capabilities)


def encode(
    request: ChatRequest,
    known: ModelInfo | None = None,
    *,
    window_tokens: int | None = None,
) -> dict[str, object]:
    body = encode_body(request, known, provider="ollama", window_tokens=window_tokens)
    return msgspec.json.decode(msgspec.json.encode(body), type=dict[str, object])


class SentTool(msgspec.Struct):
    type: str
    function: dict[str, object]


def tools_in(body: dict[str, object]) -> list[SentTool]:
    return msgspec.convert(body.get("tools", []), list[SentTool])


def test_a_plain_question_forbids_every_silent_cut() -> None:
    body = encode(ask(), window_tokens=16_384)

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi", "images": ["eA=="]}],
        "options": {"num_ctx": 16_384},
        "truncate": False,
        "shift": False,
        "stream": True,
    }


def test_nothing_is_said_of_options_that_nobody_chose() -> None:
    assert "options" not in encode(ask())


def test_every_option_has_its_name() -> None:
    options = ChatOptions(
        temperature=0.0,
        top_p=0.5,
        top_k=3,
        min_p=0.1,
        max_tokens=7,
        seed=0,
        frequency_penalty=0.2,
        presence_penalty=0.3,
        stop=("a", "b"),
    )

    assert encode(ask(options=options), window_tokens=2048)["options"] == {
        "num_ctx": 2048,
        "num_predict": 7,
        "stop": ["a", "b"],
        "seed": 0,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 3,
        "min_p": 0.1,
        "frequency_penalty": 0.2,
        "presence_penalty": 0.3,
    }


THINKS = [
    (Effort.NONE, False),
    (Effort.MINIMAL, "low"),
    (Effort.LOW, "low"),
    (Effort.MEDIUM, "medium"),
    (Effort.HIGH, "high"),
    (Effort.XHIGH, "max"),
    (Effort.MAX, "max"),
    (None, None),
]


@pytest.mark.parametrize("known", [None, able(Capability.REASONING)])
@pytest.mark.parametrize(("effort", "think"), THINKS)
def test_effort_says_whether_and_how_long_it_thinks(
    known: ModelInfo | None, effort: Effort | None, think: object
) -> None:
    body = encode(ask(options=ChatOptions(effort=effort)), known)

    assert body.get("think") == think


@pytest.mark.parametrize("effort", Effort)
def test_a_model_that_does_not_think_is_not_asked_to(effort: Effort) -> None:
    body = encode(ask(options=ChatOptions(effort=effort)), able(Capability.TOOLS))

    assert "think" not in body


def test_the_shape_of_the_answer_is_the_schema_itself() -> None:
    body = encode_body(
        ask(options=ChatOptions(schema=SCHEMA)),
        None,
        provider="ollama",
        window_tokens=None,
    )

    assert msgspec.json.encode(body["format"]).decode() == SCHEMA


@pytest.mark.parametrize("schema", ["[]", "{", "true"])
def test_a_schema_that_is_none_is_refused(schema: str) -> None:
    with pytest.raises(InvalidInputFailure, match="is no JSON object"):
        encode(ask(options=ChatOptions(schema=schema)))


def test_tools_are_functions_with_a_whole_schema() -> None:
    body = encode_body(
        ask(tools=(LOOK, HEAR)), None, provider="ollama", window_tokens=None
    )

    assert msgspec.json.encode(body["tools"]).decode() == (
        '[{"type":"function","function":{"name":"look","description":"Look.",'
        '"parameters":' + SCHEMA + "}},"
        '{"type":"function","function":{"name":"hear","description":"Hear.",'
        '"parameters":{"type":"object","properties":{}}}}]'
    )


@pytest.mark.parametrize("schema", ["", "3", "{}", '{"type":"string"}'])
def test_a_schema_of_a_tool_is_one_of_an_object_at_least(schema: str) -> None:
    tool = ToolDefinition(name="a", description="", schema=schema)

    (sent,) = tools_in(encode(ask(tools=(tool,))))

    assert sent.function["parameters"] == {"type": "object", "properties": {}}


CHOICES: list[tuple[ToolChoice | None, list[str]]] = [
    (None, ["look", "hear"]),
    (ToolChoice(), ["look", "hear"]),
    (ToolChoice(mode=ToolMode.REQUIRED), ["look", "hear"]),
    (ToolChoice(mode=ToolMode.REQUIRED, tool="hear"), ["hear"]),
    (ToolChoice(mode=ToolMode.NONE), []),
]


@pytest.mark.parametrize(("choice", "names"), CHOICES)
def test_a_choice_is_met_by_what_is_offered(
    choice: ToolChoice | None, names: list[str]
) -> None:
    body = encode(ask(tools=(LOOK, HEAR), choice=choice))

    assert [tool.function["name"] for tool in tools_in(body)] == names
    assert "tool_choice" not in body


def test_a_model_without_tools_says_so_instead_of_forgetting_them() -> None:
    with pytest.raises(InvalidRequestFailure, match="cannot call tools"):
        encode(ask(tools=(LOOK,)), able())


def test_tools_that_may_not_be_called_need_no_model_that_can() -> None:
    choice = ToolChoice(mode=ToolMode.NONE)

    assert "tools" not in encode(ask(tools=(LOOK,), choice=choice), able())


def test_pictures_go_only_to_models_that_see() -> None:
    seen = encode(ask(), able(Capability.IMAGES))["messages"]
    unseen = encode(ask(), able())["messages"]

    assert "images" in str(seen)
    assert "cannot see images" in str(unseen)
