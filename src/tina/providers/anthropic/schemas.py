"""JSON Schemas, in the form that Messages accepts.

Pure.

Source: Anthropic documentation, "Structured outputs", JSON Schema limitations.
"""

from collections.abc import Iterable, Mapping

from tina.domain.failures import InvalidInputFailure
from tina.providers.lenient import Wire, is_list, is_mapping, read_json

MAX_DEPTH = 64
_NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "properties"})
"""Keywords whose value holds schemas by name."""
_LISTED = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE = frozenset({"additionalProperties", "else", "if", "items", "not", "then"})


def tool_schema(schema: str, *, tool: str) -> Wire:
    """The schema of a tool's arguments, an object in any case.

    Raises:
        InvalidInputFailure: it is no JSON object, or too deep.
    """
    value = _read(schema, f"The schema of the tool {tool!r}")
    return {"type": "object", "properties": {}, **value}


def answer_schema(schema: str) -> object:
    """The schema of an answer; its objects have no fields but those it names.

    Raises:
        InvalidInputFailure: it is no JSON object, or too deep.
    """
    return _closed(_read(schema, "The schema of the answer"))


def _read(schema: str, what: str) -> Mapping[str, object]:
    value = read_json(schema.encode("utf-8", "replace"))
    if not is_mapping(value):
        raise InvalidInputFailure(
            f"{what} is no JSON object. Check its braces and quotes."
        )
    if _is_deep(value, MAX_DEPTH):
        raise InvalidInputFailure(
            f"{what} is more than {MAX_DEPTH} levels deep. Make it flatter."
        )
    return value


def _is_deep(value: object, levels: int) -> bool:
    inner: Iterable[object] = ()
    if is_mapping(value):
        inner = value.values()
    elif is_list(value):
        inner = value
    return levels < 0 or any(_is_deep(each, levels - 1) for each in inner)


def _closed(schema: object) -> object:
    if not is_mapping(schema):
        return schema
    closed: Wire = {}
    for name, value in schema.items():
        if name in _NAMED and is_mapping(value):
            closed[name] = {key: _closed(each) for key, each in value.items()}
        elif name in _LISTED and is_list(value):
            closed[name] = [_closed(each) for each in value]
        elif name in _SINGLE:
            closed[name] = _closed(value)
        else:
            closed[name] = value
    if _is_object(schema):
        closed.setdefault("additionalProperties", False)
    return closed


def _is_object(schema: Mapping[str, object]) -> bool:
    kind = schema.get("type")
    kinds = kind if is_list(kind) else [kind]
    return "object" in kinds or "properties" in schema
