"""What of an answer its parts cannot express, and its server wants back unchanged.

Text, reasoning, a refusal and tool calls are parts. What is left, as far as servers are
known to ask for it: `reasoning_details`, which arrive in pieces and may be signed or
encrypted, and the `extra_content` of tool calls, such as a signature. Both are kept as
the JSON that they came as. (A spoken answer has an id, too; its words are sent back.)

Source: OpenRouter documentation, "Reasoning tokens"; Gemini API documentation, "OpenAI
compatibility" and "Thought signatures".
"""

from collections.abc import Hashable, Mapping

import msgspec

from tina.domain.messages import ToolCallPart
from tina.providers.lenient import UNREADABLE
from tina.providers.openai.chat.chunks import ABSENT, Delta

_GROWING = frozenset({"text", "summary", "data"})
"""Fields whose pieces are put together; of every other field the last one counts."""
_SHOWN = ("text", "summary")
_NULL = b"null"

_LISTS = msgspec.json.Decoder(list[msgspec.Raw])
_DETAILS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXTS = msgspec.json.Decoder(str)


class SaidCall(msgspec.Struct):
    id: str = ""
    extra_content: msgspec.Raw = ABSENT


class Said(msgspec.Struct):
    """An answer as its server said it, as far as its parts do not hold it."""

    reasoning_details: list[msgspec.Raw] = []
    tool_calls: list[SaidCall] = []

    def extra_of(self, nth: int, part: ToolCallPart) -> msgspec.Raw | None:
        """What belongs to the call, which is the nth of its answer, counted from 0."""
        calls = [*self.tool_calls[nth : nth + 1], *self.tool_calls]
        found = (call.extra_content for call in calls if call.id == part.call_id)
        extra = next(found, ABSENT)
        return None if extra is ABSENT else extra


_SAID = msgspec.json.Decoder(Said)


def read_said(payload: str) -> Said:
    """A replay that was made here; nothing, if it was not."""
    try:
        return _SAID.decode(payload)
    except UNREADABLE:
        return Said()


class _Detail:
    """One entry of `reasoning_details` while it grows."""

    def __init__(self) -> None:
        self._fields: dict[str, object] = {}
        self._pieces: dict[str, list[str]] = {}

    def add(self, piece: Mapping[str, msgspec.Raw]) -> None:
        for name, raw in piece.items():
            text = _text(raw) if name in _GROWING else None
            if text is not None:
                self._pieces.setdefault(name, []).append(text)
            elif bytes(raw) != _NULL:
                self._fields[name] = raw

    def as_wire(self) -> dict[str, object]:
        grown = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        return self._fields | grown


class Leftovers:
    """Gathers the `reasoning_details` of one answer."""

    def __init__(self) -> None:
        self._details: dict[Hashable, _Detail] = {}

    def read(self, delta: Delta) -> str:
        """Take more of them; returns what of it people may read."""
        shown: list[str] = []
        for piece in _pieces_of(delta.reasoning_details):
            self._details.setdefault(self._key_of(piece), _Detail()).add(piece)
            texts = (_text(piece[name]) for name in _SHOWN if name in piece)
            shown += (text for text in texts if text)
        return "".join(shown)

    def as_wire(self) -> dict[str, object]:
        """Fields of the message to send back; empty if its parts express it all."""
        if not self._details:
            return {}
        details = [detail.as_wire() for detail in self._details.values()]
        return {"reasoning_details": details}

    def _key_of(self, piece: Mapping[str, msgspec.Raw]) -> Hashable:
        """Pieces of one detail have the same type, and the same index or else id."""
        for name in ("index", "id"):
            value = bytes(piece.get(name, ABSENT))
            if value not in (b"", _NULL):
                return bytes(piece.get("type", ABSENT)), name, value
        return len(self._details)


def _pieces_of(raw: msgspec.Raw) -> list[dict[str, msgspec.Raw]]:
    try:
        entries = _LISTS.decode(raw)
    except UNREADABLE:
        return []
    pieces: list[dict[str, msgspec.Raw]] = []
    for entry in entries:
        try:
            pieces.append(_DETAILS.decode(entry))
        except UNREADABLE:
            continue  # no object; the others may be
    return pieces


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return _TEXTS.decode(raw)
    except UNREADABLE:
        return None
