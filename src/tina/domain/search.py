"""Looking for words in what was said."""

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tina.domain.failures import FailureRecord, InvalidInputFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId
from tina.domain.messages import Role
from tina.domain.text import CleanStruct

MAX_SEARCH_BYTES = 4096
MAX_SEARCH_TERMS = 64
MAX_SEARCH_HITS = 500

_WORD = re.compile(r"[^\W_]+")


class SearchOrder(StrEnum):
    NEWEST = "newest"
    BEST = "best"
    """By relevance, among the newest matches."""


class SearchQuery(CleanStruct, frozen=True, kw_only=True):
    """Words, all of which a message must contain, and which messages are looked at.

    `words` is what a person typed; nothing in it is syntax. `since` is included,
    `until` is not.
    """

    words: str
    order: SearchOrder = SearchOrder.NEWEST
    conversation_id: ConversationId | None = None
    role: Role | None = None
    model: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 20
    owner_id: OwnerId = LAPTOP_OWNER


class Span(NamedTuple):
    """A part of a text: the characters from `start` up to, without, `end`."""

    start: int
    end: int


class SearchHit(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was found; `matches` are places in `snippet`."""

    conversation_id: ConversationId
    message_id: MessageId
    title: str
    role: Role
    model: str | None
    created_at: datetime
    snippet: str
    matches: tuple[Span, ...]


class SearchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `is_whole` is false if not everything was looked at.

    `failure` says why what was said last was not: it cannot be stored in the index.
    """

    hits: tuple[SearchHit, ...]
    is_whole: bool
    failure: FailureRecord | None = None


def check_search(query: SearchQuery) -> tuple[str, ...]:
    """The terms of what a person typed: what stands between its white space.

    Raises:
        InvalidInputFailure: there are no words, or too many, or the limit is none.
    """
    if not 1 <= query.limit <= MAX_SEARCH_HITS:
        raise InvalidInputFailure(
            f"A search can show from 1 to {MAX_SEARCH_HITS} messages, "
            f"not {query.limit}."
        )
    terms = tuple(query.words.split())
    if not terms:
        raise InvalidInputFailure("Say which words to look for.")
    if _count(terms) > MAX_SEARCH_TERMS or len(query.words.encode()) > MAX_SEARCH_BYTES:
        raise InvalidInputFailure(
            f"A search takes at most {MAX_SEARCH_TERMS} words, in "
            f"{MAX_SEARCH_BYTES // 1024} KiB. Look for fewer words."
        )
    return terms


def _count(terms: Iterable[str]) -> int:
    """How many words; `a/b/c` is one term, but a phrase of three."""
    return sum(max(1, len(_WORD.findall(term))) for term in terms)
