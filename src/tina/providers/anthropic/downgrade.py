"""The same request without what its server does not know.

Compatible servers and older models refuse what newer models expect, and the other way
round. What a refusal names is left out, and what goes with it: it is tried only once.

Pure.

Source: Anthropic API reference, "Errors"; documentation, "Adaptive thinking", "Effort",
"Extended thinking"; "bound to a different conversation" is the vendor's own wording.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tina.domain.failures import InvalidRequestFailure, ProviderFailure
from tina.providers.anthropic.messages import as_user_text
from tina.providers.anthropic.replay import THINKING, type_of
from tina.providers.errors import server_words
from tina.providers.lenient import Wire, is_list, is_mapping, text_of

_STATUSES = frozenset({400, 422, 500})
_SAMPLING = ("temperature", "top_p", "top_k")
_MARK = "cache_control"

Lessen = Callable[[Wire, str], Wire]
"""Makes the lesser body from a body and what the server said, in lower case."""


class _Rule(NamedTuple):
    """What is done if a refusal begins so; the first that changes a body counts."""

    named: re.Pattern[str]
    lessen: Lessen


def without(body: Wire, failure: ProviderFailure) -> Wire | None:
    """The body without what the failure says is unknown; None if it says no such."""
    if not isinstance(failure, InvalidRequestFailure):
        return None
    if failure.status not in _STATUSES:
        return None
    said = f"{failure.param or ''} {server_words(failure)}".lower()
    for rule in _RULES:
        if rule.named.match(said):
            lesser = rule.lessen(body, said)
            if lesser != body:
                return lesser
    return None


def _without_fields(body: Wire, *names: str) -> Wire:
    return {name: value for name, value in body.items() if name not in names}


def _forget_thoughts(body: Wire, _said: str) -> Wire:
    """Without any thinking of the history: it is signed for another one."""
    thoughtless = [_without_thoughts(wire) for wire in _wires(body, "messages")]
    lesser: Wire = {**body, "messages": [wire for wire in thoughtless if wire]}
    if text_of(body.get("thinking"), "type") == "enabled":
        # With a budget, an answer that called tools has to begin with its thinking.
        return _without_fields(lesser, "thinking")
    return lesser


def _without_thoughts(wire: Wire) -> Wire:
    content = wire["content"]
    blocks = content if is_list(content) else ()
    kept = [block for block in blocks if type_of(block) not in THINKING]
    return {**wire, "content": kept} if kept else {}


def _lessen_length(body: Wire, said: str) -> Wire:
    """As long as the model can answer: the server names the number."""
    found = _LONGEST.search(said)
    asked = body.get("max_tokens")
    if found is None or not isinstance(asked, int) or int(found[1]) >= asked:
        return body
    return {**body, "max_tokens": int(found[1])}


def _lessen_sampling(body: Wire, said: str) -> Wire:
    if "both" in said and "temperature" in body and "top_p" in body:
        return _without_fields(body, "top_p")
    return _without_fields(body, *_SAMPLING)


def _unmark(body: Wire, _said: str) -> Wire:
    lesser = dict(body)
    for name in ("tools", "system"):
        if name in body:
            lesser[name] = [_unmarked(block) for block in _wires(body, name)]
    lesser["messages"] = [
        {**wire, "content": [_unmarked(block) for block in _items(wire["content"])]}
        for wire in _wires(body, "messages")
    ]
    return lesser


def _unmarked(block: object) -> object:
    if not is_mapping(block):
        return block
    return {name: value for name, value in block.items() if name != _MARK}


def _lessen_choice(body: Wire, said: str) -> Wire:
    choice = body.get("tool_choice")
    if not is_mapping(choice):
        return body
    lesser = dict(choice)
    if "parallel" in said:
        lesser.pop("disable_parallel_tool_use", None)
    elif choice.get("type") in ("any", "tool"):
        lesser.pop("name", None)
        lesser["type"] = "auto"
    else:
        return _without_fields(body, "tool_choice")
    if lesser == {"type": "auto"}:
        return _without_fields(body, "tool_choice")
    return {**body, "tool_choice": lesser}


def _lessen_display(body: Wire, _said: str) -> Wire:
    thinking = body.get("thinking")
    if not is_mapping(thinking):
        return body
    lesser = {name: value for name, value in thinking.items() if name != "display"}
    return {**body, "thinking": lesser}


def _lessen_effort(body: Wire, said: str) -> Wire:
    """Where all efforts are unknown, so is the thinking that goes with them."""
    effort = text_of(body.get("output_config"), "effort")
    lesser = _without_output(body, "effort")
    if not effort or re.search(rf"\b{re.escape(effort)}\b", said):
        return lesser
    return _without_fields(lesser, "thinking")


def _lessen_format(body: Wire, _said: str) -> Wire:
    return _without_output(body, "format")


def _lessen_output(body: Wire, _said: str) -> Wire:
    return _without_fields(body, "output_config", "thinking")


def _without_output(body: Wire, name: str) -> Wire:
    output = body.get("output_config")
    kept: Mapping[str, object] = output if is_mapping(output) else {}
    kept = {each: value for each, value in kept.items() if each != name}
    lesser = _without_fields(body, "output_config")
    return {**lesser, "output_config": kept} if kept else lesser


def _lessen_thinking(body: Wire, _said: str) -> Wire:
    return _without_output(_without_fields(body, "thinking"), "effort")


def _lessen_roles(body: Wire, _said: str) -> Wire:
    """Notes of the system become a part of the prompt before them."""
    messages: list[Wire] = []
    for wire in _wires(body, "messages"):
        if wire["role"] != "system":
            messages.append(wire)
            continue
        notes = [
            as_user_text(text_of(block, "text")) for block in _items(wire["content"])
        ]
        before = messages.pop()
        messages.append({**before, "content": [*_items(before["content"]), *notes]})
    return {**body, "messages": messages}


def _items(value: object) -> list[object]:
    return list(value) if is_list(value) else []


def _wires(body: Wire, name: str) -> list[Wire]:
    return [dict(item) for item in _items(body.get(name)) if is_mapping(item)]


_BOUND = "signature|bound to a different conversation"
_REFUSED = (
    r"(?=.*(?:support|permitted|allow|unexpected|unknown|unrecognized|deprecated|extra"
    r"|cannot|may not|may only|can only|must|compatible|invalid|not available|removed"
    r"|disabled|enabled))"
)


def _rule(named: str, lessen: Lessen) -> _Rule:
    return _Rule(re.compile(f"{_REFUSED}.*(?:{named})", re.DOTALL), lessen)


_LONGEST = re.compile(r"max_tokens\D{0,40}\d{1,9}\s*>\s*(\d{1,9})\b")
"""Of `max_tokens: 16384 > 8192, which is the maximum …`."""

_RULES = (
    _Rule(re.compile(f"(?s:.*)(?:{_BOUND})"), _forget_thoughts),
    _Rule(re.compile(r"(?s:.*)max_tokens"), _lessen_length),
    _rule(r"thinking.{0,40}blocks.{0,60}(?:modified|passed back)", _forget_thoughts),
    _rule(r"\b(?:temperature|top_p|top_k)\b", _lessen_sampling),
    _rule(r"cache_control", _unmark),
    _rule(r"tool_choice|parallel_tool_use", _lessen_choice),
    _rule(r"\bdisplay\b", _lessen_display),
    _rule(r"\beffort\b", _lessen_effort),
    _rule(r"output_config\.format|output_format|structured output", _lessen_format),
    _rule(r"output_config", _lessen_output),
    _rule(r"thinking|budget_tokens", _lessen_thinking),
    _rule(r"\brole\b|\bsystem\b", _lessen_roles),
)
