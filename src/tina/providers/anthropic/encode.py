"""A chat request → the JSON of Messages.

What the protocol has no place for is left out: a seed, penalties, `min_p`.

Pure.

Source: Anthropic API reference, "Messages".
"""

from tina.domain.chat import Capability, ChatOptions, ChatRequest, Effort, ModelInfo
from tina.domain.failures import InvalidInputFailure
from tina.domain.text import clean_text
from tina.providers.anthropic.caching import place_breakpoints
from tina.providers.anthropic.messages import Target, encode_messages, split_system
from tina.providers.anthropic.schemas import answer_schema
from tina.providers.anthropic.thinking import always_thinks, encode_thinking
from tina.providers.anthropic.tools import encode_choice, encode_tools, is_forced
from tina.providers.lenient import Wire

MAX_TOKENS = 32_000
"""Of an answer whose length nobody chose, though its model could write more."""
MAX_TOKENS_OF_LONG_THOUGHT = 64_000
"""The same where much thinking was asked for, which counts as a part of the answer."""
USUAL_MAX_TOKENS = 16_384
"""The same where nobody knows how much the model can write."""
_WINDOW_SHARE = 4
_LONG = frozenset({Effort.XHIGH, Effort.MAX})


def encode_request(
    request: ChatRequest,
    known: ModelInfo | None,
    *,
    provider: str,
    is_anthropic: bool,
) -> Wire:
    """The body of a request whose answer is streamed.

    Args:
        request: any.
        known: what the provider said of the model.
        provider: the name of its entry.
        is_anthropic: whether it is Anthropic itself.

    Raises:
        InvalidInputFailure: it says nothing, or holds a schema that is none.
    """
    max_tokens = answer_tokens(request.options, known)
    return {
        "model": clean_text(request.model),
        "max_tokens": max_tokens,
        "stream": True,
        **encode_prompt(request, known, provider=provider, is_anthropic=is_anthropic),
        **_encode_options(request, known, max_tokens=max_tokens),
    }


def encode_prompt(
    request: ChatRequest,
    known: ModelInfo | None,
    *,
    provider: str,
    is_anthropic: bool,
) -> Wire:
    """What the model reads: tools, system text and messages.

    Raises:
        InvalidInputFailure: it says nothing, or a tool's schema is none.
    """
    target = Target(provider, is_anthropic, _is_recent(known))
    tools = encode_tools(request, has_hosted=is_anthropic)
    system, history = split_system(request)
    messages = encode_messages(history, request, target)
    if not messages:
        raise InvalidInputFailure("There is nothing to ask: the message is empty.")
    place_breakpoints(tools, system, messages)
    wire: Wire = {"messages": messages}
    if system:
        wire["system"] = system
    if tools:
        wire["tools"] = tools
        choice = encode_choice(request, may_force=not always_thinks(known))
        if choice is not None:
            wire["tool_choice"] = choice
    return wire


def answer_tokens(options: ChatOptions, known: ModelInfo | None) -> int:
    """How long the answer may be: the protocol wants to be told."""
    if options.max_tokens is not None:
        return options.max_tokens
    if known is not None and known.output_tokens is not None:
        is_long = options.effort in _LONG
        cap = MAX_TOKENS_OF_LONG_THOUGHT if is_long else MAX_TOKENS
        return min(known.output_tokens, cap)
    if known is not None and known.context_tokens is not None:
        return max(1, min(USUAL_MAX_TOKENS, known.context_tokens // _WINDOW_SHARE))
    return USUAL_MAX_TOKENS


def _encode_options(
    request: ChatRequest, known: ModelInfo | None, *, max_tokens: int
) -> Wire:
    options = request.options
    thinking, effort = encode_thinking(
        options.effort, known, max_tokens=max_tokens, is_forced=is_forced(request)
    )
    output: Wire = {}
    if effort is not None:
        output["effort"] = effort.value
    if options.schema is not None:
        schema = answer_schema(options.schema)
        output["format"] = {"type": "json_schema", "schema": schema}
    stops = [stop for word in options.stop if (stop := clean_text(word))]
    wire: Wire = {
        "thinking": thinking,
        "output_config": output or None,
        "stop_sequences": stops or None,
        **_encode_sampling(options, known, thinking),
    }
    return {name: value for name, value in wire.items() if value is not None}


def _encode_sampling(
    options: ChatOptions, known: ModelInfo | None, thinking: Wire | None
) -> Wire:
    """Where the model's makers say nothing of it, it is tried."""
    capabilities = None if known is None else known.capabilities
    if capabilities is not None:
        is_thinking = thinking is not None and thinking["type"] != "disabled"
        if is_thinking or Capability.SAMPLING not in capabilities:
            return {}
    return {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
    }


def _is_recent(known: ModelInfo | None) -> bool:
    """Whether it is of the generation that knows notes of the system."""
    capabilities = None if known is None else known.capabilities
    return capabilities is not None and Capability.SAMPLING not in capabilities
