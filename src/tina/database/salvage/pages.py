"""A database file as numbered pages, however damaged it is. Pure.

Nothing here trusts what it reads: each number is checked before it is followed.

Source: SQLite, "Database File Format", section 1 (the database file).
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from tina.database.salvage.wal import Wal, is_page_size, read_wal

HEADER_BYTES = 100
INTERIOR, LEAF = 5, 13
"""Kinds of b-tree pages that hold tables; the other two kinds hold indexes."""

_MAGIC = b"SQLite format 3\x00"
_FRACTIONS = b"\x40\x20\x20"
_KINDS = {2: 12, INTERIOR: 12, 10: 8, LEAF: 8}
"""All kinds of b-tree pages, with the length of their headers."""
_LIKELY_SIZES = (4096, 8192, 16384, 32768, 65536, 2048, 1024, 512)
_LOOKED_AT_BYTES = 4 * 1024 * 1024
_MIN_USABLE_BYTES = 480

Read = Callable[[int, int], bytes]
"""(offset, length) → what is there; less or nothing if that cannot be read."""


class Header(NamedTuple):
    """What the first hundred bytes say, if they are whole."""

    page_bytes: int
    usable_bytes: int
    first_trunk: int
    """The page that begins the list of free pages; 0 if there is none."""
    user_version: int
    application_id: int


def read_header(data: bytes) -> Header | None:
    """The header of a database file; None if this is none, or not whole."""
    if len(data) < HEADER_BYTES or not data.startswith(_MAGIC):
        return None
    stored_bytes, reserved_bytes = struct.unpack_from(">H2xB", data, 16)
    page_bytes = 65536 if stored_bytes == 1 else stored_bytes
    usable_bytes = page_bytes - reserved_bytes
    if data[21:24] != _FRACTIONS or not is_page_size(page_bytes):
        return None
    if usable_bytes < _MIN_USABLE_BYTES:
        return None
    (first_trunk,) = struct.unpack_from(">I", data, 32)
    (user_version,) = struct.unpack_from(">I", data, 60)
    (application_id,) = struct.unpack_from(">I", data, 68)
    return Header(page_bytes, usable_bytes, first_trunk, user_version, application_id)


class Page(NamedTuple):
    """A b-tree page: its bytes, where its own header begins, and its cells."""

    data: bytes
    start: int
    kind: int
    cell_count: int

    @property
    def cells(self) -> list[int]:
        """Where the cells begin; a damaged page may say anything."""
        first = self.start + _KINDS[self.kind]
        fitting = max(0, len(self.data) - first) // 2
        count = min(self.cell_count, fitting)
        return list(struct.unpack_from(f">{count}H", self.data, first))


def read_page(data: bytes, *, number: int) -> Page | None:
    """The b-tree page in these bytes; None if it is none.

    A page of a file that was cut is shorter than the others.
    """
    start = HEADER_BYTES if number == 1 else 0
    if len(data) < start + 12 or data[start] not in _KINDS:
        return None
    (cell_count,) = struct.unpack_from(">H", data, start + 3)
    return Page(data, start, data[start], cell_count)


class Pages:
    """The pages of a file with the log that stands beside it; numbered from 1."""

    def __init__(self, read: Read, *, file_bytes: int, log: bytes) -> None:
        wal = read_wal(log)
        self._read = read
        self._newer = wal.pages if wal else {}
        first = self._newer.get(1) or read(0, HEADER_BYTES)
        self.header = read_header(first)
        self.page_bytes = _page_bytes(wal, self.header) or _guess(read, file_bytes)
        self.usable_bytes = self.header.usable_bytes if self.header else self.page_bytes
        # Behind the last page that the log knows stand only left-overs.
        self.count = wal.page_count if wal else -(-file_bytes // self.page_bytes)

    def get(self, number: int) -> bytes:
        """The bytes of a page; less or none if it is not there."""
        if not 1 <= number <= self.count:
            return b""
        newer = self._newer.get(number)
        if newer is not None:
            return newer
        return self._read((number - 1) * self.page_bytes, self.page_bytes)

    def get_page(self, number: int) -> Page | None:
        return read_page(self.get(number), number=number)

    def list_free(self) -> set[int]:
        """Pages on the list of free ones, as far as it can be read."""
        free: set[int] = set()
        trunk = self.header.first_trunk if self.header else 0
        while trunk not in free and len(data := self.get(trunk)) >= 8:
            free.add(trunk)
            trunk, count = struct.unpack_from(">2I", data)
            count = min(count, len(data) // 4 - 2)
            free.update(struct.unpack_from(f">{count}I", data, 8))
        return free


def _page_bytes(wal: Wal | None, header: Header | None) -> int | None:
    if wal:
        return wal.page_bytes
    return header.page_bytes if header else None


def _guess(read: Read, file_bytes: int) -> int:
    """The size by which most of the file's beginning parses; 4096 if none is better."""
    looked_at = read(0, min(file_bytes, _LOOKED_AT_BYTES))

    def count_whole(page_bytes: int) -> int:
        return sum(
            _is_whole(looked_at[start : start + page_bytes], number)
            for number, start in enumerate(range(0, len(looked_at), page_bytes), 1)
        )

    return max(_LIKELY_SIZES, key=count_whole)  # the first of equals


def _is_whole(data: bytes, number: int) -> bool:
    page = read_page(data, number=number)
    if page is None or page.cell_count == 0:
        return False
    behind_cells = page.start + _KINDS[page.kind] + 2 * page.cell_count
    cells = page.cells
    return len(cells) == page.cell_count and all(
        behind_cells <= cell < len(data) for cell in cells
    )
