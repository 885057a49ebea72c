"""The grammar that every stream of events keeps, whatever a server sends."""

from collections.abc import Sequence

from tina.domain.events import (
    BlockEnd,
    BlockStart,
    Finish,
    KeepAlive,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
)
from tina.domain.text import is_clean


def check_stream(events: Sequence[StreamEvent], *, has_failed: bool) -> None:
    """Refuse what breaks the grammar.

    Raises:
        AssertionError: a block is not announced, is not ended or ends twice; there are
            two starts; the end is missing, not last, or there although it failed.
    """
    open_blocks: set[str] = set()
    seen: set[str] = set()
    said = [event for event in events if not isinstance(event, KeepAlive)]
    for place, event in enumerate(said):
        match event:
            case Start():
                assert place == 0, "a Start is the first event"
            case BlockStart(key=key):
                assert key not in seen, f"{key} begins twice"
                seen.add(key)
                open_blocks.add(key)
            case TextDelta(key=key, text=text):
                assert key in open_blocks, f"{key} speaks while it is closed"
                assert text, "an empty delta"
                assert is_clean(text), "text that no database holds"
            case ToolArgumentsDelta(key=key):
                assert key in open_blocks, f"{key} speaks while it is closed"
            case BlockEnd(key=key):
                assert key in open_blocks, f"{key} ends while it is closed"
                open_blocks.remove(key)
            case Finish():
                assert place == len(said) - 1, "something comes after the end"
                assert not has_failed, "an end although it failed"
            case _:
                continue
    assert not open_blocks, f"{open_blocks} never end"
    is_finished = bool(events) and isinstance(events[-1], Finish)
    assert is_finished is not has_failed, "exactly one terminal outcome"
