"""Tools, as chat completions are told of them.

Source: OpenAI API reference, "Create chat completion", `tools` and `tool_choice`;
"Structured outputs", supported schemas; OpenRouter documentation, "Web search".
"""

from collections.abc import Mapping

import msgspec

from tina.domain.chat import ChatRequest
from tina.domain.text import clean_text
from tina.domain.tools import HostedTool, ToolDefinition, ToolMode
from tina.providers.lenient import UNREADABLE, Wire, is_list, is_mapping, read_json
from tina.providers.openai.chat.quirks import ChatQuirks, WebSearch

_WEB_SEARCH = HostedTool(
    name="web_search", description="Search the web before answering."
)
_SEARCHES: Mapping[WebSearch, Wire] = {
    WebSearch.NONE: {},
    WebSearch.PLUGINS: {"plugins": [{"id": "web"}]},
    WebSearch.WEB_SEARCH_OPTIONS: {"web_search_options": {}},
}
_SCHEMAS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY_OBJECT = {"type": msgspec.Raw(b'"object"'), "properties": msgspec.Raw(b"{}")}


def hosted_tools(quirks: ChatQuirks) -> tuple[HostedTool, ...]:
    return () if quirks.web_search is WebSearch.NONE else (_WEB_SEARCH,)


def encode_tools(request: ChatRequest, quirks: ChatQuirks) -> Wire:
    """The fields that say what may be called, and what must be."""
    wire = _encode_hosted(request, quirks)
    choice = request.tool_choice
    is_forbidden = choice is not None and choice.mode is ToolMode.NONE
    if not request.tools or (is_forbidden and not quirks.tool_choice):
        return wire
    wire["tools"] = [_encode_tool(tool, quirks) for tool in request.tools]
    if choice is not None and quirks.tool_choice:
        wire["tool_choice"] = (
            str(choice.mode)
            if choice.tool is None
            else {"type": "function", "function": {"name": choice.tool}}
        )
    if not request.has_parallel_calls and quirks.parallel_tool_calls:
        wire["parallel_tool_calls"] = False
    return wire


def _encode_hosted(request: ChatRequest, quirks: ChatQuirks) -> Wire:
    if _WEB_SEARCH.name not in request.options.hosted_tools:
        return {}
    return dict(_SEARCHES[quirks.web_search])


def _encode_tool(tool: ToolDefinition, quirks: ChatQuirks) -> Wire:
    function: Wire = {
        "name": clean_text(tool.name),
        "description": clean_text(tool.description),
        "parameters": _parameters(tool.schema),
    }
    if quirks.strict and is_closed(read_json(tool.schema.encode())):
        function["strict"] = True
    return {"type": "function", "function": function}


def _parameters(schema: str) -> Mapping[str, msgspec.Raw]:
    """The schema as it is; some servers need what an object may leave out."""
    try:
        return _ANY_OBJECT | _SCHEMAS.decode(schema) | {"type": _ANY_OBJECT["type"]}
    except UNREADABLE:
        return _ANY_OBJECT


def is_closed(schema: object) -> bool:
    """Whether each object in the schema names all it has, and wants all of it.

    What may be left out, or added, cannot be promised exactly, and is refused.
    """
    try:
        return is_mapping(schema) and schema.get("type") == "object" and _closed(schema)
    except RecursionError:
        return False


def _closed(schema: object) -> bool:
    if is_list(schema):
        return all(map(_closed, schema))
    if not is_mapping(schema):
        return True
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required")
        named = set(properties) if is_mapping(properties) else set[str]()
        wanted = required if is_list(required) else ()
        if schema.get("additionalProperties") is not False or named - {*wanted}:
            return False
    return all(map(_closed, schema.values()))
