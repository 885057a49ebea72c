"""Answers, read as any reader has to understand them."""

from tina.domain.events import (
    StreamEvent,
    ToolArgumentsDelta,
    merge_deltas,
)


def joined(events: list[StreamEvent]) -> list[StreamEvent]:
    """Neighboring deltas as one: what any cut must give."""
    whole: list[StreamEvent] = []
    for event in merge_deltas(events):
        last = whole[-1] if whole else None
        if (
            isinstance(event, ToolArgumentsDelta)
            and isinstance(last, ToolArgumentsDelta)
            and event.key == last.key
        ):
            whole[-1] = ToolArgumentsDelta(event.key, last.fragment + event.fragment)
        else:
            whole.append(event)
    return whole
