from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.providers.openai.chat.quirks import ThinkTags
from tina.providers.openai.chat.think import ThinkSplitter

NONE, BOTH, CLOSING = ThinkTags


def split(tags: ThinkTags, *pieces: str) -> tuple[str, str]:
    """The reasoning and the text."""
    splitter = ThinkSplitter(tags)
    said = [piece for text in pieces for piece in splitter.feed(text)]
    said += splitter.end()
    reasoning = "".join(text for is_reasoning, text in said if is_reasoning)
    return reasoning, "".join(text for is_reasoning, text in said if not is_reasoning)


ANSWERS = [
    pytest.param(BOTH, "<think>hm</think>Hi", ("hm", "Hi"), id="tags"),
    pytest.param(
        BOTH, "\n <think>\nhm\n</think>\n\nHi\n", ("\nhm\n", "Hi\n"), id="gaps"
    ),
    pytest.param(BOTH, "Hi", ("", "Hi"), id="no-tags"),
    pytest.param(BOTH, " Hi <b>", ("", " Hi <b>"), id="no-tags-but-others"),
    pytest.param(BOTH, "hm</think>Hi", ("", "hmHi"), id="only-the-closing-one"),
    pytest.param(BOTH, "<think>hm", ("hm", ""), id="never-closed"),
    pytest.param(BOTH, "<think></think>", ("", ""), id="nothing-between"),
    pytest.param(
        BOTH,
        "<think>a</think>b<think>c</think>",
        ("a", "b<think>c</think>"),
        id="only-the-first",
    ),
    pytest.param(
        BOTH, "<think>a < b</thin</think>c", ("a < b</thin", "c"), id="almost"
    ),
    pytest.param(BOTH, "<thinking", ("", "<thinking"), id="another-word"),
    pytest.param(BOTH, "<thi", ("", "<thi"), id="half-a-tag"),
    pytest.param(BOTH, "  ", ("", "  "), id="blank"),
    pytest.param(BOTH, "", ("", ""), id="nothing"),
    pytest.param(CLOSING, "hm</think>Hi", ("hm", "Hi"), id="opened-in-the-prompt"),
    pytest.param(CLOSING, "<think>hm</think>Hi", ("hm", "Hi"), id="opened-twice"),
    pytest.param(CLOSING, "hm", ("hm", ""), id="cut"),
    pytest.param(NONE, "<think>hm</think>", ("", "<think>hm</think>"), id="none"),
]


@pytest.mark.parametrize(("tags", "answer", "expected"), ANSWERS)
def test_reasoning_is_what_stands_between_the_first_tags(
    tags: ThinkTags, answer: str, expected: tuple[str, str]
) -> None:
    assert split(tags, answer) == expected
    assert split(tags, *answer) == expected


LETTERS = st.sampled_from(["<think>", "</think>", "<", "</thi", ">", "a", " ", "\n"])


@given(st.sampled_from(ThinkTags), st.lists(LETTERS), st.lists(st.integers(0, 60)))
def test_however_an_answer_is_cut_it_says_the_same(
    tags: ThinkTags, words: list[str], cuts: list[int]
) -> None:
    answer = "".join(words)
    borders = sorted({0, len(answer), *(cut % (len(answer) + 1) for cut in cuts)})
    pieces = [answer[a:b] for a, b in pairwise(borders)]

    assert split(tags, *pieces) == split(tags, answer)


@given(st.sampled_from(ThinkTags), st.lists(LETTERS))
def test_the_beginning_of_an_answer_says_a_beginning(
    tags: ThinkTags, words: list[str]
) -> None:
    """What may become a tag is not said before it is known."""
    whole = split(tags, *words)
    splitter = ThinkSplitter(tags)
    said = {True: "", False: ""}

    for word in words:
        for is_reasoning, text in splitter.feed(word):
            said[is_reasoning] += text
        assert whole[0].startswith(said[True])
        assert whole[1].startswith(said[False])
