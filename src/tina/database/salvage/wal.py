"""The write-ahead log: the pages that are newer than the file's own. Pure.

Source: SQLite, "Database File Format", section 4 (the write-ahead log).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_MAGIC = 0x377F0682
"""The lowest bit says in which order the bytes of a checksum's words are."""
_CHECKSUM_MASK = 0xFFFFFFFF


class Wal(NamedTuple):
    """What the log says the file holds: newest pages by number, and how many."""

    page_bytes: int
    pages: dict[int, bytes]
    page_count: int


class _Frame(NamedTuple):
    number: int
    page_count: int
    """Of the whole file; 0 unless this frame ends a transaction."""
    page: bytes


def read_wal(log: bytes) -> Wal | None:
    """All that was committed; None if that is nothing.

    It ends at the first frame that is not whole, as it does for SQLite: what stands
    behind may be left from a transaction that never was.
    """
    if len(log) < HEADER_BYTES:
        return None
    magic, _, page_bytes, _, *_, low, high = struct.unpack(">8I", log[:HEADER_BYTES])
    if magic & ~1 != _MAGIC or not is_page_size(page_bytes):
        return None
    if _checksum(log[:24], (0, 0), is_big_endian=bool(magic & 1)) != (low, high):
        return None
    committed: dict[int, bytes] = {}
    waiting: dict[int, bytes] = {}
    page_count = 0
    for frame in _frames(log, page_bytes, is_big_endian=bool(magic & 1)):
        waiting[frame.number] = frame.page
        if frame.page_count:
            page_count = frame.page_count
            committed.update(waiting)
            waiting.clear()
    return Wal(page_bytes, committed, page_count) if committed else None


def is_page_size(page_bytes: int) -> bool:
    return 512 <= page_bytes <= 65536 and page_bytes & (page_bytes - 1) == 0


def _frames(log: bytes, page_bytes: int, *, is_big_endian: bool) -> Iterator[_Frame]:
    """Whole frames of this log's own, up to the first that is none."""
    sums: tuple[int, int] = struct.unpack(">2I", log[24:HEADER_BYTES])
    frame_bytes = FRAME_HEADER_BYTES + page_bytes
    for start in range(HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
        page = log[start + FRAME_HEADER_BYTES : start + frame_bytes]
        number, page_count, *salts, low, high = struct.unpack(
            ">6I", log[start : start + FRAME_HEADER_BYTES]
        )
        summed = log[start : start + 8] + page
        sums = _checksum(summed, sums, is_big_endian=is_big_endian)
        if (low, high) != sums or salts != [*struct.unpack(">2I", log[16:24])]:
            return
        yield _Frame(number, page_count, page)


def _checksum(
    data: bytes, sums: tuple[int, int], *, is_big_endian: bool
) -> tuple[int, int]:
    low, high = sums
    words = struct.unpack(f"{'>' if is_big_endian else '<'}{len(data) // 4}I", data)
    pairs = iter(words)
    for first, second in zip(pairs, pairs, strict=True):
        low = (low + first + high) & _CHECKSUM_MASK
        high = (high + second + low) & _CHECKSUM_MASK
    return low, high
