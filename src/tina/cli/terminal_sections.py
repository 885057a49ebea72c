"""What is printed of a growing text: rows that are done, rows that may change.

Reasoning and answer are two kinds of section; a section is closed before the next
one begins. Imports rich, through the renderer.
"""

from typing import NamedTuple

from tina.cli.terminal_markdown import BLANK, Block, MarkdownRenderer, split_blocks
from tina.cli.terminal_painter import Row
from tina.markdown import MarkdownBlocks, MarkdownParser

__all__ = ["AnswerSection", "Frame", "ReasoningSection"]


class Frame(NamedTuple):
    done: list[Row]
    live: list[Row]


class AnswerSection:
    """Markdown. Every row of it is done exactly once.

    What stands in a row may change until its block is final; a table that is still
    growing even changes the width of its columns. So rows that do not fit on the
    screen become done early only where no more text can change them: lines of an open
    fence and items of a list, but the last. Of any other block that is too long, the
    end is shown until it is final; then all of it is printed.
    """

    def __init__(self, renderer: MarkdownRenderer, *, is_first: bool) -> None:
        self._renderer = renderer
        self._blocks = MarkdownBlocks()
        self._parser = MarkdownParser()
        self._final: list[str] = []  # source that is final, but not printed
        self._printed = 0  # groups that are printed of the block that still grows
        self._is_first = is_first  # nothing is printed above

    def feed(self, piece: str) -> None:
        self._final.append(self._blocks.feed(piece))

    def close(self) -> None:
        self._final.append(self._blocks.close())

    def frame(self, *, columns: int, window: int) -> Frame:
        """Rows to print for good, and at most `window` rows to show meanwhile."""
        done: list[Row] = []
        for block in split_blocks(self._parser.parse("".join(self._final))):
            for group in self._groups(block, columns, is_open=False):
                done += group
            self._printed = 0
            self._is_first = False
        self._final.clear()
        blocks = split_blocks(self._parser.peek(self._blocks.tail))
        if not blocks:
            return Frame(done, [])
        groups = self._groups(blocks[0], columns, is_open=True)
        below = self._below(blocks[1:], columns)
        height = sum(map(len, groups)) + len(below)
        while len(groups) > 1 and height - len(groups[0]) >= window:
            self._printed += 1
            height -= len(groups[0])
            done += groups.pop(0)
        live = [row for group in (*groups, below) for row in group]
        return Frame(done, live[max(0, len(live) - window) :])

    def _groups(self, block: Block, columns: int, *, is_open: bool) -> list[list[Row]]:
        """What is not printed yet of the block next in turn."""
        groups = self._renderer.groups(
            block, columns=columns, skipped=self._printed, is_open=is_open
        )
        if groups and not self._printed and not self._is_first:
            groups[0].insert(0, BLANK)
        return groups

    def _below(self, blocks: list[Block], columns: int) -> list[Row]:
        rows: list[Row] = []
        for block in blocks:
            rows.append(BLANK)
            for group in self._renderer.groups(block, columns=columns, is_open=True):
                rows += group
        return rows


class ReasoningSection:
    """Plain text, dim, line by line."""

    def __init__(self, renderer: MarkdownRenderer, *, is_first: bool) -> None:
        self._renderer = renderer
        self._text: list[str] = []  # what is not printed
        self._gap = [] if is_first else [BLANK]  # above the first row
        self._is_closed = False

    def feed(self, piece: str) -> None:
        # Empty lines before the first word are not printed, nor after the last.
        piece = piece if self._text else piece.lstrip()
        if piece:
            self._text.append(piece)

    def close(self) -> None:
        self._is_closed = True

    def frame(self, *, columns: int, window: int) -> Frame:
        """As `AnswerSection.frame`; whole lines are done."""
        text = "".join(self._text)
        spoken = text.rstrip()
        cut = len(spoken) if self._is_closed else spoken.rfind("\n")
        done: list[Row] = []
        if spoken and cut >= 0:
            done = [*self._gap, *self._rows(spoken[:cut], columns)]
            self._gap = []
        last_line = spoken[cut + 1 :]
        live = [*self._gap, *self._rows(last_line, columns)] if last_line else []
        if text:
            self._text = [text[cut + 1 :]]
        return Frame(done, live[max(0, len(live) - window) :])

    def _rows(self, text: str, columns: int) -> list[Row]:
        return self._renderer.plain(text, columns=columns, style="dim")
