"""One message, put together from its deltas.

Text, reasoning and refusal are one block each; they begin with their first piece and
end with the message, because servers mix them. Pure.

Source: OpenAI API reference, "Chat Completions", streaming; and the fields in which
DeepSeek, llama.cpp, Mistral, OpenRouter and vLLM put their reasoning.
"""

import msgspec

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    StreamEvent,
    TextDelta,
)
from tina.domain.text import clean_text
from tina.providers.lenient import is_list, is_mapping, read_json, text_of
from tina.providers.openai.chat.calls import ToolCalls
from tina.providers.openai.chat.chunks import ABSENT, CallDelta, Delta
from tina.providers.openai.chat.quirks import ThinkTags
from tina.providers.openai.chat.replay import Leftovers
from tina.providers.openai.chat.sources import Sources
from tina.providers.openai.chat.think import Piece, ThinkSplitter

_TEXT, _REASONING, _REFUSAL = "text", "reasoning", "refusal"
_KINDS = {
    _TEXT: BlockKind.TEXT,
    _REASONING: BlockKind.REASONING,
    _REFUSAL: BlockKind.REFUSAL,
}


class MessageReader:
    """Reads the deltas of one message, or the whole of it as one delta."""

    def __init__(self, think_tags: ThinkTags) -> None:
        self.sources = Sources(_TEXT)
        self._said: dict[str, list[str]] = {}
        self._reasoning_field = "reasoning_content"
        self._calls = ToolCalls()
        self._leftovers = Leftovers()
        self._splitter = (
            None if think_tags is ThinkTags.NONE else ThinkSplitter(think_tags)
        )

    @property
    def has_complete_call(self) -> bool:
        return self._calls.has_complete_call

    @property
    def has_refusal(self) -> bool:
        return _REFUSAL in self._said

    def end(self, *, response_id: str | None, is_cut: bool) -> list[StreamEvent]:
        """Close every block; `ToolCalls.end` says what the arguments are."""
        events: list[StreamEvent] = []
        if self._splitter is not None:
            self._say_pieces(self._splitter.end(), events)
        events += [BlockEnd(key) for key in self._said]
        return events + self._calls.end(response_id=response_id, is_cut=is_cut)

    def abandon(self) -> list[StreamEvent]:
        """Close what was announced, as incomplete; nothing that waited is said."""
        ends = (BlockEnd(key, is_incomplete=True) for key in self._said)
        return [*ends, *self._calls.abandon()]

    def replay(self) -> str | None:
        """The message as it is sent back, as JSON; None if its parts express it."""
        leftovers = self._leftovers.as_wire()
        if not (leftovers or self._calls.has_extra):
            return None
        message = msgspec.json.encode(self._as_wire() | leftovers)
        return message.decode("utf-8", "replace")

    def read(self, delta: Delta, events: list[StreamEvent]) -> None:
        content = delta.content
        if content:
            if isinstance(content, list):
                self._read_parts(content, events)
            else:
                self._say_content(content, events)
        if (
            delta.reasoning
            or delta.reasoning_content
            or delta.reasoning_details is not ABSENT
        ):
            self._read_reasoning(delta, events)
        if delta.tool_calls:
            for call in delta.tool_calls:
                events += self._calls.add(call)
        if (
            delta.refusal
            or delta.function_call
            or delta.annotations is not ABSENT
            or delta.audio is not ABSENT
        ):
            self._read_rare(delta, events)

    def _read_rare(self, delta: Delta, events: list[StreamEvent]) -> None:
        if delta.refusal and isinstance(delta.refusal, str):
            self._say(_REFUSAL, delta.refusal, events)
        if delta.function_call:
            events += self._calls.add(CallDelta(-1, None, delta.function_call))
        if delta.annotations is not ABSENT:
            events += self.sources.read(delta.annotations)
        if delta.audio is not ABSENT:
            transcript = text_of(read_json(delta.audio), "transcript")
            if transcript:
                self._say(_TEXT, transcript, events)

    def _read_reasoning(self, delta: Delta, events: list[StreamEvent]) -> None:
        """Only one of the names: some servers send the same text under two."""
        shown = ""
        if delta.reasoning_details is not ABSENT:
            shown = self._leftovers.read(delta)
        for name in ("reasoning", "reasoning_content"):
            text = getattr(delta, name)
            if isinstance(text, str) and text:
                self._reasoning_field, shown = name, text
                break
        if shown:
            self._say(_REASONING, shown, events)

    def _say_content(self, text: str, events: list[StreamEvent]) -> None:
        if self._splitter is None:
            self._say(_TEXT, text, events)
        else:
            self._say_pieces(self._splitter.feed(text), events)

    def _say_pieces(self, pieces: list[Piece], events: list[StreamEvent]) -> None:
        for is_reasoning, text in pieces:
            self._say(_REASONING if is_reasoning else _TEXT, text, events)

    def _read_parts(self, parts: list[object], events: list[StreamEvent]) -> None:
        """Content as typed parts, of which `thinking` holds parts itself."""
        for part in parts:
            if not is_mapping(part):
                continue
            text, thinking = part.get("text"), part.get("thinking")
            if isinstance(text, str) and text:
                self._say_content(text, events)
            for inner in thinking if is_list(thinking) else ():
                text = inner.get("text") if is_mapping(inner) else None
                if isinstance(text, str) and text:
                    self._say(_REASONING, text, events)

    def _say(self, key: str, text: str, events: list[StreamEvent]) -> None:
        text = clean_text(text)
        if not text:
            return
        said = self._said.get(key)
        if said is None:
            said = self._said[key] = []
            events.append(BlockStart(key, _KINDS[key]))
        said.append(text)
        events.append(TextDelta(key, text))

    def _as_wire(self) -> dict[str, object]:
        fields = {
            _TEXT: "content",
            _REASONING: self._reasoning_field,
            _REFUSAL: _REFUSAL,
        }
        message: dict[str, object] = {"role": "assistant", "content": None}
        for key, pieces in self._said.items():
            message[fields[key]] = "".join(pieces)
        calls = self._calls.as_wire()
        if calls:
            message["tool_calls"] = calls
        return message
