"""What of an answer its parts cannot express, and its server wants back unchanged.

Text, reasoning, a refusal and tool calls are parts. What is left, as far as servers are
known to ask for it: `reasoning_details`, which arrive in pieces and may be signed or
encrypted, and the id of an answer that was spoken. (Signatures on tool calls stay with
the calls.)

Source: OpenAI API reference, "Create chat completion", assistant messages; OpenRouter
documentation, "Reasoning tokens".
"""

from collections.abc import Hashable, Mapping

from tina.providers.openai.chunks import (
    ABSENT,
    Delta,
    is_list,
    is_mapping,
    read_json,
)

_GROWING = frozenset({"text", "summary", "data"})
"""Fields whose pieces are put together; of every other field the last one counts."""


class _Detail:
    """One entry of `reasoning_details` while it grows."""

    def __init__(self) -> None:
        self._fields: dict[str, object] = {}
        self._pieces: dict[str, list[str]] = {}

    def add(self, piece: Mapping[str, object]) -> None:
        for name, value in piece.items():
            if name in _GROWING and isinstance(value, str):
                self._pieces.setdefault(name, []).append(value)
            elif value is not None:
                self._fields[name] = value

    def as_wire(self) -> dict[str, object]:
        grown = {name: "".join(pieces) for name, pieces in self._pieces.items()}
        return self._fields | grown


class Leftovers:
    """Gathers those fields of one answer."""

    def __init__(self) -> None:
        self._details: dict[Hashable, _Detail] = {}
        self._audio_id: str | None = None

    def read(self, delta: Delta) -> None:
        if delta.reasoning_details is not ABSENT:
            details = read_json(delta.reasoning_details)
            for piece in details if is_list(details) else ():
                if is_mapping(piece):
                    key = self._key_of(piece)
                    self._details.setdefault(key, _Detail()).add(piece)
        if delta.audio is not ABSENT:
            audio = read_json(delta.audio)
            audio_id = audio.get("id") if is_mapping(audio) else None
            if isinstance(audio_id, str) and audio_id:
                self._audio_id = audio_id

    def as_wire(self) -> dict[str, object]:
        """Fields of the message to send back; empty if its parts express it all."""
        wire: dict[str, object] = {}
        if self._details:
            details = [detail.as_wire() for detail in self._details.values()]
            wire["reasoning_details"] = details
        if self._audio_id is not None:
            wire["audio"] = {"id": self._audio_id}
        return wire

    def _key_of(self, piece: Mapping[str, object]) -> Hashable:
        """Pieces of one detail have the same type, and the same index or else id."""
        for name in ("index", "id"):
            value = piece.get(name)
            if isinstance(value, int | str):
                return str(piece.get("type")), name, value
        return len(self._details)
