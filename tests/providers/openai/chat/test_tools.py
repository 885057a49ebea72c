import msgspec
import pytest

from tina.domain.chat import ChatOptions, ChatRequest
from tina.domain.tools import ToolChoice, ToolDefinition, ToolMode
from tina.providers.lenient import Wire
from tina.providers.openai.chat.quirks import ChatQuirks, WebSearch
from tina.providers.openai.chat.tools import encode_tools, hosted_tools, is_closed

LOOK = ToolDefinition(name="look", description="Look out of the window.")


def fields_of(
    *tools: ToolDefinition,
    quirks: ChatQuirks | None = None,
    choice: ToolChoice | None = None,
    has_parallel_calls: bool = True,
    hosted: tuple[str, ...] = (),
) -> Wire:
    request = ChatRequest(
        model="m",
        messages=(),
        tools=tools,
        tool_choice=choice,
        has_parallel_calls=has_parallel_calls,
        options=ChatOptions(hosted_tools=hosted),
    )
    fields = encode_tools(request, quirks or ChatQuirks())
    return msgspec.json.decode(msgspec.json.encode(fields), type=Wire)


def wire_tool(parameters: object, **rest: object) -> Wire:
    function = {
        "name": "look",
        "description": "Look out of the window.",
        "parameters": parameters,
    }
    return {"type": "function", "function": {**function, **rest}}


CLOSED: Wire = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
NOTHING: Wire = {"type": "object", "properties": {}}
SCHEMAS = [
    pytest.param('{"type":"object"}', NOTHING, id="properties-added"),
    pytest.param("{}", NOTHING, id="type-added"),
    pytest.param('{"type":["object","null"]}', NOTHING, id="type-made-an-object"),
    pytest.param("", NOTHING, id="no-schema"),
    pytest.param("[" * 99_999, NOTHING, id="deep"),
    pytest.param(
        '{"properties":{"a":{"const":12345678901234567890123}}}',
        {
            "type": "object",
            "properties": {"a": {"const": 12345678901234567890123}},
        },
        id="as-it-is",
    ),
]


@pytest.mark.parametrize(("schema", "parameters"), SCHEMAS)
def test_a_tool_takes_an_object_with_properties(schema: str, parameters: Wire) -> None:
    tool = msgspec.structs.replace(LOOK, schema=schema)

    assert fields_of(tool) == {"tools": [wire_tool(parameters)]}


def test_a_schema_that_leaves_nothing_open_is_promised_to_be_kept() -> None:
    closed = msgspec.structs.replace(LOOK, schema=msgspec.json.encode(CLOSED).decode())

    strict = fields_of(closed, LOOK, quirks=ChatQuirks(strict=True))
    loose = fields_of(closed)

    assert strict["tools"] == [wire_tool(CLOSED, strict=True), wire_tool(NOTHING)]
    assert loose["tools"] == [wire_tool(CLOSED)]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (CLOSED, True),
        (NOTHING, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "required": 3}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "properties": {"a": CLOSED}}, True),
        ({**CLOSED, "properties": {"a": NOTHING}}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, NOTHING]}}}, False),
        ({**CLOSED, "properties": 3, "required": []}, True),
        ({"anyOf": [CLOSED]}, False),
        (3, False),
    ],
)
def test_a_schema_is_closed_if_every_object_in_it_is(
    schema: object, expected: bool
) -> None:
    assert is_closed(schema) is expected


def test_a_schema_too_deep_to_look_at_is_not_closed() -> None:
    schema: Wire = {}
    for _ in range(20_000):
        schema = {"items": schema}

    assert not is_closed({**CLOSED, "properties": {"a": schema}})


CHOICES = [
    (ToolChoice(), "auto"),
    (ToolChoice(mode=ToolMode.NONE), "none"),
    (ToolChoice(mode=ToolMode.REQUIRED), "required"),
    (
        ToolChoice(mode=ToolMode.REQUIRED, tool="look"),
        {"type": "function", "function": {"name": "look"}},
    ),
]


@pytest.mark.parametrize(("choice", "expected"), CHOICES)
def test_a_choice_is_told_where_the_server_knows_of_choices(
    choice: ToolChoice, expected: object
) -> None:
    told = fields_of(LOOK, choice=choice)
    untold = fields_of(LOOK, choice=choice, quirks=ChatQuirks(tool_choice=False))

    assert told["tool_choice"] == expected
    assert "tool_choice" not in untold
    assert ("tools" in untold) is (choice.mode is not ToolMode.NONE)


def test_one_call_at_a_time_is_told_where_the_server_knows_of_it() -> None:
    told = fields_of(LOOK, has_parallel_calls=False)
    untold = fields_of(
        LOOK, has_parallel_calls=False, quirks=ChatQuirks(parallel_tool_calls=False)
    )

    assert told["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in untold
    assert "parallel_tool_calls" not in fields_of(LOOK)


def test_without_tools_nothing_is_said_of_them() -> None:
    choice = ToolChoice(mode=ToolMode.REQUIRED)

    assert fields_of(choice=choice, has_parallel_calls=False) == {}


@pytest.mark.parametrize(
    ("search", "fields"),
    [
        (WebSearch.NONE, {}),
        (WebSearch.PLUGINS, {"plugins": [{"id": "web"}]}),
        (WebSearch.WEB_SEARCH_OPTIONS, {"web_search_options": {}}),
    ],
)
def test_the_server_searches_the_web_if_it_can_and_was_asked(
    search: WebSearch, fields: Wire
) -> None:
    quirks = ChatQuirks(web_search=search)

    assert fields_of(quirks=quirks, hosted=("web_search", "other")) == fields
    assert fields_of(quirks=quirks) == {}
    offered = [tool.name for tool in hosted_tools(quirks)]
    assert offered == (["web_search"] if fields else [])
