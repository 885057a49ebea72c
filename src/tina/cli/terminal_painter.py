"""Paints rows at the bottom of a terminal; what is done scrolls away and stays.

Invariants:

*   The cursor rests at the first column of the row below the live rows.
*   Live rows are repainted, done rows are written once. There are never more live
    rows than the caller asks for, which must be fewer than the screen has.
*   A terminal that becomes narrower wraps the rows it shows; they are counted as it
    wraps them. One that becomes lower pushes live rows into its history, where no
    program reaches them: they stay there as they were, and are painted again.
*   Nothing is cleared with ED: tmux copies a cleared screen into its history. Each
    row is erased (EL) *before* it is written, because erasing after a row that fills
    the last column takes its last character (the cursor still stands on it).
*   A frame is one write between the marks of synchronised output (mode 2026), so
    that a terminal that knows them shows no half frame. Others ignore the marks.

Source: ECMA-48, section 8.3; "Terminal Spec: Synchronized Output" (mode 2026).
"""

from collections.abc import Sequence
from typing import NamedTuple

from tina.cli.output import TextSink

__all__ = ["Painter", "Row"]

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_ERASE_ROW = "\x1b[K"


class Row(NamedTuple):
    """One line of a screen: its text with colors, and how many cells it fills."""

    text: str
    cells: int


class Painter:
    def __init__(self, stream: TextSink) -> None:
        self._stream = stream
        self._live: list[Row] = []
        self._columns = 0

    def paint(
        self, done: Sequence[Row], live: Sequence[Row], *, columns: int, lines: int
    ) -> None:
        """Put `done` above the live rows for good, and `live` in their place.

        Args:
            columns: of the terminal now; it may have changed since the last frame.
            lines: of the terminal now.
        """
        rows = [*done, *live]
        kept = self._count_equal(rows) if columns == self._columns else 0
        above = min(_height(self._live[kept:], columns), max(1, lines) - 1)
        frame = [f"{_ERASE_ROW}{row.text}\r\n" for row in rows[kept:]]
        excess = above - _height(rows[kept:], columns)
        if excess > 0:
            frame.append(f"{_ERASE_ROW}\r\n" * excess + f"\x1b[{excess}A")
        if frame:
            up = f"\x1b[{above}A" if above else ""
            self._stream.write("".join((_BEGIN, "\r", up, *frame, _END)))
            self._stream.flush()
        self._live = list(live)
        self._columns = columns

    def _count_equal(self, rows: Sequence[Row]) -> int:
        """How many rows at the top of the live ones need no repaint."""
        kept = 0
        for old, new in zip(self._live, rows, strict=False):
            if old != new:
                break
            kept += 1
        return kept


def _height(rows: Sequence[Row], columns: int) -> int:
    """Lines of a screen that these rows take."""
    return sum(max(1, -(-row.cells // columns)) for row in rows)
