"""Reasoning that stands between tags in the text. Pure.

The reasoning is the first of an answer: what follows it is text, tags and all. Models
whose prompt already holds `<think>` begin in the reasoning; then only its end is a tag.
What may still become a tag waits, so that no piece of one is ever shown.
"""

from collections.abc import Iterator
from enum import Enum, auto

from tina.providers.openai.chat.quirks import ThinkTags

_OPEN, _CLOSE = "<think>", "</think>"
Piece = tuple[bool, str]
"""Whether it is reasoning, and what is said."""


class _State(Enum):
    BEFORE = auto()
    """Nothing but blanks was said."""
    THINKING = auto()
    TALKING = auto()
    """It talks, and a closing tag would be one that was never opened."""
    CLOSED = auto()
    """The tag is closed; blanks behind it are not said."""
    OVER = auto()


_WITHIN = frozenset({_State.THINKING, _State.TALKING})


class ThinkSplitter:
    """Splits one answer; how it is cut into pieces changes nothing."""

    def __init__(self, tags: ThinkTags) -> None:
        self._tags = tags
        self._state = _State.OVER if tags is ThinkTags.NONE else _State.BEFORE
        self._held = ""

    def feed(self, text: str) -> list[Piece]:
        state = self._state
        if state is _State.OVER:
            return [(False, text)]
        if state in _WITHIN and not self._held and "<" not in text:
            return [(state is _State.THINKING, text)]
        self._held += text
        return [piece for piece in self._split() if piece[1]]

    def end(self) -> list[Piece]:
        """What waited for the rest of a tag that will not come."""
        held, self._held = self._held, ""
        return [(self._state is _State.THINKING, held)] if held else []

    def _split(self) -> Iterator[Piece]:
        if self._state is _State.BEFORE and not self._begin():
            return
        if self._state in _WITHIN:
            yield from self._until_the_tag()
        if self._state is _State.CLOSED:
            self._held = self._held.lstrip()
            if self._held:
                self._state = _State.OVER
                yield False, self._held
                self._held = ""

    def _begin(self) -> bool:
        """Whether it is known how the answer begins."""
        said = self._held.lstrip()
        if _OPEN.startswith(said) and said != _OPEN:
            return False
        is_opened = said.startswith(_OPEN)
        is_thinking = is_opened or self._tags is ThinkTags.CLOSING
        self._state = _State.THINKING if is_thinking else _State.TALKING
        if is_thinking:
            self._held = said.removeprefix(_OPEN)
        return True

    def _until_the_tag(self) -> Iterator[Piece]:
        is_thinking = self._state is _State.THINKING
        said, tag, rest = self._held.partition(_CLOSE)
        if tag:
            self._state, self._held = _State.CLOSED, rest
            yield is_thinking, said
            return
        kept = _beginning_of_tag(said)
        self._held = said[len(said) - kept :]
        yield is_thinking, said[: len(said) - kept]


def _beginning_of_tag(text: str) -> int:
    """How many letters at the end of the text may begin the closing tag."""
    sizes = range(min(len(_CLOSE) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(_CLOSE[:size])), 0)
