"""The full-text index `message_fts`, and the backlog of what is not in it yet.

Traps, each measured on a million messages. Ranking costs as much as there are matches,
so only a window is ranked, and `bm25` counts all matches of a word anew whenever the
index is asked again, so the window is read in one go. The index is fast by its own
`rowid` only: other filters are looked up match by match, and so many matches at most.
"""

from collections.abc import Sequence

import apsw
import msgspec
from msgspec.structs import asdict

from tina.database.search_rows import (
    ELLIPSIS,
    MATCH_BEGIN,
    MATCH_END,
    HitRow,
    SearchFilter,
)

SNIPPET_TOKENS = 24

_NEWEST = """
SELECT messages.rid, (
  messages.owner_id = :owner_id
  AND conversations.deleted_at IS NULL
  AND (:role IS NULL OR messages.role = :role)
  AND (:model IS NULL OR messages.model IS :model)
  AND (:since IS NULL OR messages.created_at >= :since)
  AND (:until IS NULL OR messages.created_at < :until)
)
FROM message_fts
CROSS JOIN messages ON messages.rid = message_fts.rowid
CROSS JOIN conversations
  ON conversations.owner_id = messages.owner_id
  AND conversations.id = messages.conversation_id
WHERE message_fts MATCH :words
ORDER BY message_fts.rowid DESC
"""

# The messages lead: each is looked up in the index, and not the other way around.
_NEWEST_WITHIN = """
SELECT found.rid, (
  (:role IS NULL OR found.role = :role)
  AND (:model IS NULL OR found.model IS :model)
  AND (:since IS NULL OR found.created_at >= :since)
  AND (:until IS NULL OR found.created_at < :until)
)
FROM (
  SELECT messages.rid, messages.seq, messages.role, messages.model,
    messages.created_at
  FROM conversations
  CROSS JOIN messages
    ON messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
  WHERE conversations.owner_id = :owner_id AND conversations.id = :conversation_id
    AND conversations.deleted_at IS NULL
  ORDER BY messages.seq DESC LIMIT :most
) AS found
CROSS JOIN message_fts ON message_fts.rowid = found.rid
WHERE message_fts MATCH :words
ORDER BY found.seq DESC
"""

_HAS_MORE_WITHIN = """
SELECT EXISTS (
  SELECT 1 FROM messages
  WHERE owner_id = :owner_id AND conversation_id = :conversation_id
  ORDER BY seq DESC LIMIT 1 OFFSET :most
)
"""

# The plus keeps the list from being looked up one by one: see the top.
_BEST = """
SELECT rowid FROM message_fts
WHERE message_fts MATCH :words
  AND rowid BETWEEN :first AND :last
  AND +rowid IN (SELECT value FROM json_each(:rids))
ORDER BY bm25(message_fts), rowid DESC LIMIT :limit
"""

# `bm25` would count all matches of each word again for each message. So what it rewards
# (a word said often, in a short text) is counted here: `highlight` adds a mark a match.
_BEST_WITHIN = """
SELECT rid FROM (
  SELECT rid, place, marked - chars AS said, chars / avg(chars) OVER () AS longness
  FROM (
    SELECT messages.rid, wanted.key AS place, length(messages.text) AS chars,
      length(highlight(message_fts, 0, :match_begin, '')) AS marked
    FROM json_each(:rids) AS wanted
    CROSS JOIN message_fts ON message_fts.rowid = wanted.value
    CROSS JOIN messages ON messages.rid = message_fts.rowid
    WHERE message_fts MATCH :words
  )
)
ORDER BY said / (said + 1.2 * (0.25 + 0.75 * longness)) DESC, place LIMIT :limit
"""

# Matches close to each other: read in one go, which is a quarter of the price.
_HITS = """
SELECT messages.rid, messages.id, messages.conversation_id, conversations.title,
  messages.role, messages.model, messages.created_at,
  snippet(message_fts, 0, :match_begin, :match_end, :ellipsis, :tokens)
FROM message_fts
CROSS JOIN messages ON messages.rid = message_fts.rowid
CROSS JOIN conversations
  ON conversations.owner_id = messages.owner_id
  AND conversations.id = messages.conversation_id
WHERE message_fts MATCH :words
  AND message_fts.rowid BETWEEN :first AND :last
  AND +message_fts.rowid IN (SELECT value FROM json_each(:rids))
"""

# Matches with any number of others between them.
_HITS_WITHIN = """
SELECT messages.rid, messages.id, messages.conversation_id, conversations.title,
  messages.role, messages.model, messages.created_at,
  snippet(message_fts, 0, :match_begin, :match_end, :ellipsis, :tokens)
FROM json_each(:rids) AS wanted
CROSS JOIN message_fts ON message_fts.rowid = wanted.value
CROSS JOIN messages ON messages.rid = message_fts.rowid
CROSS JOIN conversations
  ON conversations.owner_id = messages.owner_id
  AND conversations.id = messages.conversation_id
WHERE message_fts MATCH :words
"""

_HAS_BACKLOG = "SELECT EXISTS (SELECT 1 FROM search_backlog)"

_NEWEST_BACKLOG = """
SELECT search_backlog.rid, coalesce(octet_length(messages.text), 0)
FROM search_backlog LEFT JOIN messages ON messages.rid = search_backlog.rid
ORDER BY search_backlog.rid DESC LIMIT :limit
"""

_INDEX = """
INSERT INTO message_fts (rowid, text)
SELECT messages.rid, messages.text
FROM search_backlog CROSS JOIN messages ON messages.rid = search_backlog.rid
WHERE search_backlog.rid >= :first AND messages.text <> ''
ORDER BY search_backlog.rid
"""

_FORGET = "DELETE FROM search_backlog WHERE rid >= :first"


def newest(
    connection: apsw.Connection, wanted: SearchFilter, *, limit: int, most: int
) -> tuple[list[int], bool]:
    """The newest wanted matches, at most `limit`, newest first.

    Args:
        most: how many matches, or messages of a conversation, are looked at.

    Returns:
        Their rids, and whether all were looked at that had to be.
    """
    bindings = {**asdict(wanted), "most": most}
    rids: list[int] = []
    statement = _NEWEST if wanted.conversation_id is None else _NEWEST_WITHIN
    found = connection.execute(statement, bindings)
    for looked_at, (rid, is_wanted) in enumerate(found):
        if looked_at == most:
            return rids, False
        if is_wanted:
            rids.append(rid)
            if len(rids) == limit:
                return rids, True
    if wanted.conversation_id is None:
        return rids, True
    return rids, not connection.execute(_HAS_MORE_WITHIN, bindings).get


def best(
    connection: apsw.Connection,
    wanted: SearchFilter,
    rids: Sequence[int],
    *,
    limit: int,
) -> list[int]:
    """The most relevant of these matches, the best first."""
    if not rids:
        return []
    bindings = {**_bindings(wanted, rids), "limit": limit}
    statement = _BEST if wanted.conversation_id is None else _BEST_WITHIN
    return [rid for (rid,) in connection.execute(statement, bindings)]


def hits(
    connection: apsw.Connection, wanted: SearchFilter, rids: Sequence[int]
) -> list[HitRow]:
    """What is shown of these matches, in their order."""
    if not rids:
        return []
    statement = _HITS if wanted.conversation_id is None else _HITS_WITHIN
    found = {
        rid: HitRow(*row)
        for rid, *row in connection.execute(statement, _bindings(wanted, rids))
    }
    return [found[rid] for rid in rids]


def _bindings(wanted: SearchFilter, rids: Sequence[int]) -> dict[str, object]:
    return {
        "words": wanted.words,
        "rids": msgspec.json.encode(rids).decode(),
        "first": min(rids),
        "last": max(rids),
        "match_begin": MATCH_BEGIN,
        "match_end": MATCH_END,
        "ellipsis": ELLIPSIS,
        "tokens": SNIPPET_TOKENS,
    }


def has_backlog(connection: apsw.Connection) -> bool:
    return bool(connection.execute(_HAS_BACKLOG).get)


def index_newest(connection: apsw.Connection, *, limit: int, max_bytes: int) -> int:
    """Move the newest of the backlog into the index.

    Args:
        max_bytes: of text; one message more than that is moved alone.

    Returns:
        How many were moved.
    """
    moved, size_bytes, first = 0, 0, 0
    for rid, text_bytes in connection.execute(_NEWEST_BACKLOG, {"limit": limit}):
        size_bytes += text_bytes
        if moved and size_bytes > max_bytes:
            break
        moved, first = moved + 1, rid
    if moved:
        connection.execute(_INDEX, {"first": first})
        connection.execute(_FORGET, {"first": first})
    return moved
