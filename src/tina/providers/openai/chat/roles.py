"""Messages in the order of roles that strict servers want. Pure."""

from collections.abc import Sequence

from tina.providers.lenient import Wire, is_list

_INSTRUCTIONS = frozenset({"developer", "system"})
_GROWING = ("content", "reasoning", "reasoning_content")


def joined_answers(wires: Sequence[Wire]) -> list[Wire]:
    """Answers that follow each other without a prompt between them are one.

    Such as one that was interrupted, and the rest of it.
    """
    joined: list[Wire] = []
    for wire in wires:
        before = joined[-1] if joined else None
        if before and before["role"] == wire["role"] == "assistant":
            joined[-1] = _continued(before, wire)
        else:
            joined.append(wire)
    return joined


def alternated(wires: Sequence[Wire]) -> list[Wire]:
    """One system message, first; later ones are prompts, and neighbors are one."""
    alternating: list[Wire] = []
    for wire in wires:
        before = alternating[-1] if alternating else None
        is_late = before is not None and before["role"] not in _INSTRUCTIONS
        if is_late and wire["role"] in _INSTRUCTIONS:
            wire = {**wire, "role": "user"}
        if before and before["role"] == wire["role"] != "tool":
            alternating[-1] = _together(before, wire)
        else:
            alternating.append(wire)
    return joined_answers(alternating)


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
