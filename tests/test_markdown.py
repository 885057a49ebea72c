"""The cut between final and growing markdown, and the healing of what grows."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tina.markdown import MarkdownBlocks, MarkdownParser, heal

LINES = [
    "",
    "",
    "",
    "plain words",
    "more | words",
    "# Heading",
    "#nothing",
    "===",
    "---",
    "--|--",
    "| a | b |",
    "|---|:-:|",
    "- one",
    "-",
    "* star",
    "1. first",
    "2) second",
    "  inside",
    "   - deeper",
    "    code",
    "\ttab",
    "> quoted",
    ">",
    "> - listed",
    "> ```",
    "```",
    "```python",
    "````",
    "~~~",
    "~~~ text",
    "  ```",
    "- ```",
    "<div>",
    "</div>",
    "<!-- note",
    "-->",
    "[a]: /url",
    "[b]:",
    "/there 'title",
    "'title",
    "ends'",
    "[c",
    "]: /c",
    "see [a], [b] and [c][a]",
    "**bold `code` *it*",
    "a\rb",
    "page\fbreak\u2028here",
    "tail\\",
]
ENDS = ["\n", "\n", "\n", "\r\n"]
lines = st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)), max_size=14)
documents = lines.map(lambda pairs: "".join(map("".join, pairs)))
blocky = st.text(alphabet="ab *_~`#>|-=1.[]():/'<!\\\n\n\n\r\t", max_size=80)


def cut(document: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(document), *(at % (len(document) + 1) for at in places)})
    return [document[a:b] for a, b in pairwise(edges)]


def feed_all(pieces: list[str]) -> list[str]:
    blocks = MarkdownBlocks()
    done = [blocks.feed(piece) for piece in pieces]
    return [part for part in (*done, blocks.close()) if part]


def shape(document: str, known: dict[str, Any]) -> list[tuple[object, ...]]:
    parser = MarkdownIt("commonmark", {"html": False})
    tokens = parser.enable(["strikethrough", "table"]).parse(document, known)
    return [(t.type, t.level, t.info, t.content, t.attrs, t.hidden) for t in tokens]


def assert_cuts_change_nothing(document: str, pieces: list[str]) -> None:
    known: dict[str, Any] = {}
    whole = shape(document, known)

    done = feed_all(pieces)

    assert "".join(done) == document
    # All definitions are known here: what is left to differ are the cuts.
    assert [token for part in done for token in shape(part, known)] == whole


@given(documents, st.lists(st.integers(0, 400), max_size=30))
def test_blocks_one_by_one_are_the_whole_document(
    document: str, places: list[int]
) -> None:
    assert_cuts_change_nothing(document, cut(document, places))


@given(documents)
def test_single_characters_cut_at_the_same_blocks(document: str) -> None:
    assert_cuts_change_nothing(document, list(document))


@given(blocky)
def test_any_text_survives_being_cut(document: str) -> None:
    assert_cuts_change_nothing(document, list(document))


# No deadline: 3 kB letter by letter takes a while on a busy machine.
@settings(max_examples=10, deadline=None)
@given(documents, st.integers(1, 7))
def test_a_long_unfinished_block_changes_no_cut(document: str, size: int) -> None:
    """Above 2 kB most lines are not parsed at once."""
    long = "- item\n  with words\n" * 150 + document

    assert_cuts_change_nothing(
        long, [long[i : i + size] for i in range(0, len(long), size)]
    )


FROZEN = [
    pytest.param("# Title\ntext\n", ["# Title\n"], id="heading"),
    pytest.param("one\n\ntwo\n", ["one\n\n"], id="paragraph"),
    pytest.param("foo\n#", [], id="half-a-line-decides-nothing"),
    pytest.param("- a\n\n- b\n", [], id="a-loose-list-goes-on"),
    pytest.param("```\na\n\nb\n", [], id="open-fence"),
    pytest.param("```\na\n```\ntext\n", ["```\na\n```\n"], id="closed-fence"),
    pytest.param("~~~\n```\n~~~\nx\n", ["~~~\n```\n~~~\n"], id="other-fence-inside"),
    pytest.param("````\n```\n````\nx\n", ["````\n```\n````\n"], id="longer-fence"),
    pytest.param("one\r\n\r\ntwo\r\n", ["one\r\n\r\n"], id="crlf"),
    pytest.param("# A\n[a]: /u\n'title\n", ["# A\n"], id="a-title-may-go-on"),
    pytest.param("\n\n[a]: /u\n", [], id="only-a-definition"),
    pytest.param("<div>\n\n# A\n", ["<div>\n\n"], id="html-is-text"),
    pytest.param("|a|\n|-|\n|1|\n\nx\n", ["|a|\n|-|\n|1|\n\n"], id="table"),
]


@pytest.mark.parametrize(("document", "frozen"), FROZEN)
def test_a_block_is_final_as_soon_as_the_next_one_begins(
    document: str, frozen: list[str]
) -> None:
    blocks = MarkdownBlocks()

    done = [part for char in document if (part := blocks.feed(char))]

    assert done == frozen
    assert blocks.source == document[len("".join(frozen)) :]


LONG = [
    pytest.param("```\n" + "x = 1\n" * 2_000, "```\n", "after\n", id="fence"),
    pytest.param("- item\n" * 2_000, "\n", "after\n", id="list"),
    pytest.param("- item\n\n" * 2_000, "", "after\n", id="loose-list"),
    pytest.param("words\n" * 2_000, "\n", "after\n", id="paragraph"),
    pytest.param("> words\n" * 2_000, "\n", "after\n", id="quote"),
    pytest.param("- item\n" * 2_000, "", "```\n", id="fence-after-list"),
    pytest.param("words\n" * 2_000, "", "# A\n", id="heading-after-paragraph"),
]


@pytest.mark.parametrize(("body", "end", "after"), LONG)
def test_a_long_block_is_parsed_rarely_and_still_ends_at_once(
    body: str, end: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed_chars = 0
    parse = MarkdownIt.parse

    def counted(
        parser: MarkdownIt, source: str, known: dict[str, Any] | None = None
    ) -> object:
        nonlocal parsed_chars
        parsed_chars += len(source)
        return parse(parser, source, known)

    monkeypatch.setattr(MarkdownIt, "parse", counted)
    blocks = MarkdownBlocks()
    for line in (body + end).splitlines(keepends=True):
        assert blocks.feed(line) == ""

    done = blocks.feed(after)

    assert done == body + end
    assert parsed_chars < 60 * len(body)


def test_many_definitions_earn_no_parse_each() -> None:
    blocks = MarkdownBlocks()
    for number in range(2_000):
        blocks.feed(f"[{number}]: /there\n\n")

    rest = blocks.close()

    assert rest.count("[") == 2_000
    assert blocks.close() == ""


def test_a_definition_holds_for_later_blocks_but_not_before_it_is_final() -> None:
    parser = MarkdownParser()

    parser.peek("[a]: /early\n")
    before = parser.parse("[a]\n")
    parser.parse("[a]: /url\n")
    after = parser.parse("[a]\n")
    peeked = parser.peek("[a]\n")

    assert [token.type for token in before[1].children or ()] == ["text"]
    for tokens in (after, peeked):
        assert (tokens[1].children or [])[0].attrs == {"href": "/url"}


def test_the_tail_is_the_healed_source() -> None:
    blocks = MarkdownBlocks()

    blocks.feed("# Title\n\nsome\n**bo")

    assert blocks.source == "some\n**bo"
    assert blocks.tail == "some\n**bo**"


HEALED = [
    pytest.param("", "", id="nothing"),
    pytest.param("plain", "plain", id="plain"),
    pytest.param("a **b", "a **b**", id="bold"),
    pytest.param("a **b ", "a **b**", id="no-space-before-the-end"),
    pytest.param("a **b*", "a **b**", id="half-closed-bold"),
    pytest.param("a **b**", "a **b**", id="closed"),
    pytest.param("a *b", "a *b*", id="italic"),
    pytest.param("*a **b", "*a **b***", id="nested"),
    pytest.param("*a **b* c", "*a **b* c", id="the-outer-end-takes-the-inner"),
    pytest.param("a ~~b", "a ~~b~~", id="struck"),
    pytest.param("2 * 3", "2 * 3", id="times"),
    pytest.param("foo **", "foo ", id="nothing-in-it-yet"),
    pytest.param("a `b", "a `b`", id="code"),
    pytest.param("a ``b`", "a ``b``", id="half-closed-code"),
    pytest.param("a `", "a ", id="empty-code"),
    pytest.param("**a `b*", "**a `b*`**", id="code-in-bold"),
    pytest.param("a `*` b", "a `*` b", id="marks-in-code"),
    pytest.param("a \\*b \\`c", "a \\*b \\`c", id="escaped"),
    pytest.param("see [text", "see text", id="half-link-text"),
    pytest.param("see [text](http://ex", "see text", id="half-link"),
    pytest.param("see [text][re", "see text", id="half-reference"),
    pytest.param("see [`a` b](h", "see `a` b", id="half-link-with-code"),
    pytest.param("see [a](b) c", "see [a](b) c", id="whole-link"),
    pytest.param("see ![alt](ht", "see ", id="half-image"),
    pytest.param("- a\n-", "- a\n", id="bullet"),
    pytest.param("- a\n12.", "- a\n", id="number"),
    pytest.param("Title\n==", "Title\n", id="underline"),
    pytest.param("- *a\n- **b", "- *a\n- **b**", id="only-the-last-item"),
    pytest.param("*a\n\n**b", "*a\n\n**b**", id="only-the-last-paragraph"),
    pytest.param("| *a | **b", "| *a | **b**", id="only-the-last-cell"),
    pytest.param("```\n**x", "```\n**x", id="nothing-in-a-fence"),
    pytest.param("```\nx\n``", "```\nx\n", id="half-a-closing-fence"),
    pytest.param("- ~~~\n  **x", "- ~~~\n  **x", id="fence-in-a-list"),
    pytest.param("```\n**x\n```\n**y", "```\n**x\n```\n**y**", id="after-a-fence"),
    pytest.param("~~~ a`b\n**x", "~~~ a`b\n**x", id="tilde-fence-with-backtick"),
    pytest.param("````\n```\n**x", "````\n```\n**x", id="shorter-fence-inside"),
    pytest.param("```a`\n**x", "```a`\n**x```", id="no-fence"),
]


@pytest.mark.parametrize(("tail", "healed"), HEALED)
def test_a_cut_is_closed_or_hidden(tail: str, healed: str) -> None:
    assert heal(tail) == healed


@given(blocky)
def test_healing_adds_only_marks_that_are_there(
    tail: str,
) -> None:
    healed = heal(tail)

    # Closed marks are few: never more than what was open, and no other text appears.
    assert len(healed) <= 2 * len(tail)
    assert set(healed) <= set(tail)
