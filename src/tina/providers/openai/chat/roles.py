"""Messages in the order of roles that strict servers want. Pure."""

from collections.abc import Sequence

from tina.providers.lenient import Wire, is_list

_INSTRUCTIONS = frozenset({"developer", "system"})
_GROWING = ("content", "reasoning", "reasoning_content")


def joined(wires: Sequence[Wire]) -> list[Wire]:
    """Neighbors of one role are one message, since many servers refuse all else.

    Such as an answer that was interrupted and the rest of it, or a prompt that nobody
    answered and the next one. Results of tools stay apart.
    """
    apart: list[Wire] = []
    for wire in wires:
        role = wire["role"]
        if not apart or apart[-1]["role"] != role or role == "tool":
            apart.append(wire)
        elif role == "assistant":
            apart[-1] = _continued(apart[-1], wire)
        else:
            apart[-1] = _together(apart[-1], wire)
    return apart


def alternated(wires: Sequence[Wire]) -> list[Wire]:
    """One system message, first; later ones are prompts."""
    alternating: list[Wire] = []
    for wire in wires:
        is_late = alternating and alternating[-1]["role"] not in _INSTRUCTIONS
        if is_late and wire["role"] in _INSTRUCTIONS:
            wire = {**wire, "role": "user"}
        alternating.append(wire)
    return joined(alternating)


def _continued(before: Wire, wire: Wire) -> Wire:
    grown = {
        name: f"{before[name] or ''}{wire.get(name) or ''}"
        for name in _GROWING
        if name in before
    }
    return {**before, **wire, **grown}


def _together(before: Wire, wire: Wire) -> Wire:
    first, second = before["content"], wire["content"]
    if isinstance(first, str) and isinstance(second, str):
        return {**before, "content": f"{first}\n\n{second}"}
    return {**before, "content": [*_as_parts(first), *_as_parts(second)]}


def _as_parts(content: object) -> Sequence[object]:
    return content if is_list(content) else [{"type": "text", "text": content}]
