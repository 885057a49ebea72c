"""A chat request → the body of a response to create.

Nothing is kept at the server: every request tells everything. The protocol has no place
for a seed, penalties and the like, which are left out; nor for stop words, which change
what an answer is, so that they are refused.

Source: OpenAI API reference, "Create a model response".
"""

from collections.abc import Mapping

from tina.domain.chat import Capability, ChatOptions, ChatRequest, Effort, ModelInfo
from tina.domain.failures import InvalidInputFailure, InvalidRequestFailure
from tina.domain.text import clean_text
from tina.domain.tools import HostedTool, ToolChoice, ToolDefinition
from tina.providers.lenient import Wire, is_list, is_mapping, read_json
from tina.providers.openai.responses.history import encode_history

HOSTED_TOOLS = (
    HostedTool(
        name="web_search", description="Searches the web and cites what it finds."
    ),
    HostedTool(
        name="code_interpreter",
        description="Runs Python in a container of the provider's, to calculate.",
    ),
)
"""Those whose results are text, and that need nothing set up before.

Images have no place in an answer, and a search in files wants the ids of stores.
"""

_HOSTED_WIRES: Mapping[str, Wire] = {
    "web_search": {"type": "web_search"},
    "code_interpreter": {"type": "code_interpreter", "container": {"type": "auto"}},
}
_FEWEST_TOKENS = 16
"""OpenAI refuses a smaller limit."""
_COUNTED = (
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "text",
)


def encode_request(
    request: ChatRequest,
    known: ModelInfo | None,
    *,
    provider: str,
    is_openai: bool,
) -> Wire:
    """The body of a request whose answer is streamed.

    Raises:
        InvalidInputFailure: the schema of the answer is none.
        InvalidRequestFailure: there are stop words.
    """
    if request.options.stop:
        raise InvalidRequestFailure(
            f"{provider} has no place for stop words. Leave `stop` out, or write "
            f'protocol = "openai-chat" under [providers.{provider}] in config.toml.'
        )
    body: Wire = {
        "model": clean_text(request.model),
        "input": encode_history(request, provider=provider),
        "stream": True,
        "store": False,
        **_encode_tools(request),
        **_encode_reasoning(request.options, known, is_openai=is_openai),
        **_encode_options(request.options, known, is_openai=is_openai),
    }
    if request.system:
        body["instructions"] = clean_text(request.system)
    if request.cache_key:
        body["prompt_cache_key"] = clean_text(request.cache_key)
    if is_openai:
        body["stream_options"] = {"include_obfuscation": False}
    return body


def encode_count(body: Wire) -> Wire:
    """The body that asks how many tokens such a request has."""
    return {name: body[name] for name in _COUNTED if name in body}


def _encode_tools(request: ChatRequest) -> Wire:
    hosted = request.options.hosted_tools
    tools = [_encode_tool(tool) for tool in request.tools]
    tools += [_HOSTED_WIRES[name] for name in hosted if name in _HOSTED_WIRES]
    if not tools:
        return {}
    wire: Wire = {"tools": tools}
    if request.tool_choice is not None:
        wire["tool_choice"] = _encode_choice(request.tool_choice)
    if not request.has_parallel_calls:
        wire["parallel_tool_calls"] = False
    return wire


def _encode_tool(tool: ToolDefinition) -> Wire:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": _parameters(tool.schema),
        # Left out it would mean true, and schemas of other people seldom allow that.
        "strict": False,
    }


def _parameters(schema: str) -> Wire:
    """The schema of an object that names its properties: some servers need both."""
    parsed = read_json(schema.encode("utf-8", "replace"))
    wire: Wire = {"type": "object", "properties": {}}
    return wire | dict(parsed) if is_mapping(parsed) else wire


def _encode_choice(choice: ToolChoice) -> object:
    if choice.tool is None:
        return choice.mode.value
    if choice.tool in _HOSTED_WIRES:
        return {"type": choice.tool}
    return {"type": "function", "name": choice.tool}


def _encode_reasoning(
    options: ChatOptions, known: ModelInfo | None, *, is_openai: bool
) -> Wire:
    """What a model that reasons is asked; others refuse the very question."""
    effort = options.effort
    if effort is None and not _can(known, Capability.REASONING, unknown=False):
        return {}
    if effort is Effort.NONE:
        return {"reasoning": {"effort": effort.value}}
    # Without a summary there would be nothing to read.
    reasoning: Wire = {"summary": "auto"}
    if effort is not None:
        reasoning["effort"] = effort.value
    # OpenAI gives it without being asked; where nothing is stored it has to go back.
    include = {} if is_openai else {"include": ["reasoning.encrypted_content"]}
    return {"reasoning": reasoning, **include}


def _encode_options(
    options: ChatOptions, known: ModelInfo | None, *, is_openai: bool
) -> Wire:
    wire: Wire = {}
    limit = options.max_tokens
    if limit is not None:
        wire["max_output_tokens"] = max(limit, _FEWEST_TOKENS) if is_openai else limit
    if _can(known, Capability.SAMPLING, unknown=True):
        chosen = {"temperature": options.temperature, "top_p": options.top_p}
        wire |= {name: value for name, value in chosen.items() if value is not None}
    if options.schema is not None:
        wire["text"] = {"format": _encode_format(options.schema)}
    return wire


def _encode_format(schema: str) -> Wire:
    parsed = read_json(schema.encode("utf-8", "replace"))
    if not is_mapping(parsed):
        raise InvalidInputFailure(
            "The schema for the answer is no JSON Schema. Write an object, for "
            'example {"type":"object","properties":{}}.'
        )
    return {
        "type": "json_schema",
        "name": "answer",
        "schema": parsed,
        "strict": _is_strict(parsed),
    }


def _is_strict(schema: object) -> bool:
    """Whether each object in it is closed and needs all that it has.

    Only then the server can hold the model to it; others it refuses to.
    """
    waiting: list[object] = [schema]
    while waiting:
        node = waiting.pop()
        if is_list(node):
            waiting += node
        elif is_mapping(node):
            waiting += node.values()
            if node.get("type") == "object" and not _is_closed(node):
                return False
    return True


def _is_closed(node: Mapping[str, object]) -> bool:
    properties, required = node.get("properties"), node.get("required")
    return (
        node.get("additionalProperties") is False
        and is_mapping(properties)
        and is_list(required)
        and all(name in required for name in properties)
    )


def _can(known: ModelInfo | None, capability: Capability, *, unknown: bool) -> bool:
    """Whether the model can do it; `unknown` is the answer if nobody said."""
    if known is None or known.capabilities is None:
        return unknown
    return capability in known.capabilities
