"""Typed words and marked snippets: pure, so every case is a table or a law."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.database.mappers.search import (
    MAX_SNIPPET_CHARS,
    read_marks,
    to_expression,
    to_filter,
    to_hit,
)
from tina.database.search_rows import (
    ELLIPSIS,
    MATCH_BEGIN,
    MATCH_END,
    HitRow,
    SearchFilter,
)
from tina.domain.ids import ConversationId, MessageId, OwnerId
from tina.domain.messages import Role
from tina.domain.search import SearchHit, SearchQuery, Span
from tina.testing.clock import START

ID = bytes(range(16))


@pytest.mark.parametrize(
    ("terms", "expression"),
    [
        (["fjord"], '"fjord"'),
        (["two", "words"], '"two" "words"'),
        (['say "hi"', '"'], '"say ""hi""" """"'),
        (["NOT", "a*", "-b"], '"NOT" "a*" "-b"'),
    ],
)
def test_each_term_is_a_quoted_string(terms: list[str], expression: str) -> None:
    assert to_expression(terms) == expression


def test_what_is_asked_becomes_columns() -> None:
    query = SearchQuery(
        words="fjord",
        conversation_id=ConversationId(ID.hex()),
        role=Role.USER,
        model="a:b",
        since=START,
        until=START,
        owner_id=OwnerId(2),
    )
    at = 1_767_225_600_000

    assert to_filter(query, ["fjord"]) == SearchFilter(
        words='"fjord"',
        owner_id=2,
        conversation_id=ID,
        role="user",
        model="a:b",
        since=at,
        until=at,
    )
    assert to_filter(SearchQuery(words="a"), ["a"]) == SearchFilter(
        words='"a"',
        owner_id=1,
        conversation_id=None,
        role=None,
        model=None,
        since=None,
        until=None,
    )


def hit(snippet: str) -> SearchHit:
    return to_hit(
        HitRow(
            id=ID,
            conversation_id=ID[::-1],
            title="Fjords",
            role="user",
            model=None,
            created_at=1_767_225_600_000,
            snippet=marked(snippet),
        )
    )


def marked(text: str) -> str:
    """`a [b]` with the marks in the place of the brackets."""
    return text.replace("[", MATCH_BEGIN).replace("]", MATCH_END)


def test_a_row_becomes_a_hit() -> None:
    assert hit("…a [deep] [fjord]") == SearchHit(
        conversation_id=ConversationId(ID[::-1].hex()),
        message_id=MessageId(ID.hex()),
        title="Fjords",
        role=Role.USER,
        model=None,
        created_at=START,
        snippet="…a deep fjord",
        matches=(Span(3, 7), Span(8, 13)),
    )


@pytest.mark.parametrize(
    ("snippet", "text", "matches"),
    [
        ("", "", []),
        ("no mark", "no mark", []),
        ("[all]", "all", [(0, 3)]),
        ("[a][b]", "ab", [(0, 1), (1, 2)]),
        ("🏔 [é🏔] x", "🏔 é🏔 x", [(2, 4)]),
        ("foreign [ begin, [match]", "foreign  begin, match", [(16, 21)]),
        ("foreign ] end, [match]", "foreign  end, match", [(14, 19)]),
        ("[match] and a foreign [ begin", "match and a foreign  begin", [(0, 5)]),
        ("[] nothing", " nothing", []),
        ("[a]b]", "ab", [(0, 1)]),
    ],
)
def test_marks_become_places(
    snippet: str, text: str, matches: list[tuple[int, int]]
) -> None:
    assert read_marks(marked(snippet)) == (text, [Span(*match) for match in matches])


@given(st.text(st.sampled_from("ab[]")))
def test_places_lie_in_the_text_in_order_whatever_marks_it_holds(snippet: str) -> None:
    text, matches = read_marks(marked(snippet))

    assert text == snippet.replace("[", "").replace("]", "")
    ends = [end for match in matches for end in match]
    assert ends == sorted(ends)
    assert all(0 <= match.start < match.end <= len(text) for match in matches)


@pytest.mark.parametrize(
    ("snippet", "begins", "ends"),
    [
        pytest.param("x" * 400, "xxx", "xxx", id="at-the-limit"),
        pytest.param("x" * 401, "xxx", "xx…", id="over-it-without-a-match"),
        pytest.param("[fjord]" + "x" * 500, "fjord", "x…", id="match-first"),
        pytest.param("x" * 500 + "[fjord]", "…x", "fjord", id="match-last"),
        pytest.param(
            "x" * 500 + "[fjord]" + "y" * 500, "…x", "y…", id="match-in-the-middle"
        ),
    ],
)
def test_a_long_snippet_is_cut_around_its_first_match(
    snippet: str, begins: str, ends: str
) -> None:
    cut = hit(snippet)

    assert len(cut.snippet.replace(ELLIPSIS, "")) <= MAX_SNIPPET_CHARS
    assert cut.snippet.startswith(begins)
    assert cut.snippet.endswith(ends)
    shown = [cut.snippet[match.start : match.end] for match in cut.matches]
    assert shown == ["fjord"] * snippet.count("fjord")


def test_matches_beyond_the_cut_are_left_out_or_shortened() -> None:
    cut = hit("[fjord] " + "x" * 392 + "[word] [late]")

    assert cut.matches == (Span(0, 5), Span(398, 400))
    assert cut.snippet[398:] == "wo…"
    assert hit("[" + "x" * 500 + "]").matches == (Span(0, 400),)
