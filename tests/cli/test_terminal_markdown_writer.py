"""The append-only writer, seen by a small terminal that keeps its scrollback."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tina.cli.terminal import TICK_S, MarkdownWriter
from tina.cli.terminal_markdown import MarkdownRenderer
from tina.testing.clock import FakeClock

_CONTROL = re.compile(r"\x1b\[(\?2026[hl]|\d*A|K|[\d;]*m)")


class Screen(StringIO):
    """A terminal: cursor up, CR, LF, erase in line, colors, scrolling, wrapping.

    As in xterm and its kin a row that is full leaves the cursor on its last column
    until the next character. Anything it does not know is an error.
    """

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__()
        self.columns, self.lines = columns, lines
        self.rows: list[list[str]] = [[]]
        self.at_row = self.at_column = 0  # at_row counts from the top of all rows
        self.is_synchronized = False
        self.frames = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        at = 0
        while at < len(text):
            control = _CONTROL.match(text, at)
            if control:
                self._obey(control[1])
                at = control.end()
            else:
                self._show(text[at])
                at += 1
        assert not self.is_synchronized
        return len(text)

    @property
    def top(self) -> int:
        return max(0, len(self.rows) - self.lines)

    @property
    def history(self) -> list[str]:
        """Scrollback and screen down to the cursor, which must stand below all."""
        shown = ["".join(row).rstrip() for row in self.rows]
        assert not any(shown[self.at_row :])
        return shown[: self.at_row]

    def resize(self, columns: int, lines: int) -> None:
        """Rows that became too long wrap; the cursor stays with its row."""
        rows: list[list[str]] = []
        at_row = 0
        for number, row in enumerate(self.rows):
            if number == self.at_row:
                at_row = len(rows)
            rows += [row[i : i + columns] for i in range(0, len(row), columns)] or [[]]
        self.rows, self.at_row = rows, at_row
        self.columns, self.lines = columns, lines

    def _obey(self, control: str) -> None:
        if control.endswith("A"):
            self.at_row = max(self.top, self.at_row - int(control[:-1] or 1))
        elif control == "K":
            # A full row keeps the cursor on its last character: that goes too.
            del self.rows[self.at_row][min(self.at_column, self.columns - 1) :]
        elif control.startswith("?"):
            self.is_synchronized = control.endswith("h")
            self.frames += self.is_synchronized

    def _show(self, character: str) -> None:
        if character == "\r":
            self.at_column = 0
        elif character == "\n":
            self.at_row += 1
            if self.at_row == len(self.rows):
                self.rows.append([])
        else:
            assert character.isprintable(), repr(character)
            self._put(character)

    def _put(self, character: str) -> None:
        cells = cell_len(character)
        if self.at_column + cells > self.columns:
            self._show("\r")
            self._show("\n")
        row = self.rows[self.at_row]
        row += [" "] * (self.at_column - len(row))
        if cells == 0 and row:
            row[self.at_column - 1] += character
            return
        row[self.at_column : self.at_column + cells] = [character, ""][:cells]
        self.at_column += cells


Size = Callable[[], tuple[int, int]]


def show(
    pieces: list[str], columns: int, lines: int, *, every_s: float = TICK_S
) -> Screen:
    screen, clock = Screen(columns, lines), FakeClock()
    writer = MarkdownWriter(
        screen, size=lambda: (screen.columns, screen.lines), clock=clock
    )
    for piece in pieces:
        writer.text(piece)
        clock.advance(every_s)
        writer.tick()
    writer.close()
    return screen


def at_once(document: str, columns: int) -> list[str]:
    rows = MarkdownRenderer(color=False).render(document, columns=columns)
    return [re.sub(r"\x1b\[[\d;]*m", "", row.text).rstrip() for row in rows]


ANSWER = """\
# Fjords, 峡湾 and 🚢

A **fjord** is a long, narrow inlet with *steep* sides, [cut](https://example.org/a)
by a glacier. ~~Not a canyon~~; `deep_water()` and 深い水域はとても冷たい everywhere.

1. First, the ice comes
2. then it goes
   - slowly
   - and `loudly`

     with an afterthought
3. and the sea follows

| place | depth |
|-------|------:|
| Sogne | 1308 m |
| Hardanger with a long name | 860 m |

> Quoted words that go on for a while, so that they wrap somewhere.

---

```python
def depth(name: str) -> int:
	\"\"\"How deep.\"\"\"

    return {"Sogne": 1308, "Hardanger": 860}[name]  # and a comment that is long


```

Setext heading
--------------

- loose

- list of things, the last of which is a ![picture](https://example.org/b.png)

Done. 2 * 3 = 6, and a [half link](never closed
"""

SIZES = [(80, 24), (20, 5), (40, 10), (33, 3), (120, 50), (12, 8), (80, 1)]


@pytest.mark.parametrize("size", [1, 3, 17, 400, 10_000])
@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_every_row_is_there_once_whatever_the_terminal(
    columns: int, lines: int, size: int
) -> None:
    pieces = [ANSWER[i : i + size] for i in range(0, len(ANSWER), size)]

    screen = show(pieces, columns, lines)

    assert screen.history == at_once(ANSWER, columns)


BLOCKS = [
    "# Title **bold**",
    "Setext\n===",
    "words that make a paragraph, *with* `marks` and 漢字 in it",
    "two\nlines | of text\\",
    "- one\n- two\n  - deep\n    - deeper\n- three",
    "- a\n\n- b\n\n  more of b",
    "-\n-x\n- y",
    "- item\n1.5 is lazy\n- last",
    "9. nine\n10. ten\n11. eleven",
    "99) a\n100) b\n1) c",
    "* a\n+ b\n- c",
    "> quote\n> - list\nlazy",
    "| a | b |\n|---|---|\n| 1 | 漢字 |\n| long words here | 4 |",
    "|a|\n|-|",
    "---",
    "```\ncode\n\n\nmore code that is longer than most terminals are wide\n```",
    "```py\nx = '''\n# no comment\n'''\n\n\n\n```",
    "~~~ text\n``\n```\n ~~~",
    "```\n\n\n",
    "    indented\n\n    code",
    "- ```\n  listed\n  ```\n- after",
    "<div>\n\n<b>html</b>",
    "[a]: /url 'title'",
    "see [a] and ![b](c) and <https://d.e>",
    "**never closed *at all `anywhere",
    "&#27;[31m &#x202e; \x1b[2J \u202e \x07 \ud800",
    "> > > > > > deep\n> > > > > > - deeper\n> > > > > >   - down",
    "é 👩 漢 ✈️ e\u0301",
]
SEPARATORS = ["\n", "\n\n", "\r\n\r\n", "\n\n\n"]
answers = st.lists(
    st.tuples(st.sampled_from(BLOCKS), st.sampled_from(SEPARATORS)), max_size=7
).map(lambda parts: "".join(map("".join, parts)))


@settings(max_examples=80, deadline=None)  # drawing takes a while
@given(answers, st.integers(1, 30), st.integers(10, 90), st.integers(1, 30))
@example("```\n\n\na\n\n\n\n```\n", 1, 10, 3)
@example("- a\n- b\n- c\n-x\n", 1, 20, 3)
def test_any_answer_in_any_terminal_is_what_it_is_at_once(
    answer: str, size: int, columns: int, lines: int
) -> None:
    # A definition holds from where it is read: put it first, as `at_once` does.
    answer = "[a]: /url 'title'\n\n# Begin\n\n" + answer

    screen = show(
        [answer[i : i + size] for i in range(0, len(answer), size)], columns, lines
    )

    assert screen.history == at_once(answer, columns)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def screen() -> Screen:
    return Screen(40, 10)


@pytest.fixture
def writer(screen: Screen, clock: FakeClock) -> MarkdownWriter:
    return MarkdownWriter(
        screen, size=lambda: (screen.columns, screen.lines), clock=clock
    )


def test_a_long_open_fence_reaches_the_scrollback_while_it_grows(
    writer: MarkdownWriter, screen: Screen, clock: FakeClock
) -> None:
    writer.text("```\n")
    for number in range(100):
        writer.text(f"line {number}\n")
        clock.advance(TICK_S)
        writer.tick()

    assert screen.history == [f"  line {number}" for number in range(100)]


def test_a_very_long_fence_loses_its_colors_but_no_line(
    writer: MarkdownWriter, screen: Screen, clock: FakeClock
) -> None:
    lines = [f"value_{number} = {number}  # a comment" for number in range(400)]
    writer.text("```python\n")
    for line in lines:
        writer.text(f"{line}\n")
        clock.advance(TICK_S)
    writer.text("```\nEnd")
    writer.close()

    assert screen.history == [*(f"  {line}" for line in lines), "", "End"]


def test_a_long_list_reaches_the_scrollback_item_by_item(
    writer: MarkdownWriter, screen: Screen, clock: FakeClock
) -> None:
    for number in range(1, 31):
        writer.text(f"{number}. item\n")
        clock.advance(TICK_S)
    writer.tick()

    assert screen.history == [f"{number:>3} item" for number in range(1, 31)]


def test_what_fits_on_no_screen_is_shown_from_its_end_until_it_is_final(
    writer: MarkdownWriter, screen: Screen, clock: FakeClock
) -> None:
    words = [f"word{number:04}" for number in range(100)]
    writer.text(" ".join(words))
    shown_before = screen.history

    writer.close()

    assert len(shown_before) == screen.lines - 2
    assert shown_before[-1].endswith(words[-1])
    assert " ".join(screen.history).split() == words


def test_frames_keep_their_distance(
    writer: MarkdownWriter, screen: Screen, clock: FakeClock
) -> None:
    for _ in range(100):
        writer.text("a ")
        clock.advance(TICK_S / 10)
        writer.tick()

    assert 10 <= screen.frames <= 11


def test_a_slow_terminal_is_drawn_less_often(screen: Screen, clock: FakeClock) -> None:
    def slow_size() -> tuple[int, int]:
        clock.advance(1.0)
        return 40, 10

    writer = MarkdownWriter(screen, size=slow_size, clock=clock)
    writer.text("one")
    clock.advance(3.9)
    writer.text(" two")
    too_early = screen.history
    clock.advance(0.2)
    writer.tick()

    assert too_early == ["one"]
    assert screen.history == ["one two"]


def test_nothing_new_writes_nothing(
    writer: MarkdownWriter, screen: Screen, clock: FakeClock
) -> None:
    writer.text("same")
    clock.advance(1.0)
    writer.tick()
    writer.text("")
    clock.advance(1.0)
    writer.tick()

    assert screen.frames == 1


def test_reasoning_stands_apart_and_is_dim(clock: FakeClock, screen: Screen) -> None:
    stream = StringIO()
    for out in (stream, screen):
        writer = MarkdownWriter(out, size=lambda: (40, 10), clock=clock)
        for piece in ("\n", "\nFirst,", " think *hard*.\n", "\nThen ", "speak.\n\n"):
            writer.reasoning(piece)
            clock.advance(1.0)
        writer.text("An *answer*")
        writer.reasoning("More thoughts")
        writer.reasoning("\nand more")
        writer.close()

    assert "\x1b[2mFirst, think *hard*.\x1b[0m" in stream.getvalue()
    assert screen.history == [
        "First, think *hard*.",
        "",
        "Then speak.",
        "",
        "An answer",
        "",
        "More thoughts",
        "and more",
    ]


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (20, 5), (30, 1)])
def test_long_reasoning_is_there_once(
    columns: int, lines: int, clock: FakeClock
) -> None:
    screen = Screen(columns, lines)
    writer = MarkdownWriter(screen, size=lambda: (columns, lines), clock=clock)
    thoughts = [f"thought{number:03}" for number in range(200)]
    for number, thought in enumerate(thoughts):
        writer.reasoning(f"{thought}\n" if number % 50 == 49 else f"{thought} ")
        clock.advance(TICK_S)
    writer.close()

    assert " ".join(screen.history).split() == thoughts


def test_an_empty_answer_prints_nothing(writer: MarkdownWriter, screen: Screen) -> None:
    writer.reasoning(" \n\n")
    writer.text("\n")
    writer.close()
    writer.close()

    assert screen.history == []


@pytest.mark.parametrize(("columns", "lines"), [(60, 10), (13, 10), (25, 20)])
def test_a_resized_terminal_still_shows_every_word_once(
    columns: int,
    lines: int,
    writer: MarkdownWriter,
    screen: Screen,
    clock: FakeClock,
) -> None:
    before = "# Title\n\nSome words that fill more than one row of this terminal"
    writer.text(before)
    screen.resize(columns, lines)
    clock.advance(TICK_S)
    writer.text(", and the rest of them.\n\n```\ncode\n")
    screen.resize(40, 10)
    clock.advance(TICK_S)
    writer.text("more\n```\n")
    writer.close()

    # The terminal itself wraps printed rows that became too long, within words.
    assert "".join("".join(screen.history).split()) == "".join(
        f"{before.removeprefix('# ')}, and the rest of them. code more".split()
    )


def test_a_terminal_without_a_size_is_taken_for_an_old_one(clock: FakeClock) -> None:
    screen = Screen(80, 24)
    writer = MarkdownWriter(screen, size=lambda: (0, 0), clock=clock)

    writer.text("word " * 20)
    writer.close()

    assert [len(row) for row in screen.history] == [79, 19]


def test_no_color_leaves_bold_and_italic(clock: FakeClock) -> None:
    stream = StringIO()
    writer = MarkdownWriter(stream, size=lambda: (40, 10), clock=clock, color=False)

    writer.text("- **bold** `code`\n\n> quote\n\n```py\ndef f(): ...\n```\n")
    writer.close()

    codes = set(re.findall(r"\x1b\[([\d;]*)m", stream.getvalue()))
    assert "1" in codes
    assert not {code for code in codes if re.search(r"(^|;)[349]\d", code)}


HOSTILE = "\x1b]8;;http://evil\x1b\\x\x1b]0;title\x07\x9b31m\x1b[2J&#x1b;[31m&#x9b;1m"


@pytest.mark.parametrize(
    "place",
    [
        "{}",
        "# {}",
        "- {}",
        "> {}",
        "`{}`",
        "```py\n{}\n```",
        "    {}",
        "```{}\nx\n```",
        "| {} |\n|---|\n| {} |",
        "[{}](http://host/{})",
        "![{}]({})",
        "<{}>",
        "[a]: http://host/{}\n\n[a]",
    ],
)
def test_no_text_of_a_model_commands_the_terminal(place: str, clock: FakeClock) -> None:
    document = place.replace("{}", HOSTILE)
    stream = StringIO()
    writer = MarkdownWriter(stream, size=lambda: (50, 10), clock=clock)

    for character in document:
        writer.text(character)
        writer.reasoning("")
        clock.advance(TICK_S)
    writer.reasoning(HOSTILE)
    writer.close()

    left = _CONTROL.sub("", stream.getvalue()).replace("\r\n", "").replace("\r", "")
    assert left.isprintable(), ascii(left)


def test_a_link_shows_where_it_leads_and_an_image_loads_nothing(
    writer: MarkdownWriter, screen: Screen
) -> None:
    writer.text("[bank](https://evil.example) ![](http://x/y) <https://a.example>\n")
    writer.close()

    assert " ".join(screen.history) == (
        "bank (https://evil.example) [image] (http://x/y) https://a.example"
    )
