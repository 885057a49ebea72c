"""Searches: typed words become an FTS5 expression, a marked snippet becomes a hit."""

import re
from collections.abc import Sequence
from datetime import datetime

from tina.database.mappers.values import (
    from_milliseconds,
    id_to_bytes,
    to_milliseconds,
)
from tina.database.search_rows import (
    ELLIPSIS,
    MATCH_BEGIN,
    MATCH_END,
    HitRow,
    SearchFilter,
)
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Role
from tina.domain.search import SearchHit, SearchQuery, Span

_MARK = re.compile(f"([{MATCH_BEGIN}{MATCH_END}])")

MAX_SNIPPET_CHARS = 400
_CHARS_BEFORE = 100
"""How much of a snippet that is too long is shown before its first match."""


def to_expression(terms: Sequence[str]) -> str:
    """An FTS5 expression for texts with all the terms; nothing in a term is syntax.

    A term that the tokenizer cuts is a phrase; one it finds nothing in is ignored, if
    there are others: that is what a space does in FTS5, and `AND` does not.

    Source: SQLite, "FTS5 Extension", sections 3.1 (strings) and 3.7 (implicit AND).
    """
    return " ".join('"' + term.replace('"', '""') + '"' for term in terms)


def to_filter(query: SearchQuery, terms: Sequence[str]) -> SearchFilter:
    wanted = query.conversation_id
    return SearchFilter(
        words=to_expression(terms),
        owner_id=query.owner_id,
        conversation_id=None if wanted is None else id_to_bytes(wanted),
        role=None if query.role is None else query.role.value,
        model=query.model,
        since=_milliseconds(query.since),
        until=_milliseconds(query.until),
    )


def to_hit(row: HitRow) -> SearchHit:
    snippet, matches = _shortened(*read_marks(row.snippet))
    return SearchHit(
        conversation_id=ConversationId(row.conversation_id.hex()),
        message_id=MessageId(row.id.hex()),
        title=row.title,
        role=Role(row.role),
        model=row.model,
        created_at=from_milliseconds(row.created_at),
        snippet=snippet,
        matches=tuple(matches),
    )


def read_marks(marked: str) -> tuple[str, list[Span]]:
    """The text without its marks, and what stood between them.

    A text may hold marks of its own all the same: then the last begin before an end
    counts, and marks without a partner do not.
    """
    pieces = _MARK.split(marked)  # every second one is a mark
    spans: list[Span] = []
    length = len(pieces[0])
    begun: int | None = None
    for mark, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        if mark == MATCH_BEGIN:
            begun = length
        elif begun is not None:
            if begun < length:
                spans.append(Span(begun, length))
            begun = None
        length += len(piece)
    return "".join(pieces[::2]), spans


def _shortened(snippet: str, matches: list[Span]) -> tuple[str, list[Span]]:
    """At most so many characters around the first match: words can be of any length."""
    if len(snippet) <= MAX_SNIPPET_CHARS:
        return snippet, matches
    first = matches[0].start if matches else 0
    begin = max(0, min(first - _CHARS_BEFORE, len(snippet) - MAX_SNIPPET_CHARS))
    end = begin + MAX_SNIPPET_CHARS
    lead = ELLIPSIS if begin else ""
    trail = ELLIPSIS if end < len(snippet) else ""
    shift = len(lead) - begin
    kept = [
        Span(match.start + shift, min(match.end, end) + shift)
        for match in matches
        if match.start < end
    ]
    return lead + snippet[begin:end] + trail, kept


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else to_milliseconds(time)
