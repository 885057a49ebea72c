"""Tool calls put together from pieces.

A call arrives as fragments that name a slot by `index`; or without an index, without
an id, with index 0 for every call, with an object for arguments, with `null` for none.
A slot is announced once its name and its id are known, and what comes before waits:
nothing is thrown away. Slots stay open until the answer ends, since fragments of two
calls may be mixed.

Source: OpenAI API reference, "Chat Completions", streaming; and what llama.cpp, vLLM,
Ollama and Gemini's compatible API send instead.
"""

from collections.abc import Hashable

import msgspec

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    StreamEvent,
    ToolArgumentsDelta,
)
from tina.domain.ids import ToolCallId
from tina.domain.text import clean_text
from tina.providers.lenient import read_json
from tina.providers.openai.chat.chunks import ABSENT, CallDelta

_NO_ARGUMENTS = "null"
_LONGEST_HELD = 8


class _Slot:
    """One call while it grows; `waiting` was not handed out yet."""

    def __init__(self, number: int) -> None:
        self.key = f"tool:{number}"
        self.call_id = ""
        self.name = ""
        self.is_complete = False
        self.extra: msgspec.Raw | None = None
        """What its server wants back with it, such as a signature."""
        self._said: list[str] = []
        self._waiting: list[str] = []
        self._is_announced = False

    @property
    def arguments(self) -> str:
        return "".join((*self._said, *self._waiting))

    def hold(self, fragment: str) -> None:
        if not (self._said or self._waiting):
            fragment = fragment.lstrip()
        if fragment:
            self._waiting.append(fragment)

    def events(self) -> list[StreamEvent]:
        """What can be said now."""
        if not (self.name and self.call_id):
            return []
        events: list[StreamEvent] = []
        if not self._is_announced:
            self._is_announced = True
            events.append(self._start())
        if self._waiting and not self._may_be_null():
            events.append(ToolArgumentsDelta(self.key, "".join(self._waiting)))
            self._said += self._waiting
            self._waiting.clear()
        return events

    def end(self, *, generated_id: str, is_cut: bool) -> list[StreamEvent]:
        self.call_id = self.call_id or generated_id
        self.name = self.name or "unknown"
        arguments = self.arguments
        has_arguments = arguments.strip() not in ("", _NO_ARGUMENTS)
        is_whole = has_arguments and read_json(arguments.encode()) is not None
        self.is_complete = is_whole or not is_cut
        if not (has_arguments or self._said):
            self._waiting = ["{}"]
        ending = BlockEnd(self.key, is_incomplete=not self.is_complete)
        return [*self.events(), ending]

    def as_wire(self) -> dict[str, object]:
        function = {"name": self.name, "arguments": self.arguments}
        extra = {} if self.extra is None else {"extra_content": self.extra}
        return {"id": self.call_id, "type": "function", "function": function, **extra}

    def _start(self) -> BlockStart:
        call_id = ToolCallId(self.call_id)
        return BlockStart(
            self.key, BlockKind.TOOL_CALL, call_id=call_id, tool=self.name
        )

    def _may_be_null(self) -> bool:
        """Whether it is still open if the arguments are the word `null`."""
        if self._said or len(self._waiting) > _LONGEST_HELD:
            return False
        return _NO_ARGUMENTS.startswith("".join(self._waiting).strip())


class ToolCalls:
    """All calls of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self._slots: list[_Slot] = []
        self._by_key: dict[Hashable, _Slot] = {}

    @property
    def has_complete_call(self) -> bool:
        return any(slot.is_complete for slot in self._slots)

    @property
    def has_extra(self) -> bool:
        """Whether a call carries what no part can express."""
        return any(slot.extra is not None for slot in self._slots)

    def add(self, delta: CallDelta) -> list[StreamEvent]:
        call_id = _word(delta.id)
        name = clean_text(delta.function.name or "") if delta.function else ""
        slot = self._slot_for(delta.index, call_id, name)
        slot.call_id = slot.call_id or call_id
        slot.name = slot.name or name
        if delta.extra_content is not ABSENT and bytes(delta.extra_content) != b"null":
            slot.extra = delta.extra_content
        if delta.function:
            slot.hold(_fragment(delta.function.arguments))
        return slot.events()

    def end(self, *, response_id: str | None, is_cut: bool) -> list[StreamEvent]:
        """Close every call.

        Args:
            response_id: makes the ids unique that have to be invented.
            is_cut: the answer ran into a length limit; then the last call is
                complete only if its arguments are.
        """
        events: list[StreamEvent] = []
        suffix = f"_{response_id}" if response_id else ""
        for number, slot in enumerate(self._slots):
            is_last = number == len(self._slots) - 1
            generated_id = f"call_{number}{suffix}"
            events += slot.end(generated_id=generated_id, is_cut=is_cut and is_last)
        return events

    def abandon(self) -> list[StreamEvent]:
        """Close what was announced, as incomplete."""
        return [
            BlockEnd(slot.key, is_incomplete=True)
            for slot in self._slots
            if slot.call_id and slot.name
        ]

    def as_wire(self) -> list[dict[str, object]]:
        return [slot.as_wire() for slot in self._slots]

    def _slot_for(self, index: object, call_id: str, name: str) -> _Slot:
        key: Hashable
        if isinstance(index, int):
            key = index
        elif call_id:
            key = call_id
        elif name or not self._slots:
            return self._open(object())
        else:
            return self._slots[-1]
        slot = self._by_key.get(key)
        if slot is None or (call_id and slot.call_id and slot.call_id != call_id):
            return self._open(key)
        return slot

    def _open(self, key: Hashable) -> _Slot:
        slot = _Slot(len(self._slots))
        self._slots.append(slot)
        self._by_key[key] = slot
        return slot


def _word(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _fragment(arguments: object) -> str:
    """A fragment as text; an object instead of text is the whole of it."""
    if arguments is None:
        return ""
    if isinstance(arguments, str):
        return clean_text(arguments)
    return msgspec.json.encode(arguments).decode()
