"""What a provider says while it answers: one model for all protocols.

Blocks may overlap and end in any order. A stream holds one `Start`, and exactly one
`Finish` or `Failed`, last; every `BlockStart` has its `BlockEnd`.

Source: the union of the vendors' stream formats; `docs/design/answer-as-data.md`.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from tina.domain.chat import StopReason, Usage
from tina.domain.failures import FailureRecord
from tina.domain.ids import ToolCallId
from tina.domain.messages import Replay


class BlockKind(StrEnum):
    TEXT = "text"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"


class _Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="t"):
    """Not tracked by the cyclic collector: events hold no containers of events."""


class Start(_Event, frozen=True, gc=False, tag="start"):
    model: str
    response_id: str | None = None
    request_id: str | None = None


class BlockStart(_Event, frozen=True, gc=False, tag="block"):
    key: str
    """Opaque; names the block within one answer."""
    kind: BlockKind
    call_id: ToolCallId | None = None
    tool: str | None = None


class TextDelta(_Event, frozen=True, gc=False, tag="text"):
    """More text of a text, reasoning or refusal block."""

    key: str
    text: str


class ToolArgumentsDelta(_Event, frozen=True, gc=False, tag="arguments"):
    key: str
    fragment: str


class BlockEnd(_Event, frozen=True, gc=False, tag="end"):
    key: str
    is_incomplete: bool = False
    """The stream ended in the middle of the block."""


class Citation(_Event, frozen=True, gc=False, tag="citation"):
    """Where something in a block comes from; `url` is empty for a given document."""

    key: str
    title: str
    url: str = ""


class UsageUpdate(_Event, frozen=True, gc=False, tag="usage"):
    """The whole count so far: it replaces the one before, nothing is added."""

    usage: Usage


class KeepAlive(_Event, frozen=True, gc=False, tag="alive"):
    """The server lives, but has said nothing new."""


class Waiting(_Event, frozen=True, gc=False, tag="wait"):
    """Nothing is sent for so long, because of `failure` or to keep a rate limit."""

    wait_s: float
    failure: FailureRecord | None = None


class FellBack(_Event, frozen=True, gc=False, tag="fallback"):
    """The model that was asked said nothing; the next one is asked instead."""

    model: str
    """`provider:model` that is asked now."""
    failure: FailureRecord
    """Why the one before does not answer."""


class LeftOut(_Event, frozen=True, gc=False, tag="left_out"):
    """The oldest messages did not fit into the model's window and were not sent."""

    messages: int


class Finish(_Event, frozen=True, gc=False, tag="finish"):
    """`replay` is None where the parts of the answer say all that the server said."""

    reason: StopReason
    raw_reason: str | None = None
    stop_sequence: str | None = None
    replay: Replay | None = None


class Failed(_Event, frozen=True, gc=False, tag="failed"):
    failure: FailureRecord


StreamEvent: TypeAlias = (
    Start
    | BlockStart
    | TextDelta
    | ToolArgumentsDelta
    | BlockEnd
    | Citation
    | UsageUpdate
    | KeepAlive
    | Waiting
    | FellBack
    | LeftOut
    | Finish
    | Failed
)


def merge_deltas(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """The same events with neighboring deltas of one block made one."""
    merged: list[StreamEvent] = []
    key, pieces = "", list[str]()
    for event in events:
        if isinstance(event, TextDelta) and pieces and event.key == key:
            pieces.append(event.text)
            continue
        if pieces:
            merged.append(TextDelta(key, "".join(pieces)))
            pieces.clear()
        if isinstance(event, TextDelta):
            key = event.key
            pieces.append(event.text)
        else:
            merged.append(event)
    if pieces:
        merged.append(TextDelta(key, "".join(pieces)))
    return merged
