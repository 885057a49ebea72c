"""An answer as it is sent back: the content array, each block byte for byte.

What has to be left out all the same, because the server would refuse the request:
thinking that another model did, or that nobody signed; text blocks without text; a call
of a server's tool that was never answered, once the conversation has gone on; and
thinking that nothing follows.

Pure.

Source: Anthropic documentation, "Extended thinking", preserving thinking blocks; and
"Handling stop reasons", pause_turn.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from tina.providers.escapes import repair_escapes
from tina.providers.lenient import UNREADABLE, Wire, text_of

THINKING = frozenset({"thinking", "redacted_thinking"})
_CALL = "tool_use"


class _Head(msgspec.Struct):
    """What decides whether a block is sent."""

    type: str
    id: Any = None
    tool_use_id: Any = None
    text: Any = None
    signature: Any = None
    citations: Any = None


class Kept(NamedTuple):
    """One block of a stored answer."""

    raw: msgspec.Raw
    head: _Head


_HEADS = msgspec.json.Decoder(_Head)


class _Payload(msgspec.Struct):
    role: str
    content: list[msgspec.Raw]


_PAYLOADS = msgspec.json.Decoder(_Payload)


def write_replay(blocks: Sequence[Wire]) -> str:
    """The message to store."""
    payload = msgspec.json.encode({"role": "assistant", "content": blocks})
    return repair_escapes(payload.decode())


def read_replay(payload: str) -> tuple[Kept, ...] | None:
    """The blocks of a stored message; None if it has another protocol's shape."""
    try:
        message = _PAYLOADS.decode(payload)
        blocks = tuple(Kept(raw, _HEADS.decode(raw)) for raw in message.content)
    except UNREADABLE:
        return None
    return blocks if message.role == "assistant" and blocks else None


def call_ids(blocks: Sequence[Kept]) -> list[object]:
    """Of the calls that wait for Tina's results."""
    return [block.head.id for block in blocks if block.head.type == _CALL]


def without_thinking(blocks: Sequence[Kept]) -> tuple[Kept, ...]:
    return tuple(block for block in blocks if block.head.type not in THINKING)


def only_signed(blocks: Sequence[Kept]) -> tuple[Kept, ...]:
    """Without thinking that the server could not verify."""
    return tuple(
        block
        for block in blocks
        if block.head.type != "thinking" or block.head.signature
    )


def answered_ids(answers: Iterable[Sequence[Kept]]) -> frozenset[str]:
    """Of the calls that their own server answered, perhaps in a later message."""
    return frozenset(
        block.head.tool_use_id
        for blocks in answers
        for block in blocks
        if isinstance(block.head.tool_use_id, str)
    )


def only_answered(blocks: Sequence[Kept], answered: frozenset[str]) -> tuple[Kept, ...]:
    """Without the calls of a server's tools that have no result."""
    return tuple(
        block
        for block in blocks
        if not _is_server_call(block.head)
        or (isinstance(block.head.id, str) and block.head.id in answered)
    )


def sendable(blocks: Sequence[Kept]) -> list[msgspec.Raw]:
    """What is left once nothing stands in it that no server takes."""
    kept = [block for block in blocks if not _is_empty_text(block.head)]
    while kept and kept[-1].head.type in THINKING:
        kept.pop()
    return [block.raw for block in kept]


def type_of(block: object) -> str:
    """Of a block on its way: one of Tina's own, or one as it came."""
    if isinstance(block, msgspec.Raw):
        return _HEADS.decode(block).type
    return text_of(block, "type")


def _is_server_call(head: _Head) -> bool:
    return head.type != _CALL and head.type.endswith(_CALL)


def _is_empty_text(head: _Head) -> bool:
    return head.type == "text" and not (str(head.text or "").strip() or head.citations)
