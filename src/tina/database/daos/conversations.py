"""The table `conversations`."""

from collections.abc import Iterator

import apsw
from msgspec.structs import asdict

from tina.database.rows import ConversationPage, ConversationRow, TipMove

_INSERT = """
INSERT INTO conversations (
  owner_id, id, title, model, system, tip_id, message_count, preview, is_pinned,
  is_archived, deleted_at, origin, metadata, created_at, last_message_at
) VALUES (
  :owner_id, :id, :title, :model, :system, :tip_id, :message_count, :preview,
  :is_pinned, :is_archived, :deleted_at, :origin, :metadata, :created_at,
  :last_message_at
) RETURNING owner_id, id, title, model, system, tip_id, message_count, preview,
  is_pinned, is_archived, deleted_at, origin, metadata, created_at, last_message_at
"""

_GET = """
SELECT owner_id, id, title, model, system, tip_id, message_count, preview,
  is_pinned, is_archived, deleted_at, origin, metadata, created_at, last_message_at
FROM conversations WHERE owner_id = :owner_id AND id = :id
"""

_PAGE = """
SELECT owner_id, id, title, model, system, tip_id, message_count, preview,
  is_pinned, is_archived, deleted_at, origin, metadata, created_at, last_message_at
FROM conversations
WHERE owner_id = :owner_id AND is_archived = :is_archived AND deleted_at IS NULL
  AND (is_pinned, last_message_at, id) < (:is_pinned, :last_message_at, :id)
ORDER BY is_pinned DESC, last_message_at DESC, id DESC LIMIT :limit
"""

_DELETED_PAGE = """
SELECT owner_id, id, title, model, system, tip_id, message_count, preview,
  is_pinned, is_archived, deleted_at, origin, metadata, created_at, last_message_at
FROM conversations
WHERE owner_id = :owner_id AND deleted_at IS NOT NULL
  AND (is_pinned, last_message_at, id) < (:is_pinned, :last_message_at, :id)
ORDER BY is_pinned DESC, last_message_at DESC, id DESC LIMIT :limit
"""

_BETWEEN = """
SELECT owner_id, id, title, model, system, tip_id, message_count, preview,
  is_pinned, is_archived, deleted_at, origin, metadata, created_at, last_message_at
FROM conversations WHERE owner_id = :owner_id AND id BETWEEN :first AND :last
ORDER BY id LIMIT :limit
"""

_REPLACE = """
UPDATE conversations SET
  title = :title, model = :model, system = :system, tip_id = :tip_id,
  preview = :preview, is_pinned = :is_pinned, is_archived = :is_archived,
  deleted_at = :deleted_at, metadata = :metadata
WHERE owner_id = :owner_id AND id = :id
"""

_ADVANCE = """
UPDATE conversations SET
  tip_id = :tip_id, message_count = message_count + :added,
  preview = :preview, last_message_at = max(last_message_at, :at)
WHERE owner_id = :owner_id AND id = :id AND tip_id IS :after AND deleted_at IS NULL
RETURNING message_count
"""

_REFRESH_PREVIEW = """
UPDATE conversations SET preview = :preview
WHERE owner_id = :owner_id AND id = :id AND tip_id = :tip_id
"""


def insert(connection: apsw.Connection, row: ConversationRow) -> ConversationRow:
    return next(_rows(connection.execute(_INSERT, asdict(row))))


def get(
    connection: apsw.Connection, *, owner_id: int, row_id: bytes
) -> ConversationRow | None:
    found = connection.execute(_GET, {"owner_id": owner_id, "id": row_id})
    return next(_rows(found), None)


def page(connection: apsw.Connection, page: ConversationPage) -> list[ConversationRow]:
    """Rows after the page's mark: pinned ones first, then newest first."""
    statement = _DELETED_PAGE if page.is_deleted else _PAGE
    return list(_rows(connection.execute(statement, asdict(page))))


def between(
    connection: apsw.Connection,
    *,
    owner_id: int,
    first: bytes,
    last: bytes,
    limit: int,
) -> list[ConversationRow]:
    """Rows whose id lies in the range, both ends included, oldest first."""
    bindings = {"owner_id": owner_id, "first": first, "last": last, "limit": limit}
    return list(_rows(connection.execute(_BETWEEN, bindings)))


def replace(connection: apsw.Connection, row: ConversationRow) -> None:
    """Store what a person can change, and the tip with its preview."""
    connection.execute(_REPLACE, asdict(row))


def advance(connection: apsw.Connection, move: TipMove) -> int | None:
    """Move the tip over new messages.

    Returns:
        The new count; None if there is no such row, it is deleted, or its tip is
        another.
    """
    count: int | None = connection.execute(_ADVANCE, asdict(move)).get
    return count


def refresh_preview(
    connection: apsw.Connection,
    *,
    owner_id: int,
    row_id: bytes,
    tip_id: bytes,
    preview: str,
) -> None:
    """Set the preview, if that message is still the tip."""
    bindings = {
        "owner_id": owner_id,
        "id": row_id,
        "tip_id": tip_id,
        "preview": preview,
    }
    connection.execute(_REFRESH_PREVIEW, bindings)


def _rows(found: apsw.Cursor) -> Iterator[ConversationRow]:
    return (ConversationRow(*row) for row in found)
