"""What a server does not know → the same body without it.

Each refusal names what it means in its message, mostly as the path of a parameter.
Taken out is only what the answer can do without; what a person asked for by name, such
as a tool or the shape of the answer, stays, and then the refusal is shown.

Source: OpenAI API reference, "Error codes"; what OpenAI, Azure and compatible servers
say of these parameters.

Pure.
"""

import re
from collections.abc import Callable

import msgspec

from tina.domain.failures import InvalidRequestFailure, ProviderFailure
from tina.providers.errors import server_words
from tina.providers.lenient import Wire, is_list, is_mapping
from tina.providers.openai.responses.replay import portable_item

_UNKNOWN = re.compile(
    r"unsupported|unknown|unrecogni[sz]ed|unexpected|not (?:be )?(?:supported|permitted"
    r"|allowed|available)|does ?n[o']t support|extra inputs|additional propert"
    r"|invalid value|must be verified",
    re.IGNORECASE,
)
_SUMMARY = re.compile(r"reasoning[._ ]summar", re.IGNORECASE)
_UNVERIFIED = re.compile(
    r"invalid_encrypted_content"
    r"|encrypted[_ ]content.{0,200}(?:verif|decrypt|parse|invalid)"
    r"|without its required (?:'reasoning'|following) item",
    re.IGNORECASE | re.DOTALL,
)
_ENCRYPTED = re.compile(r"\binclude\b|encrypted[_. ]content", re.IGNORECASE)
_STRICT = re.compile(r"\bstrict\b", re.IGNORECASE)
_SAMPLING = re.compile(r"\b(?:temperature|top_p)\b", re.IGNORECASE)

Change = Callable[[Wire], Wire]


def without_unknown(body: Wire, failure: ProviderFailure) -> Wire | None:
    """The body without what the failure says is unknown; None if it says no such."""
    if not isinstance(failure, InvalidRequestFailure):
        return None
    said = f"{failure.param or ''} {failure.code or ''} {server_words(failure)}"
    if _UNVERIFIED.search(said):
        return _changed(body, _without_reasoning_items)
    if not _UNKNOWN.search(said):
        return None
    for pattern, change in _CHANGES:
        if pattern.search(said) and (lesser := _changed(body, change)) is not None:
            return lesser
    return _without_effort(body, said)


def _changed(body: Wire, change: Change) -> Wire | None:
    lesser = change(body)
    return None if lesser == body else lesser


def _drop(*names: str) -> Change:
    return lambda body: {
        name: value for name, value in body.items() if name not in names
    }


def _drop_inside(outer: str, inner: str) -> Change:
    def change(body: Wire) -> Wire:
        value = body.get(outer)
        if not is_mapping(value):
            return body
        rest = {name: field for name, field in value.items() if name != inner}
        return {**body, outer: rest} if rest else _drop(outer)(body)

    return change


def _without_strict(body: Wire) -> Wire:
    lesser = dict(body)
    tools, text = body.get("tools"), body.get("text")
    if is_list(tools):
        lesser["tools"] = [
            _drop("strict")(dict(tool)) if is_mapping(tool) else tool for tool in tools
        ]
    if is_mapping(text) and is_mapping(text.get("format")):
        lesser["text"] = _drop_inside("format", "strict")(dict(text))
    return lesser


def _without_reasoning_items(body: Wire) -> Wire:
    """What was said before, as any other model would get it."""
    items = body.get("input")
    if not is_list(items):
        return body
    portable = (_portable(item) for item in items)
    return {**body, "input": [item for item in portable if item is not None]}


def _portable(item: object) -> object | None:
    """The item; of an answer that came back as it was, what any model takes."""
    if isinstance(item, msgspec.Raw):
        return portable_item(item)
    return _drop("id")(dict(item)) if is_mapping(item) else item


def _without_effort(body: Wire, said: str) -> Wire | None:
    """Without the effort, if its value is what is refused."""
    reasoning = body.get("reasoning")
    effort = reasoning.get("effort") if is_mapping(reasoning) else None
    if not (isinstance(effort, str) and re.search(rf"'{re.escape(effort)}'", said)):
        return None
    return _drop_inside("reasoning", "effort")(body)


_CHANGES: tuple[tuple[re.Pattern[str], Change], ...] = (
    (_SUMMARY, _drop_inside("reasoning", "summary")),
    (re.compile(r"reasoning[._]effort"), _drop_inside("reasoning", "effort")),
    (_ENCRYPTED, _drop("include")),
    (_ENCRYPTED, _without_reasoning_items),
    (_SAMPLING, _drop("temperature", "top_p")),
    (re.compile("prompt_cache_key"), _drop("prompt_cache_key")),
    (re.compile("stream_options|include_obfuscation"), _drop("stream_options")),
    (re.compile("parallel_tool_calls"), _drop("parallel_tool_calls")),
    (_STRICT, _without_strict),
    (re.compile(r"\breasoning\b", re.IGNORECASE), _drop("reasoning", "include")),
)
