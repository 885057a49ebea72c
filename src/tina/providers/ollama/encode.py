"""A chat request → the JSON of Ollama's `/api/chat`.

Nothing is cut in silence: by itself the server shortens a prompt that is too long, and
forgets the beginning when an answer fills the window. It is told to do neither.

Pure.

Source: Ollama API documentation, "Generate a chat completion"; "Thinking"; "Context
length".
"""

from collections.abc import Sequence

import msgspec

from tina.domain.chat import Capability, ChatOptions, ChatRequest, Effort, ModelInfo
from tina.domain.failures import InvalidInputFailure, InvalidRequestFailure
from tina.domain.text import clean_text
from tina.domain.tools import ToolDefinition, ToolMode
from tina.providers.lenient import UNREADABLE, Wire
from tina.providers.ollama.messages import encode_messages

_SCHEMAS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY_OBJECT = {"type": msgspec.Raw(b'"object"'), "properties": msgspec.Raw(b"{}")}
_THINK: dict[Effort, str | bool] = {
    Effort.NONE: False,
    Effort.MINIMAL: "low",
    Effort.LOW: "low",
    Effort.MEDIUM: "medium",
    Effort.HIGH: "high",
    Effort.XHIGH: "max",
    Effort.MAX: "max",
}


def encode_body(
    request: ChatRequest,
    known: ModelInfo | None,
    *,
    provider: str,
    window_tokens: int | None,
) -> Wire:
    """The body of a request whose answer is streamed.

    Args:
        request: any; a wish for a certain tool can only be met by offering no other.
        known: what the list of models says of the model.
        provider: the name of the entry.
        window_tokens: the window that the server makes room for; None leaves it to it.

    Raises:
        InvalidInputFailure: the schema for the answer is no JSON object.
        InvalidRequestFailure: it has tools, and the model is known to call none.
    """
    wire: Wire = {
        "model": clean_text(request.model),
        "messages": encode_messages(
            request, provider=provider, sees_images=_can(known, Capability.IMAGES)
        ),
        "tools": _encode_tools(request, known, provider),
        "format": _encode_format(request.options.schema),
        "think": _encode_think(request.options.effort, known),
        "options": _encode_options(request.options, window_tokens),
        "truncate": False,
        "shift": False,
        "stream": True,
    }
    return _without_none(wire)


def _encode_tools(
    request: ChatRequest, known: ModelInfo | None, provider: str
) -> list[Wire] | None:
    tools = _offered(request)
    if tools and not _can(known, Capability.TOOLS):
        raise InvalidRequestFailure(
            f"{request.model!r} of {provider} cannot call tools. Ask without tools, or "
            "ask a model that can: `tina models list` shows what each of them can do."
        )
    return [_encode_tool(tool) for tool in tools] or None


def _offered(request: ChatRequest) -> Sequence[ToolDefinition]:
    choice = request.tool_choice
    if choice is None:
        return request.tools
    if choice.mode is ToolMode.NONE:
        return ()
    return [tool for tool in request.tools if choice.tool in (None, tool.name)]


def _encode_tool(tool: ToolDefinition) -> Wire:
    function: Wire = {
        "name": clean_text(tool.name),
        "description": clean_text(tool.description),
        "parameters": _parameters(tool.schema),
    }
    return {"type": "function", "function": function}


def _parameters(schema: str) -> Wire:
    """The schema as it is; the server needs what an object may leave out."""
    try:
        return {**_ANY_OBJECT, **_SCHEMAS.decode(schema), "type": _ANY_OBJECT["type"]}
    except UNREADABLE:
        return {**_ANY_OBJECT}


def _encode_format(schema: str | None) -> Wire | None:
    if schema is None:
        return None
    try:
        return {**_SCHEMAS.decode(schema)}
    except UNREADABLE as error:
        raise InvalidInputFailure(
            "The schema for the answer is no JSON object. Check it with any JSON tool."
        ) from error


def _encode_think(effort: Effort | None, known: ModelInfo | None) -> str | bool | None:
    """None if nobody asked, or the model is known not to think: it would be refused.

    Of a model that nobody knows it is asked nevertheless: the server refuses what
    cannot be, and is then asked again without it.
    """
    if effort is None or not _can(known, Capability.REASONING):
        return None
    return _THINK[effort]


def _encode_options(options: ChatOptions, window_tokens: int | None) -> Wire | None:
    wire: Wire = {
        "num_ctx": window_tokens,
        "num_predict": options.max_tokens,
        "stop": [clean_text(word) for word in options.stop] or None,
        "seed": options.seed,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "min_p": options.min_p,
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
    }
    return _without_none(wire) or None


def _can(known: ModelInfo | None, capability: Capability) -> bool:
    """Whether the model can, as far as anybody knows."""
    if known is None or known.capabilities is None:
        return True
    return capability in known.capabilities


def _without_none(wire: Wire) -> Wire:
    return {name: value for name, value in wire.items() if value is not None}
