"""What the search reads and is asked with, as rows."""

import msgspec

MATCH_BEGIN = "\ufdd0"
MATCH_END = "\ufdd1"
"""Noncharacters (Unicode, section 23.7): no text that is exchanged holds them."""

ELLIPSIS = "…"


class SearchFilter(msgspec.Struct, frozen=True):
    """Which matches are wanted; what is None rejects nothing. `until` is not in it."""

    words: str
    """An FTS5 expression."""
    owner_id: int
    conversation_id: bytes | None
    role: str | None
    model: str | None
    since: int | None
    until: int | None


class HitRow(msgspec.Struct, frozen=True):
    """A found message; in `snippet` each match stands between the two marks."""

    id: bytes
    conversation_id: bytes
    title: str
    role: str
    model: str | None
    created_at: int
    snippet: str
