"""One content block while it arrives: for people, and as it has to be sent back.

A block is kept field by field as it came, the unknown fields too; what grows by deltas
is put together beside it. Blocks that nobody reads as text, a call of a server's tool
or its result, have no events but are kept like all others.

Pure.

Source: Anthropic API reference, "Streaming Messages", content block deltas.
"""

from collections.abc import Mapping

import msgspec

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
)
from tina.domain.failures import ProtocolFailure
from tina.domain.ids import ToolCallId
from tina.domain.text import clean_text
from tina.providers.anthropic.citations import read_citation
from tina.providers.anthropic.events import ABSENT, Delta, items_of, text_in
from tina.providers.anthropic.inputs import encode_input, is_object
from tina.providers.lenient import Wire

_KINDS = {
    "text": BlockKind.TEXT,
    "thinking": BlockKind.REASONING,
    "tool_use": BlockKind.TOOL_CALL,
}
_GROWS: Mapping[BlockKind | None, str] = {
    BlockKind.TEXT: "text",
    BlockKind.REASONING: "thinking",
}
_EXPRESSED: Mapping[BlockKind | None, frozenset[str]] = {
    BlockKind.TEXT: frozenset({"type", "text", "citations"}),
    BlockKind.TOOL_CALL: frozenset({"type", "id", "name", "input"}),
}
"""Fields that a part of a message holds, too."""


class Block:
    """Takes the deltas of one block; `kind` is None if it is nothing to read."""

    def __init__(
        self, key: str, fields: Mapping[str, msgspec.Raw], *, spare_id: str
    ) -> None:
        """Begin a block.

        Args:
            key: for its events.
            fields: of its `content_block`.
            spare_id: for a tool call that came without an id.
        """
        self.key = key
        self.type = text_in(fields.get("type"))
        self.kind = _KINDS.get(self.type)
        self._fields: Wire = dict(fields)
        self._grown: dict[str, list[str]] = {}
        self._citations = items_of(fields.get("citations", ABSENT)) or []
        self._first_input = fields.get("input", ABSENT)
        if self.kind is BlockKind.TOOL_CALL:
            self._fields["id"] = clean_text(text_in(fields.get("id"))) or spare_id
            name = clean_text(text_in(fields.get("name")))
            self._fields["name"] = name or "unknown"

    @property
    def arguments(self) -> str:
        """Of a tool call: what was said so far, or else what stood in its beginning."""
        said = "".join(self._grown.get("input", ()))
        if said.strip():
            return said
        first = bytes(self._first_input).decode("utf-8", "replace")
        return first if is_object(first) else "{}"

    @property
    def is_doubtful(self) -> bool:
        """Whether it is a tool call whose arguments are no JSON object (yet)."""
        return self.kind is BlockKind.TOOL_CALL and not is_object(self.arguments)

    @property
    def is_expressed(self) -> bool:
        """Whether a part of a message says all that the block says."""
        known = _EXPRESSED.get(self.kind, frozenset())
        return self._fields.keys() <= known and not self._citations

    def start(self) -> list[StreamEvent]:
        """Announce it, and say what it began with."""
        if self.kind is None:
            return []
        events: list[StreamEvent] = [self._announcement()]
        name = _GROWS.get(self.kind, "")
        first = self._fields.get(name)
        if isinstance(first, msgspec.Raw):
            events += self._grow(name, text_in(first))
        sources = (read_citation(raw, key=self.key) for raw in self._citations)
        events += [source for source in sources if source is not None]
        return events

    def add(self, delta: Delta) -> list[StreamEvent]:
        """Take a delta; one of an unknown type says nothing.

        Raises:
            ProtocolFailure: what should be text is none.
        """
        match delta.type:
            case "text_delta":
                return self._grow("text", delta.text)
            case "thinking_delta":
                return self._grow("thinking", delta.thinking)
            case "input_json_delta":
                return self._grow("input", delta.partial_json)
            case "citations_delta":
                return self._cite(delta.citation)
            case _:
                self._set(delta)
                return []

    def end(self, *, is_incomplete: bool = False) -> list[StreamEvent]:
        if self.kind is None:
            return []
        events: list[StreamEvent] = []
        said = "".join(self._grown.get("input", ()))
        if self.kind is BlockKind.TOOL_CALL and not said.strip():
            events.append(ToolArgumentsDelta(self.key, clean_text(self.arguments)))
        return [*events, BlockEnd(self.key, is_incomplete=is_incomplete)]

    def as_wire(self) -> Wire:
        wire = dict(self._fields)
        for name, pieces in self._grown.items():
            wire[name] = "".join(pieces)
        if "input" in self._grown or self.kind is BlockKind.TOOL_CALL:
            wire["input"] = encode_input(self.arguments)
        if self._citations:
            wire["citations"] = self._citations
        return wire

    def _announcement(self) -> BlockStart:
        kind = self.kind or BlockKind.TEXT
        if kind is not BlockKind.TOOL_CALL:
            return BlockStart(self.key, kind)
        call_id = ToolCallId(str(self._fields["id"]))
        return BlockStart(
            self.key, kind, call_id=call_id, tool=str(self._fields["name"])
        )

    def _grow(self, name: str, piece: object) -> list[StreamEvent]:
        if not isinstance(piece, str):
            if piece is None:
                return []
            raise ProtocolFailure(
                "The server sent something else where text should be. Try again; "
                "if it stays so, check the base URL."
            )
        pieces = self._grown.get(name)
        if pieces is None:
            pieces = self._grown[name] = []
        pieces.append(piece)
        text = clean_text(piece)
        if not text:
            return []
        if name == _GROWS.get(self.kind):
            return [TextDelta(self.key, text)]
        if name == "input" and self.kind is BlockKind.TOOL_CALL:
            return [ToolArgumentsDelta(self.key, text)]
        return []

    def _cite(self, raw: msgspec.Raw) -> list[StreamEvent]:
        if raw is ABSENT:
            return []
        self._citations.append(raw)
        source: Citation | None = read_citation(raw, key=self.key)
        return [source] if source is not None and self.kind is not None else []

    def _set(self, delta: Delta) -> None:
        """Fields that arrive whole."""
        if delta.type == "signature_delta" and isinstance(delta.signature, str):
            self._fields["signature"] = delta.signature
        elif delta.type == "compaction_delta":
            for name in ("content", "encrypted_content"):
                raw = getattr(delta, name)
                if raw is not ABSENT:
                    self._fields[name] = raw
