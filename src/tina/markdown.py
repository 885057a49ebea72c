"""Markdown that grows: which part is final, and how to show the rest meanwhile.

Both faces draw an answer while it is written. Drawing the whole text again for each
token is quadratic, so this module cuts the growing text at the one place where that
is safe. The theory:

*   A markdown document is a row of top-level blocks, and a parser decides on it line
    by line. So more text can change the last top-level block, and none before it.
*   A line that is not whole yet decides nothing: `foo` + newline + `#` looks like a
    heading until it becomes `#bar`. Only whole lines are parsed here.
*   A link reference definition leaves no block behind, and its title may stand on
    the next line. Lines between the last block and the one before it that are not
    blank therefore stay with the last block.

Hence: the pieces `feed` and `close` return, put together, are the document, and every
cut between them is a boundary between top-level blocks of the whole document.
Rendering piece by piece with one `MarkdownParser` gives what rendering at once gives,
with one exception: a link reference that is used before its definition was read.

HTML is off: a tag is text, in the cuts as in the rendering.

Source: CommonMark 0.31.2, appendix "A parsing strategy", and section 4.7.
"""

import re
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

__all__ = ["MarkdownBlocks", "MarkdownParser", "heal"]

# Not splitlines(): a form feed or U+2028 ends no line in markdown.
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")

# A line that starts a top-level block whatever stands before it, open fences excepted.
_OPENS_A_BLOCK = re.compile(r"#{1,6}[ \t]|`{3,}[^`]*$|~{3,}")
_LIST_MARKER = re.compile(r"(?:[-+*]|\d{1,9}[.)])(?:\s|$)")
_PARSE_ALWAYS_CHARS = 2_048
_PARSE_AFTER_GROWTH = 8
"""Above the limit, parse again when the open text has grown by one in this many."""


class MarkdownBlocks:
    """Cuts a growing markdown text into a final part and a rest that may change.

    Cost: a piece without a newline costs an append. A newline costs a parse of the
    text that is not final yet, and above 2 kB only where a block may have ended, so
    that a long fence, list or table stays far from quadratic.
    """

    def __init__(self) -> None:
        self._whole: list[str] = []  # lines that are not final, each chunk ends in \n
        self._part: list[str] = []  # the last line, not ended yet
        self._whole_chars = 0
        self._unseen_chars = 0
        self._after_blank = False
        self._in_list = False
        self._has_ended = False  # the last block is a fence, and closed
        self._closing: re.Pattern[str] | None = None  # what ends the open fence

    def feed(self, piece: str) -> str:
        """Add text; return the source of the blocks that became final, often none."""
        head, newline, rest = piece.rpartition("\n")
        if not newline:
            self._part.append(piece)
            return ""
        lines = "".join((*self._part, head, newline))
        self._part = [rest]
        self._whole.append(lines)
        self._whole_chars += len(lines)
        self._unseen_chars += len(lines)
        # A list, not a generator: each line must be looked at.
        ends = [self._may_end_block(line) for line in _LINE.findall(lines)]
        return self._freeze() if any(ends) else ""

    @property
    def source(self) -> str:
        """The text that is not final, as it came."""
        return "".join((*self._whole, *self._part))

    @property
    def tail(self) -> str:
        """The text that is not final, healed so that it can be shown."""
        return heal(self.source)

    def close(self) -> str:
        """End the text; return what `feed` has not returned. Nothing may follow."""
        rest = self.source
        self._whole.clear()
        self._part.clear()
        return rest

    def _may_end_block(self, line: str) -> bool:
        """Whether it is worth a parse; a wrong no only makes a block final later."""
        if self._closing is not None:
            return self._closing.match(line) is not None
        if not line.strip():
            self._after_blank = True
            return False
        after_blank, self._after_blank = self._after_blank, False
        is_short = self._whole_chars < _PARSE_ALWAYS_CHARS
        if is_short or self._has_ended or _OPENS_A_BLOCK.match(line):
            return True
        # A definition ("[") makes no block, so it must not earn a parse each time.
        if after_blank and not line[0].isspace() and line[0] != "[":
            return not (self._in_list and _LIST_MARKER.match(line))
        return self._unseen_chars * _PARSE_AFTER_GROWTH >= self._whole_chars

    def _freeze(self) -> str:
        source = "".join(self._whole)
        self._unseen_chars = 0
        blocks = _top_level_blocks(source)
        if not blocks:
            return ""
        lines = _LINE.findall(source)
        first, end = blocks[-1].map or (0, 0)
        self._in_list = blocks[-1].type.endswith("list_open")
        self._closing = _awaited_fence(blocks[-1], lines[first:end])
        self._has_ended = blocks[-1].type == "fence" and self._closing is None
        cut = sum(map(len, lines[: _last_boundary(blocks, lines)]))
        self._whole = [source[cut:]]
        self._whole_chars = len(source) - cut
        return source[:cut]


class MarkdownParser:
    """Parses one document piece by piece; remembers its link definitions."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def parse(self, source: str) -> "list[Token]":
        """Tokens of final blocks; their link definitions hold from here on."""
        return _parser().parse(source, self._known)

    def peek(self, source: str) -> "list[Token]":
        """Tokens of blocks that may still change; nothing is remembered."""
        return _parser().parse(source, deepcopy(self._known))


def heal(tail: str) -> str:
    """Close or hide what a cut left half done, so that it can be shown.

    Dangling code, `*`, `**` and `~~` are closed; half a link shows its text, half an
    image nothing; a last line of nothing but marks (`-`, `1.`, half a fence) is
    hidden, for it may become anything. An open fence needs no end: "If the end of the
    containing block is reached and no closing code fence has been found, the code
    block contains all of the lines" (CommonMark 0.31.2, section 4.5).

    It is a guess about the last paragraph, good for the eyes only.
    """
    start = tail.rfind("\n") + 1
    fence = _open_fence(tail)
    if fence is not None:
        return tail[:start] if not tail[start:].strip(" \t" + fence) else tail
    if _ONLY_MARKS.fullmatch(tail, start):
        return tail[:start]
    leaf = max((match.end() for match in _LEAF_START.finditer(tail)), default=0)
    return tail[:leaf] + _heal_inline(tail[leaf:])


_ONLY_MARKS = re.compile(r"[ \t>]*(?:[-+*=_#|:`~ \t]+|\d{1,9}[.)]?)?[ \t]*")
_LEAF_START = re.compile(
    r"^[ \t>]*(?:$|\|.*\||(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]+)+)", re.MULTILINE
)
_FENCE = re.compile(
    r"^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})(.*)$", re.MULTILINE
)
_CODE_OR_ESCAPE = re.compile(r"\\.|(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_HALF_LINK = re.compile(r"(!?)\[([^\[\]]*)(?:\]\([^()]*|\]\[[^\[\]]*)?$")
_EMPHASIS = re.compile(r"\*+|~~")


def _open_fence(text: str) -> str | None:
    """The character of the fence that is open at the end, if one is."""
    opened = ""
    for match in _FENCE.finditer(text):
        run, rest = match.groups()
        if not opened:
            opened = run if run[0] == "~" or "`" not in rest else ""
        elif run.startswith(opened) and not rest.strip():
            opened = ""
    return opened[0] if opened else None


def _heal_inline(text: str) -> str:
    # What stands in code or behind a backslash means nothing: same length, no marks.
    plain = _CODE_OR_ESCAPE.sub(lambda match: "x" * len(match[0]), text)
    code = re.search("`+", plain)
    if code is None:
        link = _HALF_LINK.search(plain)
        if link:
            kept = slice(*link.span(2)) if not link[1] else slice(0, 0)
            text = text[: link.start()] + text[kept]
            plain = plain[: link.start()] + plain[kept]
        return _close_emphasis(text, plain)
    inside = text[code.end() :].rstrip("`")
    healed = text[: code.end()] + inside + code[0] if inside.strip() else ""
    return _close_emphasis(healed or text[: code.start()], plain[: code.start()])


def _close_emphasis(text: str, plain: str) -> str:
    """Close what `plain`, a beginning of `text` without code, leaves open."""
    opened: list[str] = []
    for match in _EMPHASIS.finditer(plain):
        run, after = match[0], text[match.end() : match.end() + 1]
        before = plain[max(0, match.start() - 1) : match.start()]
        if before.strip() and run in opened:
            del opened[len(opened) - 1 - opened[::-1].index(run) :]
        elif not after:
            text = text[: match.start()]
        elif not after.isspace():
            opened.append(run)
    return text.rstrip() + "".join(reversed(opened)) if opened else text


def _top_level_blocks(source: str) -> "list[Token]":
    return [
        token
        for token in _block_parser().parse(source)
        if token.level == 0 and token.nesting >= 0 and token.map
    ]


def _last_boundary(blocks: "list[Token]", lines: list[str]) -> int:
    """The line before which nothing can change any more."""
    if len(blocks) < 2:
        return 0
    end = (blocks[-2].map or (0, 0))[1]
    start = (blocks[-1].map or (0, 0))[0]
    only_blank = not any(line.strip() for line in lines[end:start])
    return start if only_blank else end


def _awaited_fence(block: "Token", lines: list[str]) -> "re.Pattern[str] | None":
    """What ends the last block, if that is a fence still open."""
    if block.type != "fence":
        return None
    mark = re.escape(block.markup[0])
    closing = re.compile(rf" {{0,3}}{mark}{{{len(block.markup)},}}[ \t]*$")
    closed = len(lines) > 1 and closing.match(lines[-1])
    return None if closed else closing


@cache
def _parser() -> "MarkdownIt":
    # Imported at first use: commands that draw nothing do not pay for it.
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable(["strikethrough", "table"])


@cache
def _block_parser() -> "MarkdownIt":
    """The same parser without what happens inside a paragraph."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False})
    return parser.enable("table").disable(["inline", "text_join"])
