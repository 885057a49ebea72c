"""An answer as the fold of what a provider said. Pure.

The same fold runs while an answer streams and when a journal is read after its process
died, so both give the same parts for the same events.
"""

from collections.abc import Iterable
from typing import assert_never

import msgspec

from tina.domain.chat import Usage
from tina.domain.events import (
    BlockKind,
    BlockStart,
    Citation,
    FellBack,
    Finish,
    KeepAlive,
    LeftOut,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import TooLargeFailure
from tina.domain.ids import ToolCallId
from tina.domain.messages import (
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    SourcePart,
    TextPart,
    ToolCallPart,
)
from tina.domain.notes import AnswerNotes
from tina.domain.text import clean_value, is_clean

MAX_ANSWER_CHARS = 8 * 1024 * 1024
MAX_BLOCKS = 4096
MAX_EVENTS = 1_000_000
MAX_SOURCES = 256
MAX_FALLBACKS = 16


class _Block:
    __slots__ = ("pieces", "start")

    def __init__(self, start: BlockStart) -> None:
        self.start = start
        self.pieces: list[str] = []


class Answer:
    """Gathers events into parts, in the order in which their blocks began."""

    def __init__(self) -> None:
        self._blocks: dict[str, _Block] = {}
        self._chars = 0
        self._events = 0
        self._sources: dict[SourcePart, None] = {}
        self._fell_back: list[FellBack] = []
        self._left_out = 0
        self.usage: Usage | None = None
        self.finish: Finish | None = None

    def feed(self, events: Iterable[StreamEvent]) -> None:
        """Take what was said.

        Raises:
            TooLargeFailure: the answer is longer than Tina keeps.
        """
        for event in events:
            self._events += 1
            match event:
                case TextDelta():
                    self._add(event.key, event.text)
                case ToolArgumentsDelta():
                    self._add(event.key, event.fragment)
                case BlockStart():
                    self._open(event)
                case UsageUpdate():
                    self.usage = event.usage
                case Finish():
                    self.finish = event
                case _:
                    self._note(event)

    @property
    def has_begun(self) -> bool:
        """Whether the model said anything; then nothing is asked for again."""
        return bool(self._blocks)

    def given(self, message: Message) -> Message:
        """The message with who answers it and what happened before that."""
        if not (self._fell_back or self._left_out):
            return message
        notes, model = AnswerNotes(left_out_messages=self._left_out), message.model
        if self._fell_back:
            notes = msgspec.structs.replace(
                notes,
                asked_model=message.notes.asked_model or message.model,
                fallback_reason=self._fell_back[0].failure.message,
            )
            model = self._fell_back[-1].model
        return message.given_by(model, notes)

    def as_events(self) -> list[StreamEvent]:
        """As few events as give the same parts and usage when they are fed again."""
        events: list[StreamEvent] = [*self._fell_back]
        if self._left_out:
            events.append(LeftOut(self._left_out))
        events += (Citation("", each.title, each.url) for each in self._sources)
        for block in self._blocks.values():
            events.append(block.start)
            if block.pieces:
                block.pieces[:] = ["".join(block.pieces)]
                events.append(_as_delta(block))
        if self.usage is not None:
            events.append(UsageUpdate(self.usage))
        return events

    def parts(self) -> tuple[Part, ...]:
        """What was said so far; blocks that said nothing are left out."""
        found = (_part(block) for block in self._blocks.values())
        return (*(part for part in found if part is not None), *self._sources)

    def _note(self, event: StreamEvent) -> None:
        match event:
            case FellBack() if len(self._fell_back) < MAX_FALLBACKS:
                self._fell_back.append(event)
                self._left_out = 0  # by the next model perhaps nothing
            case LeftOut(messages=messages):
                self._left_out = messages
            case Citation(title=title, url=url) if len(self._sources) < MAX_SOURCES:
                self._sources[SourcePart(title=title, url=url)] = None
            case _:
                # Start, BlockEnd, KeepAlive and the like add nothing to a message.
                return

    def _open(self, start: BlockStart) -> None:
        if len(self._blocks) >= MAX_BLOCKS:
            raise TooLargeFailure(f"The answer has more than {MAX_BLOCKS} blocks.")
        self._blocks.setdefault(start.key, _Block(start))

    def _add(self, key: str, text: str) -> None:
        self._chars += len(text)
        if self._chars > MAX_ANSWER_CHARS or self._events > MAX_EVENTS:
            raise TooLargeFailure(
                f"The answer is longer than {MAX_ANSWER_CHARS:,} characters or comes "
                f"in more than {MAX_EVENTS:,} pieces; what came before is kept."
            )
        block = self._blocks.get(key)
        if block is None:
            # A provider announces each block; a journal's first row may be missing.
            self._open(BlockStart(key, BlockKind.TEXT))
            block = self._blocks[key]
        block.pieces.append(text)


def keepable(events: Iterable[StreamEvent]) -> list[StreamEvent]:
    """What is worth keeping, as every database can hold it.

    A provider of somebody else's may hand over anything that Python calls a string.
    """
    return [_clean(event) for event in events if not isinstance(event, KeepAlive)]


def _clean(event: StreamEvent) -> StreamEvent:
    match event:
        case TextDelta(key=key, text=text):  # most events, so they go the short way
            return event if is_clean(key) and is_clean(text) else clean_value(event)
        case UsageUpdate(usage=usage):
            return UsageUpdate(usage.believable())
        case _:
            return clean_value(event)


def _as_delta(block: _Block) -> StreamEvent:
    if block.start.kind is BlockKind.TOOL_CALL:
        return ToolArgumentsDelta(block.start.key, block.pieces[0])
    return TextDelta(block.start.key, block.pieces[0])


def _part(block: _Block) -> Part | None:
    text = "".join(block.pieces)
    match block.start.kind:
        case BlockKind.TOOL_CALL:
            return ToolCallPart(
                call_id=block.start.call_id or ToolCallId(block.start.key),
                tool=block.start.tool or "",
                arguments=text,
            )
        case BlockKind.TEXT:
            return TextPart(text=text) if text else None
        case BlockKind.REASONING:
            return ReasoningPart(text=text) if text else None
        case BlockKind.REFUSAL:
            return RefusalPart(text=text) if text else None
        case _:
            assert_never(block.start.kind)
