"""The blocks of one answer, told apart by the index that each event carries.

They may overlap and end in any order. What cannot be placed is not lost: text without a
block gets one. A block whose index is used again has ended. A call whose arguments are
no JSON when it ends stays open until the reason is known why the answer ended: perhaps
it was cut, perhaps the model wrote nonsense.

Pure.

Source: Anthropic API reference, "Streaming Messages"; what llama.cpp sends instead.
"""

from collections.abc import Mapping, Sequence

import msgspec

from tina.domain.events import BlockEnd, BlockKind, StreamEvent
from tina.domain.failures import ProtocolFailure
from tina.domain.messages import Replay
from tina.providers.anthropic.blocks import Block
from tina.providers.anthropic.events import Event, fields_of
from tina.providers.anthropic.replay import write_replay

_STRAYS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "tool_use",
}


class OpenBlocks:
    """Gathers the blocks; each method returns what it has to say."""

    def __init__(self) -> None:
        self._all: list[Block] = []
        self._open: dict[int, Block] = {}
        self._doubtful: list[Block] = []
        self._latest = -1

    def begin(self, event: Event, *, spare_id: str) -> list[StreamEvent]:
        index = self._latest + 1 if event.index is None else event.index
        fields = fields_of(event.content_block) or {}
        return self._end(index) + self._begin(index, fields, spare_id)

    def add(self, event: Event) -> list[StreamEvent]:
        """Take a delta.

        Raises:
            ProtocolFailure: it is a part of a call that nobody began, or no text.
        """
        block = self._open.get(self._latest if event.index is None else event.index)
        if event.delta is None:
            return []
        if block is None:
            return self._add_stray(event)
        return block.add(event.delta)

    def end(self, event: Event) -> list[StreamEvent]:
        return self._end(self._latest if event.index is None else event.index)

    def take_all(
        self, content: Sequence[msgspec.Raw], *, spare_id: str
    ) -> list[StreamEvent]:
        """The blocks of an answer that was not streamed."""
        events: list[StreamEvent] = []
        for index, raw in enumerate(content):
            events += self._begin(index, fields_of(raw) or {}, spare_id)
            events += self._end(index)
        return events

    def close(self, *, is_cut: bool) -> list[StreamEvent]:
        """End what is open.

        Args:
            is_cut: the answer ran into a limit; then a call without whole arguments
                is incomplete, and else only nonsense.
        """
        return [
            event
            for block in (*self._doubtful, *self._open.values())
            for event in block.end(is_incomplete=is_cut and block.is_doubtful)
        ]

    def abandon(self) -> list[StreamEvent]:
        """End what is open as incomplete."""
        return [
            BlockEnd(block.key, is_incomplete=True)
            for block in (*self._doubtful, *self._open.values())
            if block.kind is not None
        ]

    def has_call(self, *, is_cut: bool) -> bool:
        """Whether there is a call that a tool can be given."""
        return any(
            block.kind is BlockKind.TOOL_CALL and not (is_cut and block.is_doubtful)
            for block in self._all
        )

    def replay(self, provider: str) -> Replay | None:
        """The whole message as it is sent back, if its parts do not express it."""
        blocks = [block for block in self._all if block.type]
        if all(block.is_expressed for block in blocks):
            return None
        payload = write_replay([block.as_wire() for block in blocks])
        return Replay(provider=provider, payload=payload)

    def _begin(
        self, index: int, fields: Mapping[str, msgspec.Raw], spare_id: str
    ) -> list[StreamEvent]:
        key = str(len(self._all))
        block = Block(key, fields, spare_id=f"toolu_{key}_{spare_id}")
        self._all.append(block)
        self._open[index] = block
        self._latest = index
        return block.start()

    def _add_stray(self, event: Event) -> list[StreamEvent]:
        kind = None if event.delta is None else _STRAYS.get(str(event.delta.type))
        if event.delta is None or kind is None:
            return []
        if kind == "tool_use":
            raise ProtocolFailure(
                "The server sent a part of a tool call that it had not begun. "
                "Try again."
            )
        index = self._latest + 1 if event.index is None else event.index
        events = self._end(index)  # another may have that place
        events += self._begin(index, {"type": msgspec.Raw(f'"{kind}"'.encode())}, "")
        return events + self._open[index].add(event.delta)

    def _end(self, index: int) -> list[StreamEvent]:
        block = self._open.pop(index, None)
        if block is None:
            return []
        if block.is_doubtful:
            self._doubtful.append(block)
            return []
        return block.end()
