import msgspec
import pytest

from tina.domain.failures import InvalidInputFailure
from tina.providers.anthropic.schemas import MAX_DEPTH, answer_schema, tool_schema

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}
SCHEMAS = [
    pytest.param(OPEN, CLOSED, id="object"),
    pytest.param({"properties": {}}, {"properties": {}, "additionalProperties": False}),
    pytest.param(
        {"type": ["object", "null"]},
        {"type": ["object", "null"], "additionalProperties": False},
        id="perhaps-an-object",
    ),
    pytest.param({"type": "string"}, {"type": "string"}, id="text"),
    pytest.param(
        {**OPEN, "additionalProperties": True},
        {**OPEN, "additionalProperties": True},
        id="said-otherwise",
    ),
    pytest.param(
        {"type": "array", "items": OPEN, "prefixItems": [OPEN, True]},
        {"type": "array", "items": CLOSED, "prefixItems": [CLOSED, True]},
        id="items",
    ),
    pytest.param({"anyOf": [OPEN]}, {"anyOf": [CLOSED]}, id="choices"),
    pytest.param({"$defs": {"x": OPEN}}, {"$defs": {"x": CLOSED}}, id="definitions"),
    pytest.param(
        {"type": "object", "properties": {"properties": OPEN, "type": OPEN}},
        {
            "type": "object",
            "properties": {"properties": CLOSED, "type": CLOSED},
            "additionalProperties": False,
        },
        id="fields-named-like-keywords",
    ),
    pytest.param({"const": OPEN, "enum": [OPEN]}, {"const": OPEN, "enum": [OPEN]}),
    pytest.param({"$defs": 3, "anyOf": 3}, {"$defs": 3, "anyOf": 3}, id="odd"),
]


@pytest.mark.parametrize(("schema", "closed"), SCHEMAS)
def test_objects_of_an_answer_have_no_other_fields(
    schema: object, closed: object
) -> None:
    assert answer_schema(msgspec.json.encode(schema).decode()) == closed


def test_arguments_of_a_tool_are_an_object() -> None:
    assert tool_schema("{}", tool="a") == {"type": "object", "properties": {}}
    assert tool_schema('{"required":["x"],"properties":{"x":{}}}', tool="a") == {
        "type": "object",
        "properties": {"x": {}},
        "required": ["x"],
    }


@pytest.mark.parametrize("schema", ["", "{", "[]", "3", "\ud800", "[" * 100_000])
def test_what_is_no_schema_is_refused(schema: str) -> None:
    with pytest.raises(InvalidInputFailure, match="The schema of the answer is no"):
        answer_schema(schema)
    with pytest.raises(InvalidInputFailure, match="the tool 'look' is no"):
        tool_schema(schema, tool="look")


def nested(levels: int) -> str:
    return '{"not":' * levels + "{}" + "}" * levels


def test_a_schema_has_a_deepest_level() -> None:
    answer_schema(nested(MAX_DEPTH - 1))
    answer_schema(nested(MAX_DEPTH))
    with pytest.raises(InvalidInputFailure, match="64 levels"):
        answer_schema(nested(MAX_DEPTH + 1))
    with pytest.raises(InvalidInputFailure, match="64 levels"):
        tool_schema('{"enum":' + "[" * 65 + "]" * 65 + "}", tool="look")
