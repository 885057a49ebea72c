"""From two looks at a growing message to what was said between them. Pure."""

from collections.abc import Sequence

from tina.domain.events import (
    BlockKind,
    BlockStart,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
)
from tina.domain.messages import (
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)

_KINDS = {
    TextPart: BlockKind.TEXT,
    ReasoningPart: BlockKind.REASONING,
    RefusalPart: BlockKind.REFUSAL,
}


def events_between(
    before: Sequence[Part], after: Sequence[Part]
) -> tuple[StreamEvent, ...]:
    """What a model said from one look to the next, a block for each part.

    Parts that no model says while it streams (images, files, results) are left out.
    """
    events: list[StreamEvent] = []
    for place, part in enumerate(after):
        key = str(place)
        old = before[place] if place < len(before) else None
        if old is None:
            events.extend(_beginning(key, part))
        said = _said(part)[len("" if old is None else _said(old)) :]
        if said:
            events.append(_delta(key, part, said))
    return tuple(events)


def _beginning(key: str, part: Part) -> Sequence[StreamEvent]:
    match part:
        case TextPart() | ReasoningPart() | RefusalPart():
            return [BlockStart(key, _KINDS[type(part)])]
        case ToolCallPart(call_id=call_id, tool=tool):
            return [BlockStart(key, BlockKind.TOOL_CALL, call_id, tool)]
        case _:
            return []


def _said(part: Part) -> str:
    match part:
        case TextPart(text=text) | ReasoningPart(text=text) | RefusalPart(text=text):
            return text
        case ToolCallPart(arguments=arguments):
            return arguments
        case _:
            return ""


def _delta(key: str, part: Part, said: str) -> StreamEvent:
    if isinstance(part, ToolCallPart):
        return ToolArgumentsDelta(key, said)
    return TextDelta(key, said)
