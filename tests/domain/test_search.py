"""What of a search is decided before anything is read."""

import pytest

from tina.domain.failures import InvalidInputFailure
from tina.domain.search import (
    MAX_SEARCH_BYTES,
    MAX_SEARCH_HITS,
    MAX_SEARCH_TERMS,
    SearchQuery,
    check_search,
)


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        ("fjord", ("fjord",)),
        ("  two\u3000words\n", ("two", "words")),
        ("a\0b \ud800", ("ab", "\ufffd")),
        ("NOT a* (b)", ("NOT", "a*", "(b)")),
    ],
)
def test_terms_are_what_stands_between_white_space(
    words: str, terms: tuple[str, ...]
) -> None:
    assert check_search(SearchQuery(words=words)) == terms


@pytest.mark.parametrize("words", ["", " \t\n\u2003", "\0 \0"])
def test_no_words_are_refused(words: str) -> None:
    with pytest.raises(InvalidInputFailure, match="which words"):
        check_search(SearchQuery(words=words))


@pytest.mark.parametrize("join", [" ", "-", "/", "_"])
def test_the_words_of_a_phrase_count(join: str) -> None:
    for count in (MAX_SEARCH_TERMS - 1, MAX_SEARCH_TERMS):
        assert check_search(SearchQuery(words=join.join(["a"] * count)))
    with pytest.raises(InvalidInputFailure, match="at most 64 words"):
        check_search(SearchQuery(words=join.join(["a"] * (MAX_SEARCH_TERMS + 1))))


def test_signs_count_as_words() -> None:
    assert len(check_search(SearchQuery(words="? " * MAX_SEARCH_TERMS))) == 64
    with pytest.raises(InvalidInputFailure, match="at most 64 words"):
        check_search(SearchQuery(words="? " * (MAX_SEARCH_TERMS + 1)))


def test_bytes_are_counted_not_characters() -> None:
    for size in (MAX_SEARCH_BYTES - 2, MAX_SEARCH_BYTES):
        assert check_search(SearchQuery(words="é" * (size // 2)))
    with pytest.raises(InvalidInputFailure, match="in 4 KiB"):
        check_search(SearchQuery(words="é" * (MAX_SEARCH_BYTES // 2) + "a"))


def test_the_limit_is_bounded() -> None:
    for limit in (1, MAX_SEARCH_HITS):
        assert check_search(SearchQuery(words="a", limit=limit)) == ("a",)
    for limit in (-1, 0, MAX_SEARCH_HITS + 1):
        with pytest.raises(InvalidInputFailure, match="from 1 to 500"):
            check_search(SearchQuery(words="a", limit=limit))
