"""No text commands a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.cli.terminal_text import safe_text

CASES = [
    pytest.param("plain\ttext\n", "plain\ttext\n", id="tab-and-newline-stay"),
    pytest.param("\x1b[31mred", "␛[31mred", id="escape-is-shown"),
    pytest.param("\x00\x07\x08\x1f\x7f", "␀␇␈␟␡", id="controls-are-shown"),
    pytest.param("\x9b31m\x85", "\ufffd31m\ufffd", id="c1"),
    pytest.param("sudo\rls  \r\n", "sudols  \n", id="nothing-is-overwritten"),
    pytest.param("a\u202eb\u2066c\u2069\u200f", "abc", id="bidi-controls"),
    pytest.param("a\u2028b\u2029c", "a b c", id="line-separators"),
    pytest.param("\ud800x\udfff", "\ufffdx\ufffd", id="lone-surrogates"),
    pytest.param("👩\u200d💻 \u200c", "👩\u200d💻 \u200c", id="joiners-stay"),
    pytest.param("é 漢字 שלום", "é 漢字 שלום", id="words-stay"),
]


@pytest.mark.parametrize(("text", "safe"), CASES)
def test_what_a_terminal_would_obey_is_shown_or_dropped(text: str, safe: str) -> None:
    assert safe_text(text) == safe


dangerous = st.text(st.characters() | st.sampled_from("\x1b\x9b\r\n\t\u202e\ud800"))


@given(dangerous, dangerous)
def test_text_may_be_cut_anywhere(before: str, after: str) -> None:
    assert safe_text(before + after) == safe_text(before) + safe_text(after)


@given(dangerous)
def test_no_control_bidi_or_unwritable_character_is_left(text: str) -> None:
    safe = safe_text(text)

    assert not [
        character
        for character in safe.replace("\n", "").replace("\t", "")
        if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character)
        in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    ]
    assert safe.encode("utf-8").decode() == safe
    assert safe_text(safe) == safe
