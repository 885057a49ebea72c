"""B-trees of tables: their leaves, and the rows on them. Pure.

A damaged page or cell is skipped; nothing is followed twice, so nothing goes round.

Source: SQLite, "Database File Format", section 1.6 (b-tree pages).
"""

from collections.abc import Iterator
from typing import NamedTuple

from tina.database.salvage.pages import INTERIOR, LEAF, Page, Pages
from tina.database.salvage.records import Value, decode_record, read_varint


class Row(NamedTuple):
    """A row as it lies in the file, whatever table it belongs to."""

    rowid: int
    values: tuple[Value, ...]
    pages: tuple[int, ...]
    """Its leaf, then those on which a long row goes on."""


def read_rows(pages: Pages, number: int) -> Iterator[Row | None]:
    """The rows of one leaf, in its order; None for each that cannot be read."""
    leaf = pages.get_page(number)
    if leaf is None or leaf.kind != LEAF:
        return
    for cell in leaf.cells:
        try:
            yield _read_row(pages, leaf, number, cell)
        except (ValueError, IndexError):
            yield None


def _read_row(pages: Pages, leaf: Page, number: int, cell: int) -> Row:
    payload_bytes, at = read_varint(leaf.data, cell)
    rowid, at = read_varint(leaf.data, at)
    local_bytes = _local_bytes(payload_bytes, pages.usable_bytes)
    payload = leaf.data[at : at + local_bytes]
    if len(payload) != local_bytes:
        raise ValueError("the cell is cut")
    more, chain = b"", tuple[int, ...]()
    if payload_bytes > local_bytes:
        pointer = leaf.data[at + local_bytes :][:4]
        missing_bytes = payload_bytes - local_bytes
        more, chain = _read_chain(pages, int.from_bytes(pointer, "big"), missing_bytes)
    return Row(rowid, decode_record(payload + more), (number, *chain))


def _local_bytes(payload_bytes: int, usable_bytes: int) -> int:
    """How much of a row lies on its leaf; the rest goes on elsewhere."""
    if payload_bytes <= usable_bytes - 35:
        return max(payload_bytes, 0)
    least = (usable_bytes - 12) * 32 // 255 - 23
    surplus = least + (payload_bytes - least) % (usable_bytes - 4)
    return surplus if surplus <= usable_bytes - 35 else least


def _read_chain(
    pages: Pages, number: int, missing_bytes: int
) -> tuple[bytes, tuple[int, ...]]:
    """What lies on a chain of overflow pages, and their numbers.

    Raises:
        ValueError: it is not exactly as long as it must be, or goes round.
    """
    room = pages.usable_bytes - 4
    pieces: list[bytes] = []
    chain: list[int] = []
    if missing_bytes > room * pages.count:
        raise ValueError("longer than the file")
    while missing_bytes > 0:
        data = pages.get(number)
        pieces.append(data[4 : 4 + min(room, missing_bytes)])
        if len(pieces[-1]) != min(room, missing_bytes):
            raise ValueError("the chain is broken")
        chain.append(number)
        missing_bytes -= room
        number = int.from_bytes(data[:4], "big")
    if number or len(set(chain)) != len(chain):
        raise ValueError("the chain does not end where the row does")
    return b"".join(pieces), tuple(chain)


def list_children(pages: Pages, number: int) -> list[int]:
    """The pages below an interior page, left to right; none if it is no such page."""
    page = pages.get_page(number)
    if page is None or page.kind != INTERIOR:
        return []
    last = page.data[page.start + 8 :][:4]
    children = [page.data[cell : cell + 4] for cell in page.cells] + [last]
    return [int.from_bytes(child, "big") for child in children if len(child) == 4]


def walk(pages: Pages, root: int, seen: set[int]) -> Iterator[int]:
    """The leaves below a root, left to right, as far as the way to them can be read.

    Args:
        seen: pages not to look at any more; all that is met is added.
    """
    waiting = [root]
    while waiting:
        number = waiting.pop()
        page = None if number in seen else pages.get_page(number)
        if page is None or page.kind not in {INTERIOR, LEAF}:
            continue
        seen.add(number)
        if page.kind == LEAF:
            yield number
        waiting.extend(reversed(list_children(pages, number)))


def find_roots(pages: Pages) -> dict[str, int]:
    """The root page of each table that the schema names, as far as it can be read."""
    rows = (row for leaf in walk(pages, 1, set()) for row in read_rows(pages, leaf))
    return dict(root for row in rows if row and (root := _root(row)))


def _root(row: Row) -> tuple[str, int] | None:
    match row.values:
        case ("table", str(name), str(), int(root), str()) if root > 0:
            return name, root
        case _:
            return None


class Leaf(NamedTuple):
    """A page of rows. Its table is None if no readable page says whose it is."""

    number: int
    table: str | None


def find_leaves(pages: Pages) -> Iterator[Leaf]:
    """Every page of rows, each once: first those of known tables, then orphans.

    Free pages are no orphans, though they still hold what was deleted. Where the list
    of free pages is damaged, some may be found all the same; so leaves that an interior
    page still names come before those that none names: they are rarely left-overs.
    """
    seen: set[int] = set()
    for _ in walk(pages, 1, seen):
        pass  # the schema itself
    for table, root in find_roots(pages).items():
        for number in walk(pages, root, seen):
            yield Leaf(number, table)
    seen |= pages.list_free()
    for start in _orphans(pages, seen):
        for number in walk(pages, start, seen):
            yield Leaf(number, None)


def _orphans(pages: Pages, seen: set[int]) -> list[int]:
    """Pages to begin with: tops of lost trees, what lies below them, single leaves."""
    trees: dict[int, list[int]] = {}
    leaves: list[int] = []
    for number in range(1, pages.count + 1):
        page = None if number in seen else pages.get_page(number)
        if page and page.kind == INTERIOR:
            trees[number] = list_children(pages, number)
        elif page and page.kind == LEAF:
            leaves.append(number)
    below = {child for children in trees.values() for child in children}
    return [*(trees.keys() - below), *(trees.keys() & below), *leaves]
