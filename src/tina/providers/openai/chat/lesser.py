"""The same request without what its server said that it does not know.

A server names the field, or only describes it; only what it says is unknown or not
supported is left out, since everything else would be refused again.

Source: the refusals of OpenAI, Mistral, Groq, Cerebras, Fireworks, DeepSeek, xAI, vLLM
and llama.cpp.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from tina.domain.failures import InvalidRequestFailure, ProviderFailure
from tina.providers.errors import server_words
from tina.providers.lenient import Wire, is_list, is_mapping
from tina.providers.openai.chat.options import instructions_for

_UNKNOWN = re.compile(
    r"unsupported|unknown|unrecognized|unexpected|unavailable|incompatible|invalid_type"
    r"|deprecated|extra_forbidden|extra (inputs?|fields?)|additional propert"
    r"|(not|n't|cannot|no longer|no endpoints found that) (be )?(currently )?"
    r"(support|permit|allow|accept|available|recogni|used?\b|valid|expect|set\b)"
    r"|only .{0,40}(support|allow)|must be (omitted|removed|default)",
    re.IGNORECASE,
)
_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_OTHERS = ("top_k", "min_p")
_HINTS = ("store", "prompt_cache_key")


def without(body: Wire, failure: ProviderFailure) -> Wire | None:
    """The body without what the failure says is unknown; None if it says no such."""
    if not isinstance(failure, InvalidRequestFailure):
        return None
    said = f"{server_words(failure)} {failure.code or ''} {failure.param or ''}"
    if not _UNKNOWN.search(said):
        return None
    # `reasoning_effort`, `reasoningEffort` and `reasoning effort` are one word.
    words = said.lower().replace("_", "")
    lesser = dict(body)
    for pattern, lessen in _LESSER:
        if pattern.search(words):
            lessen(lesser)
    return None if lesser == body else lesser


def _drop(*names: str) -> Callable[[Wire], None]:
    def drop(body: Wire) -> None:
        for name in names:
            body.pop(name, None)

    return drop


def _rename_limit(body: Wire) -> None:
    """Old servers know `max_tokens` alone, OpenAI's new models the other."""
    one, other = "max_tokens", "max_completion_tokens"
    if one in body:
        body[other] = body.pop(one)
    elif other in body:
        body[one] = body.pop(other)


def _as_system(body: Wire) -> None:
    messages = body.get("messages")
    body["messages"] = [
        {**wire, "role": "system"}
        if is_mapping(wire) and wire.get("role") == "developer"
        else wire
        for wire in (messages if is_list(messages) else ())
    ]


def _do_not_think(body: Wire) -> None:
    """Some models refuse tools unless they are told so; not to mention it is no way."""
    body["reasoning_effort"] = "none"


def _drop_padding(body: Wire) -> None:
    options = body.get("stream_options")
    if is_mapping(options):
        body["stream_options"] = {
            name: value
            for name, value in options.items()
            if name != "include_obfuscation"
        }


def _loosen(body: Wire) -> None:
    """No promise that schemas are kept exactly."""
    tools = body.get("tools")
    if is_list(tools):
        body["tools"] = [_loosened(tool, "function") for tool in tools]
    if "response_format" in body:
        body["response_format"] = _loosened(body["response_format"], "json_schema")


def _loosened(wire: object, name: str) -> object:
    inner = wire.get(name) if is_mapping(wire) else None
    if not (is_mapping(wire) and is_mapping(inner)):
        return wire
    kept = {name: value for name, value in inner.items() if name != "strict"}
    return {**wire, name: kept}


def _loosen_format(body: Wire) -> None:
    """JSON at least, and the schema in words; else in words alone."""
    wanted = body.get("response_format")
    shape = wanted.get("json_schema") if is_mapping(wanted) else None
    if not is_mapping(shape):
        body.pop("response_format", None)
        return
    body["response_format"] = {"type": "json_object"}
    messages = body.get("messages")
    schema = msgspec.json.encode(shape.get("schema")).decode("utf-8", "replace")
    told: Mapping[str, object] = {"role": "system", "content": instructions_for(schema)}
    body["messages"] = [told, *(messages if is_list(messages) else ())]


_LESSER: tuple[tuple[re.Pattern[str], Callable[[Wire], None]], ...] = tuple(
    (re.compile(pattern), lessen)
    for pattern, lessen in (
        (r"\bmax ?(completion ?)?tokens\b", _rename_limit),
        (r"\bdeveloper\b|\brole\b", _as_system),
        (r"\bincludeobfuscation\b", _drop_padding),
        (
            r"^(?!.*\bincludeobfuscation\b).*\b(stream ?options|includeusage)\b",
            _drop("stream_options"),
        ),
        (r"\bparallel ?tool ?calls\b", _drop("parallel_tool_calls")),
        (r"\btool ?choice\b", _drop("tool_choice")),
        (r"\bstrict\b", _loosen),
        (r"\btools?\b.*\breasoning ?effort\b", _do_not_think),
        (r"^(?!.*\btools?\b).*\breasoning ?effort\b", _drop("reasoning_effort")),
        (r"\btemperature\b|\btop ?p\b", _drop(*_SAMPLING, *_OTHERS)),
        (r"\b(frequency|presence) ?penalty\b", _drop(*_SAMPLING, *_OTHERS)),
        (r"\btop ?k\b|\bmin ?p\b", _drop(*_OTHERS)),
        (r"\b(random ?)?seed\b", _drop("seed", "random_seed")),
        (r"\bstop\b", _drop("stop")),
        (r"\bresponse ?format\b|\bjson ?schema\b", _loosen_format),
        (r"\bstore\b|\bprompt ?cache ?key\b", _drop(*_HINTS)),
        (r"\bweb ?search ?options\b", _drop("web_search_options")),
        (r"\bplugins\b", _drop("plugins")),
    )
)
