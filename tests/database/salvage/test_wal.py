"""The log: exactly what SQLite would take from it."""

import struct
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.database.salvage.wal import (
    FRAME_HEADER_BYTES,
    HEADER_BYTES,
    Wal,
    is_page_size,
    read_wal,
)

FRAME_BYTES = FRAME_HEADER_BYTES + 512


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three transactions, each of one page or a few, in pages of 512 bytes."""
    path = tmp_path_factory.mktemp("wal") / "a.db"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA page_size = 512")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE a (text)")
    connection.execute("INSERT INTO a VALUES ('one')")
    connection.execute("INSERT INTO a VALUES ('two')")
    log = Path(f"{path}-wal").read_bytes()
    connection.close()
    return log


def frames_of(log: bytes) -> list[bytes]:
    return [
        log[start : start + FRAME_BYTES]
        for start in range(HEADER_BYTES, len(log), FRAME_BYTES)
    ]


def text_of(wal: Wal | None) -> bytes:
    assert wal is not None
    return wal.pages[2][-12:]


def test_the_newest_committed_pages_are_read(log: bytes) -> None:
    wal = read_wal(log)

    assert wal is not None
    assert (wal.page_bytes, wal.page_count, set(wal.pages)) == (512, 2, {1, 2})
    assert b"two" in text_of(wal)


def test_a_log_that_is_cut_ends_with_its_last_whole_transaction(log: bytes) -> None:
    assert b"two" not in text_of(read_wal(log[:-1]))
    assert b"one" in text_of(read_wal(log[:-1]))


def test_a_damaged_frame_ends_the_log(log: bytes) -> None:
    hurt = bytearray(log)
    hurt[len(log) - 2 * FRAME_BYTES + 100] ^= 1

    wal = read_wal(bytes(hurt))

    assert wal is not None
    assert b"one" not in text_of(wal)


def test_frames_of_an_older_log_are_not_taken(log: bytes) -> None:
    """SQLite begins anew at the front and leaves the rest of the old log there."""
    *newer, last = frames_of(log)
    salted = last[:8] + bytes(8) + last[16:]

    wal = read_wal(log[:HEADER_BYTES] + b"".join(newer) + salted)

    assert b"two" not in text_of(wal)


def test_a_transaction_without_its_end_is_not_taken(log: bytes) -> None:
    first = frames_of(log)[0]

    assert struct.unpack(">I", first[4:8]) == (0,)
    assert read_wal(log[:HEADER_BYTES] + first) is None


@pytest.mark.parametrize("place", [0, 3, 10, 17, 25])
def test_a_damaged_header_makes_the_log_worthless(log: bytes, place: int) -> None:
    hurt = bytearray(log)
    hurt[place] ^= 0x40

    assert read_wal(bytes(hurt)) is None


def test_both_orders_of_bytes_are_known(log: bytes) -> None:
    """The same log, as a machine of the other kind would have written it."""
    header = struct.unpack(">6I", log[:24])
    other = struct.pack(">6I", header[0] ^ 1, *header[1:])
    order = ">" if header[0] ^ 1 & 1 else "<"
    low = high = 0
    sealed = bytearray()
    for covered, body, rest in [
        (other, other, b""),
        *((frame[:8] + frame[24:], frame[:16], frame[24:]) for frame in frames_of(log)),
    ]:
        words = struct.unpack(f"{order}{len(covered) // 4}I", covered)
        for first, second in zip(words[::2], words[1::2], strict=True):
            low = (low + first + high) % 2**32
            high = (high + second + low) % 2**32
        sealed += body + struct.pack(">2I", low, high) + rest

    assert bytes(sealed) != log
    assert read_wal(bytes(sealed)) == read_wal(log)


@given(st.binary(max_size=100))
def test_any_bytes_are_no_log(data: bytes) -> None:
    assert read_wal(data) is None


@pytest.mark.parametrize(
    ("page_bytes", "is_one"),
    [(256, False), (512, True), (4096, True), (5000, False), (65536, True)],
)
def test_sizes_of_pages_are_powers_of_two(page_bytes: int, *, is_one: bool) -> None:
    assert is_page_size(page_bytes) is is_one
    assert not is_page_size(131072)
