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
        self._text: list[str] = []
        self._is_first = is_first
        self._is_closed = False

    def feed(self, piece: str) -> None:
        self._text.append(piece)

    def close(self) -> None:
        self._is_closed = True

    def frame(self, *, columns: int, window: int) -> Frame:
        """As `AnswerSection.frame`."""
        text = "".join(self._text)
        # Empty lines wait: those at the end are not printed.
        spoken = text.rstrip()
        cut = len(spoken) if self._is_closed else spoken.rfind("\n")
        done = self._rows(spoken[:cut], columns) if cut > 0 else []
        live = self._rows(spoken[cut + 1 :], columns)
        self._text = [text[cut + 1 :]]
        if done and not self._is_first:
            done.insert(0, BLANK)
        elif live and not self._is_first:
            live.insert(0, BLANK)
        self._is_first = self._is_first or bool(done)
        return Frame(done, live[max(0, len(live) - window) :])

    def _rows(self, text: str, columns: int) -> list[Row]:
        text = text.strip("\n")
        if not text.strip():
            return []
        return self._renderer.plain(text, columns=columns, style="dim")
