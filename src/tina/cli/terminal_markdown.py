"""Markdown to rows of a terminal, one top-level block at a time.

rich draws most of it. Three things are drawn by our own rule, because a long block
must be printable while it grows: what is above must not depend on what is below.

*   Code has no frame, and each line of it is wrapped by itself.
*   The numbers of a list have a width of their own, not that of the last number.
*   So a fence is a row of lines and a list a row of items: `groups` that never
    change once the next one has begun. Every other block is one group.

Links show where they lead, images load nothing and show their address, HTML is text.
There are no hyperlink sequences: they would hide the host.

Imports rich: import this module only where an answer is drawn.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, NamedTuple

from markdown_it.token import Token
from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import (
    BlockQuote,
    CodeBlock,
    ListItem,
    Markdown,
    MarkdownElement,
)
from rich.padding import Padding
from rich.segment import Segment
from rich.syntax import Syntax
from rich.text import Text

from tina.cli.terminal_painter import Row
from tina.cli.terminal_text import safe_text
from tina.markdown import MarkdownParser

__all__ = ["BLANK", "Block", "MarkdownRenderer", "split_blocks"]

BLANK = Row("", 0)

_MIN_COLUMNS = 10
_CODE_INDENT = 2
_HIGHLIGHTED_CHARS = 65_536
_HIGHLIGHTED_OPEN_CHARS = 6_144
"""A fence that is still open is colored again at each frame, if it is shorter."""


class Block(NamedTuple):
    """The tokens of one top-level block."""

    tokens: Sequence[Token]

    @property
    def is_code(self) -> bool:
        return self.tokens[0].type in {"fence", "code_block"}

    @property
    def is_list(self) -> bool:
        return self.tokens[0].type.endswith("list_open")


class MarkdownRenderer:
    def __init__(self, *, color: bool) -> None:
        self._color = color
        # It only measures and wraps; `_row` writes.
        self._console = Console(file=io.StringIO(), width=80, legacy_windows=False)

    def render(self, source: str, *, columns: int) -> list[Row]:
        """All rows of a whole document."""
        rows: list[Row] = []
        for block in split_blocks(MarkdownParser().parse(source)):
            rows += [BLANK] if rows else []
            for group in self.groups(block, columns=columns):
                rows += group
        return rows

    def groups(
        self, block: Block, *, columns: int, skipped: int = 0, is_open: bool = False
    ) -> list[list[Row]]:
        """Rows of the block, without its first `skipped` groups.

        Args:
            is_open: the block may grow, and is drawn more cheaply if it is long.
        """
        columns = max(columns, _MIN_COLUMNS)
        if block.is_code:
            token = block.tokens[0]
            lines = _code_lines(token, skipped=skipped, is_open=is_open)
            return [self._rows(_indented(line), columns) for line in lines]
        parts = _items(block.tokens)[skipped:] if block.is_list else [block.tokens]
        return [_unpadded(self._rows(_Tokens(part), columns)) for part in parts]

    def plain(self, text: str, *, columns: int, style: str) -> list[Row]:
        """Rows of text without markdown."""
        columns = max(columns, _MIN_COLUMNS)
        return self._rows(Text(safe_text(text), style=style), columns)

    def _rows(self, drawn: "Markdown | Padding | Text", columns: int) -> list[Row]:
        options = self._console.options.update(width=columns)
        lines = self._console.render_lines(drawn, options, pad=False)
        return [self._row(_trimmed(line)) for line in lines]

    def _row(self, line: Iterable[Segment]) -> Row:
        written: list[str] = []
        cells = 0
        for text, style, _ in line:
            # The last gate: whatever rich made of it, no text commands the terminal.
            safe = safe_text(text)
            cells += cell_len(safe)
            if style and not self._color:
                style = style.without_color
            written.append(
                style.render(safe, color_system=ColorSystem.STANDARD) if style else safe
            )
        return Row("".join(written), cells)


def split_blocks(tokens: Iterable[Token]) -> list[Block]:
    """Top-level blocks, with what they say made visible and harmless."""
    blocks: list[Block] = []
    open_tokens: list[Token] = []
    for token in tokens:
        open_tokens.append(_made_visible(token))
        if token.level == 0 and token.nesting <= 0:
            blocks.append(Block(open_tokens))
            open_tokens = []
    return blocks


def _made_visible(token: Token) -> Token:
    token.content = safe_text(token.content)
    token.attrs = {
        name: safe_text(value) if isinstance(value, str) else value
        for name, value in token.attrs.items()
    }
    if token.type == "image":
        alt = f": {token.content}" if token.content else ""
        return Token("text", "", 0, content=f"[image{alt}] ({token.attrs['src']})")
    if token.children:
        shown = [_made_visible(child) for child in token.children]
        token.children = list(_without_bare_links(shown))
    return token


def _without_bare_links(tokens: Sequence[Token]) -> Iterator[Token]:
    """Drop the link around a text that is the address already."""
    at = 0
    while at < len(tokens):
        ends = [token.type for token in tokens[at : at + 3 : 2]]
        if ends == ["link_open", "link_close"] and (
            tokens[at + 1].content == tokens[at].attrs["href"]
        ):
            yield tokens[at + 1]
            at += 3
        else:
            yield tokens[at]
            at += 1


def _items(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    """A list cut into lists of one item each, which keep their numbers."""
    opening, closing = tokens[0], tokens[-1]
    number = int(opening.attrs.get("start", 1))
    items: list[list[Token]] = []
    for token in tokens[1:-1]:
        if token.level == 1 and token.nesting == 1:
            first = opening.copy(attrs={"start": number + len(items)})
            items.append([first])
        items[-1].append(token)
    return [[*item, closing] for item in items]


def _code_lines(token: Token, *, skipped: int, is_open: bool) -> list[Text]:
    # Tabs before anything else: wrapping counts cells.
    code = token.content.expandtabs(4).rstrip()
    language = token.info.split(maxsplit=1)[0] if token.info.strip() else "text"
    limit = _HIGHLIGHTED_OPEN_CHARS if is_open else _HIGHLIGHTED_CHARS
    lines = code.split("\n")
    if len(code) > limit:
        return [Text(line, overflow="fold") for line in lines[skipped:]]
    # Not the theme's own background: the terminal's colors are the user's choice.
    syntax = Syntax(code, language, theme="ansi_dark", word_wrap=True)
    colored = syntax.highlight(code)
    colored.overflow = "fold"
    return list(colored.split("\n", allow_blank=True))[skipped : len(lines)]


def _indented(line: Text) -> Padding:
    return Padding(line, (0, 0, 0, _CODE_INDENT))


def _trimmed(line: Iterable[Segment]) -> list[Segment]:
    """Without the spaces at the end that nobody sees.

    They would be copied with the text, and wrap when the terminal becomes narrower.
    """
    segments = list(Segment.simplify(line))
    while segments:
        text, style, _ = segments[-1]
        if style and (style.bgcolor or style.underline or style.strike):
            break
        if kept := text.rstrip(" "):
            segments[-1] = Segment(kept, style)
            break
        segments.pop()
    return segments


def _unpadded(rows: list[Row]) -> list[Row]:
    """Without empty rows at both ends: rich puts some around some blocks."""
    filled = [at for at, row in enumerate(rows) if row.cells]
    return rows[filled[0] : filled[-1] + 1] if filled else []


class _Code(CodeBlock):
    """Code inside a list or a quote, drawn as at the top level."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        code = Token("fence", "", 0, content=str(self.text), info=self.lexer_name)
        lines = _code_lines(code, skipped=0, is_open=False)
        yield from (_indented(line) for line in lines)


class _Quote(BlockQuote):
    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        yield from super().__rich_console__(console, _wide_enough(options))


class _Item(ListItem):
    def render_bullet(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from super().render_bullet(console, _wide_enough(options))

    def render_number(
        self, console: Console, options: ConsoleOptions, number: int, last_number: int
    ) -> RenderResult:
        # rich makes room for the last number, which a growing list does not know yet.
        wide = _wide_enough(options)
        yield from super().render_number(console, wide, number, max(number, 10))


def _wide_enough(options: ConsoleOptions) -> ConsoleOptions:
    """Deep nesting leaves no room; then rows are too long, but nothing is lost."""
    return options.update(width=max(options.max_width, _MIN_COLUMNS))


class _Tokens(Markdown):
    """What rich draws, from tokens that are already there."""

    elements: ClassVar[dict[str, type[MarkdownElement]]] = {
        **Markdown.elements,
        "fence": _Code,
        "code_block": _Code,
        "blockquote_open": _Quote,
        "list_item_open": _Item,
    }

    def __init__(self, tokens: Sequence[Token]) -> None:
        super().__init__("", hyperlinks=False)
        self.parsed = list(tokens)
