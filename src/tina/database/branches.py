"""Messages as a tree: the parent says where each hangs, the tip which branch counts.

Pure. A damaged tree (a parent that is missing, a circle) ends the walk.
"""

from collections.abc import Iterable, Sequence

from tina.database.rows import MESSAGE_ID, MESSAGE_PARENT_ID, MessageValues


def walk_to_root(
    rows: Sequence[MessageValues], *, tip_id: bytes | None
) -> list[MessageValues]:
    """The rows on the way from the root to the tip, oldest first.

    Args:
        rows: fastest in the order they were stored.
    """
    branch: list[MessageValues] = []
    wanted = tip_id
    for row in reversed(rows):  # parents were stored before their children
        if row[MESSAGE_ID] == wanted:
            branch.append(row)
            wanted = row[MESSAGE_PARENT_ID]
    if wanted is not None:
        return _walk_in_any_order(rows, tip_id=tip_id)
    branch.reverse()
    return branch


def _walk_in_any_order(
    rows: Iterable[MessageValues], *, tip_id: bytes | None
) -> list[MessageValues]:
    by_id = {row[MESSAGE_ID]: row for row in rows}
    branch: list[MessageValues] = []
    while tip_id is not None and (row := by_id.pop(tip_id, None)) is not None:
        branch.append(row)
        tip_id = row[MESSAGE_PARENT_ID]
    branch.reverse()
    return branch


def walk_to_tip(
    links: Iterable[tuple[bytes | None, bytes]], *, from_id: bytes
) -> bytes:
    """The message at the end of the newest children; itself if it has none.

    Args:
        links: parent and child, in the order they were stored.
    """
    newest_child = dict(links)
    at = from_id
    while (child := newest_child.pop(at, None)) is not None:
        at = child
    return at
