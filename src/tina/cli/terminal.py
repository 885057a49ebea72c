"""How an answer appears while it is written.

On a pipe it is the markdown as it comes. On a terminal it is drawn, and only ever
added to: what is final is printed once and scrolls away like the output of any
program, and a few rows at the bottom are repainted while they may change. A live
display of the whole answer would repeat every row that leaves the screen.

rich is imported when the first answer is drawn.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from tina.cli.output import TextSink
from tina.cli.terminal_painter import Painter
from tina.cli.terminal_text import safe_text
from tina.domain.ports import Clock

if TYPE_CHECKING:
    from tina.cli.terminal_sections import AnswerSection, ReasoningSection

__all__ = [
    "AnswerWriter",
    "MarkdownWriter",
    "RawWriter",
    "TerminalSize",
    "answer_writer",
    "safe_text",
]

TICK_S = 0.066
"""Between two frames at least; also how often `tick` is worth calling."""
_COST_FACTOR = 4  # of one core, at most a fifth is spent on drawing

TerminalSize = Callable[[], tuple[int, int]]
"""Columns and lines now, as `os.get_terminal_size` gives them."""

_SURROGATES = re.compile("[\ud800-\udfff]")


class AnswerWriter(Protocol):
    """Shows one answer. A broken stream raises `OSError` from any method."""

    def text(self, piece: str) -> None:
        """Add to the answer."""
        ...

    def reasoning(self, piece: str) -> None:
        """Add to what the model thought; it stands apart from the answer."""
        ...

    def tick(self) -> None:
        """Show what waits, if it is time; call it every `TICK_S` while you wait."""
        ...

    def close(self) -> None:
        """Show all of it, for good, and end the line; also after a stop or a failure.

        A second call does nothing.
        """
        ...


def answer_writer(
    stream: TextSink,
    *,
    environment: Mapping[str, str],
    size: TerminalSize,
    clock: Clock,
) -> AnswerWriter:
    """The writer that fits the stream.

    Source: no-color.org: "when present and not an empty string (regardless of its
    value), prevents the addition of ANSI color".
    """
    if not stream.isatty():
        return RawWriter(stream)
    if environment.get("TERM", "dumb") in {"", "dumb"}:
        return RawWriter(stream, is_terminal=True)
    color = not environment.get("NO_COLOR")
    return MarkdownWriter(stream, size=size, clock=clock, color=color)


class RawWriter:
    """The markdown as it comes, for programs and for terminals that only type.

    Args:
        is_terminal: make the text safe, and show reasoning; a program gets the
            answer, unchanged, and nothing else.
    """

    def __init__(self, stream: TextSink, *, is_terminal: bool = False) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._is_reasoning = False
        self._ends_line = True
        self._is_closed = False

    def text(self, piece: str) -> None:
        if self._is_reasoning:
            self._is_reasoning = False
            self._write("\n" if self._ends_line else "\n\n")
        self._write(piece)

    def reasoning(self, piece: str) -> None:
        if self._is_terminal:
            if not self._is_reasoning and not self._ends_line:
                self._write("\n\n")
            self._is_reasoning = True
            self._write(piece)

    def tick(self) -> None:
        """Nothing waits: each piece was flushed."""

    def close(self) -> None:
        if not self._ends_line:
            self._write("\n")

    def _write(self, piece: str) -> None:
        if piece:
            # A lone surrogate cannot be encoded: it would cost the rest of the answer.
            text = _SURROGATES.sub("\ufffd", piece)
            self._stream.write(safe_text(text) if self._is_terminal else text)
            self._stream.flush()
            self._ends_line = piece.endswith("\n")


class MarkdownWriter:
    """Markdown in a terminal, append-only."""

    def __init__(
        self, stream: TextSink, *, size: TerminalSize, clock: Clock, color: bool = True
    ) -> None:
        # Imported here: whoever makes this writer is about to draw.
        from tina.cli.terminal_markdown import MarkdownRenderer

        self._renderer = MarkdownRenderer(color=color)
        self._painter = Painter(stream)
        self._size = size
        self._clock = clock
        self._section: AnswerSection | ReasoningSection | None = None
        self._is_changed = False
        self._next_frame = float("-inf")

    def text(self, piece: str) -> None:
        from tina.cli.terminal_sections import AnswerSection

        self._feed(AnswerSection, piece)

    def reasoning(self, piece: str) -> None:
        from tina.cli.terminal_sections import ReasoningSection

        self._feed(ReasoningSection, piece)

    def tick(self) -> None:
        is_due = self._clock.monotonic() >= self._next_frame
        if self._section is not None and self._is_changed and is_due:
            self._draw(self._section)

    def close(self) -> None:
        if self._section is not None:
            self._section.close()
            self._draw(self._section)
            self._section = None

    def _feed(
        self, kind: "type[AnswerSection] | type[ReasoningSection]", piece: str
    ) -> None:
        if not isinstance(self._section, kind):
            is_first = self._section is None
            self.close()
            self._section = kind(self._renderer, is_first=is_first)
        self._section.feed(piece)
        self._is_changed = True
        self.tick()

    def _draw(self, section: "AnswerSection | ReasoningSection") -> None:
        started = self._clock.monotonic()
        columns, lines = self._size()
        if columns < 1 or lines < 1:  # a terminal that does not know its size
            columns, lines = 80, 24
        # The cursor needs a row below; one more keeps the end of the last in sight.
        window = lines - 2 if lines > 2 else lines - 1
        done, live = section.frame(columns=columns, window=window)
        self._painter.paint(done, live, columns=columns, lines=lines)
        self._is_changed = False
        ended = self._clock.monotonic()
        self._next_frame = ended + max(TICK_S, _COST_FACTOR * (ended - started))
