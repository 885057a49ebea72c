"""Output items while they grow, and the blocks that they say.

Theory. An item has a slot from its first word on. What is said in an item belongs to a
place in there: the text or the refusal with some number, a paragraph of the summary, a
paragraph of the reasoning itself. Each place is one block, which begins with its first
words; a call is one block, too. The finished item tells everything again: of that only
what was not said before is said, and then its blocks are over. Whatever comes for a
block that is over was said before.

Pure.
"""

from collections.abc import Set
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    StreamEvent,
    TextDelta,
)
from tina.domain.text import clean_text
from tina.providers.openai.responses.calls import Call


class PlaceName(StrEnum):
    TEXT = "text"
    REFUSAL = "refusal"
    SUMMARY = "summary"
    REASONING = "reasoning"


class Place(NamedTuple):
    """`number` counts the places of one name in an item."""

    name: PlaceName
    number: int


class Source(NamedTuple):
    """What is cited."""

    title: str
    url: str


Told: TypeAlias = tuple[BlockKind, str]
"""A kind of block, and all that one of them says."""

_KINDS = {
    PlaceName.TEXT: BlockKind.TEXT,
    PlaceName.REFUSAL: BlockKind.REFUSAL,
    PlaceName.SUMMARY: BlockKind.REASONING,
    PlaceName.REASONING: BlockKind.REASONING,
}


class _Block:
    """One text, refusal, or paragraph of reasoning."""

    __slots__ = ("is_over", "key", "kind", "said", "sources")

    def __init__(self, key: str, kind: BlockKind) -> None:
        self.key = key
        self.kind = kind
        self.said: list[str] = []
        self.sources: set[Source] = set()
        self.is_over = False

    def end(self, *, is_incomplete: bool) -> list[StreamEvent]:
        if self.is_over:
            return []
        self.is_over = True
        return [BlockEnd(self.key, is_incomplete=is_incomplete)]


class Slot:
    """One output item.

    Attributes:
        number: counts the items in the order in which they were heard of.
        index: its place in the output, if the server says it.
        raw: the whole item, once it is there.
        is_cut: the server says itself that the item is incomplete.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.index: int | None = None
        self.raw: bytes | None = None
        self.is_cut = False
        self.call: Call | None = None
        self._blocks: dict[Place, _Block] = {}

    @property
    def has_refusal(self) -> bool:
        return any(block.kind is BlockKind.REFUSAL for block in self._blocks.values())

    def say(self, place: Place, text: str, events: list[StreamEvent]) -> None:
        """Say more of the block at a place; `text` is not empty."""
        block = self._blocks.get(place)
        if block is None:
            block = self._open(place, events)
        if not block.is_over:
            text = clean_text(text)
            block.said.append(text)
            events.append(TextDelta(block.key, text))

    def settle(
        self,
        place: Place,
        text: str,
        events: list[StreamEvent],
        *,
        told: Set[Told] = frozenset(),
    ) -> None:
        """Say what of the final text was not said before, and end its block.

        Where another text was said before it stays: it cannot be taken back. A new
        block that says what is `told` already is none: some servers tell a text
        again under another name or number.
        """
        text = clean_text(text)
        block = self._blocks.get(place)
        if block is None:
            if not text or (_KINDS[place.name], text) in told:
                return
            self.say(place, text, events)
            block = self._blocks[place]
        elif not block.is_over:
            said = "".join(block.said)
            if text != said and text.startswith(said):
                self.say(place, text[len(said) :], events)
        events += block.end(is_incomplete=False)

    def told(self) -> frozenset[Told]:
        """What each block says so far."""
        return frozenset(
            (block.kind, "".join(block.said)) for block in self._blocks.values()
        )

    def cite(self, place: Place, source: Source, events: list[StreamEvent]) -> None:
        """Say once where something at the place comes from."""
        block = self._blocks.get(place)
        if block is None:
            block = self._open(place, events)
        if source not in block.sources:
            block.sources.add(source)
            events.append(Citation(block.key, source.title, source.url))

    def open_call(self) -> Call:
        """The call that the item is."""
        if self.call is None:
            self.call = Call(f"{self.number}.call")
        return self.call

    def end_texts(self, *, is_incomplete: bool = False) -> list[StreamEvent]:
        """End all blocks but the call."""
        return [
            event
            for block in self._blocks.values()
            for event in block.end(is_incomplete=is_incomplete)
        ]

    def end(self, *, is_cut: bool) -> list[StreamEvent]:
        """End everything, when the answer ends."""
        events = self.end_texts()
        if self.call is not None:
            events += self.call.end(is_cut=is_cut or self.is_cut)
        return events

    def abandon(self) -> list[StreamEvent]:
        """End everything as incomplete."""
        ends = self.end_texts(is_incomplete=True)
        return ends if self.call is None else [*ends, *self.call.abandon()]

    def _open(self, place: Place, events: list[StreamEvent]) -> _Block:
        key, kind = f"{self.number}.{place.name}.{place.number}", _KINDS[place.name]
        block = self._blocks[place] = _Block(key, kind)
        events.append(BlockStart(key, kind))
        return block
