"""What must be saved of a damaged file, told from the file as it was before."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import apsw

from tests.database.salvage.files import pages_of
from tests.database.salvage.history import Image
from tina.database.salvage.filling import INSERTS
from tina.database.salvage.records import Value
from tina.database.salvage.trees import find_leaves, read_rows

Content = Mapping[str, Mapping[int, Mapping[str, Value]]]
"""Rows by table and rowid; a row by the names of its columns."""

SAVED = tuple(sorted({name for name, _ in INSERTS}))

MENDED = {
    "conversations": {"tip_id", "preview", "message_count"},
    "messages": {"parent_id", "seq", "status"},
    "turns": {"status", "ended_at"},
}
"""Columns that are told anew where rows beside them are lost."""


def content_of(path: Path) -> Content:
    """What SQLite itself reads."""
    connection = apsw.Connection(str(path))
    try:
        known = connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main'"
        )
        return {
            name: {row[0]: row[1] for row in _rows(connection, name)}
            for name in sorted({name for (name,) in known} & {*SAVED})
        }
    finally:
        connection.close()


def _rows(
    connection: apsw.Connection, table: str
) -> Iterable[tuple[int, dict[str, Value]]]:
    columns = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_info(?)", (table,)
        )
    ]
    for rid, *values in connection.execute(f"SELECT rid, * FROM {table}"):  # noqa: S608 - a name of ours
        yield rid, dict(zip(columns, values, strict=True))


class Place(NamedTuple):
    table: str
    rid: int


class Oracle:
    """Knows the pages of each row of a file that is whole."""

    def __init__(self, image: Image) -> None:
        pages = pages_of(*image)
        self.places = {
            Place(leaf.table, row.rowid): row.pages
            for leaf in find_leaves(pages)
            for row in read_rows(pages, leaf.number)
            if leaf.table in SAVED and row
        }
        self._page_bytes = size = pages.page_bytes
        self._in_log = {
            number
            for number in range(1, pages.count + 1)
            if pages.get(number) != image.file[(number - 1) * size : number * size]
        }

    def untouched(self, hurt: Iterable[range]) -> set[Place]:
        """Rows that lie on pages that were not hurt, or that the log holds anew."""
        touched = {
            at // self._page_bytes + 1
            for hole in hurt
            for at in (*hole[:: self._page_bytes], *hole[-1:])
        }
        touched -= self._in_log
        return {place for place, on in self.places.items() if touched.isdisjoint(on)}


def differences(
    before: Content, after: Content, expected: Iterable[Place]
) -> list[str]:
    """Rows that should have been saved as they were, and were not."""
    found: list[str] = []
    for place in sorted(expected):
        old, new = before[place.table][place.rid], after[place.table].get(place.rid)
        if new is None:
            if not _is_parentless(place, old, after):
                found.append(f"{place} is lost")
            continue
        mended = MENDED.get(place.table, set())
        found += [
            f"{place} {name}: {str(old[name])[:60]!r} became {str(new[name])[:60]!r}"
            for name in old.keys() - mended
            if old[name] != new[name]
        ]
    return found


def _is_parentless(place: Place, row: Mapping[str, Value], after: Content) -> bool:
    if place.table not in {"grants", "import_origins", "tool_calls", "turns"}:
        return False
    kept = {conversation["id"] for conversation in after["conversations"].values()}
    return row["conversation_id"] is not None and row["conversation_id"] not in kept
