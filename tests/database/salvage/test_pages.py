import struct
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.database.salvage.files import hurt, make_file, pages_of
from tina.database.salvage.pages import HEADER_BYTES, LEAF, read_header, read_page

FILL = """
CREATE TABLE a (text);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
INSERT INTO a SELECT 'row number ' || i FROM n;
PRAGMA user_version = 7;
PRAGMA application_id = 9;
"""
SIZES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]


@pytest.mark.parametrize("page_bytes", SIZES)
def test_the_size_of_pages_is_read(tmp_path: Path, page_bytes: int) -> None:
    file = make_file(tmp_path / "a.db", FILL, page_bytes=page_bytes)

    pages = pages_of(file)

    assert pages.header is not None
    assert (pages.header.user_version, pages.header.application_id) == (7, 9)
    assert pages.page_bytes == pages.usable_bytes == page_bytes
    assert pages.count * page_bytes == len(file)


@pytest.mark.parametrize("page_bytes", SIZES)
def test_without_a_header_the_size_is_guessed(tmp_path: Path, page_bytes: int) -> None:
    file = make_file(tmp_path / "a.db", FILL, page_bytes=page_bytes)

    pages = pages_of(hurt(file, 0, bytes(HEADER_BYTES)))

    assert pages.header is None
    assert pages.page_bytes == page_bytes


def test_a_file_that_says_nothing_is_taken_for_an_ordinary_one() -> None:
    assert pages_of(b"").page_bytes == 4096
    assert pages_of(bytes(9000)).count == 3


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0, b"X"),
        pytest.param(16, b"\x10\x01", id="no-power-of-two"),
        pytest.param(16, b"\x00\x02", id="too-small"),
        pytest.param(21, b"\x41", id="fraction"),
        pytest.param(16, b"\x02\x00\x01\x01\xff", id="nearly-all-reserved"),
    ],
)
def test_a_damaged_header_is_none(tmp_path: Path, at: int, data: bytes) -> None:
    file = make_file(tmp_path / "a.db", FILL)

    assert read_header(file) is not None
    assert read_header(hurt(file, at, data)) is None
    assert read_header(file[:99]) is None


def test_bytes_that_are_reserved_are_not_used(tmp_path: Path) -> None:
    file = make_file(tmp_path / "a.db", FILL)

    header = read_header(hurt(file, 20, b"\x08"))

    assert header is not None
    assert (header.page_bytes, header.usable_bytes) == (4096, 4088)


def test_pages_in_the_log_are_newer_than_those_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    make_file(path, FILL)
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA user_version = 8")
    connection.execute("DELETE FROM a; VACUUM")
    file, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    connection.close()

    old, new = pages_of(file), pages_of(file, log)

    assert old.header is not None
    assert new.header is not None
    assert (old.header.user_version, new.header.user_version) == (7, 8)
    assert new.count == 2 < old.count
    assert new.get(3) == b""
    assert new.get(1) in log
    assert new.get(1) != old.get(1)
    # The log knows the size of pages even if the file does not.
    assert pages_of(b"", log).page_bytes == 4096


def test_a_page_that_is_not_there_is_empty(tmp_path: Path) -> None:
    pages = pages_of(make_file(tmp_path / "a.db", FILL))

    assert pages.get(0) == pages.get(pages.count + 1) == pages.get(-1) == b""
    assert len(pages.get(pages.count)) == 4096
    assert pages.get_page(0) is None
    assert pages.get_page(pages.count) is not None


def test_a_damaged_page_has_no_more_cells_than_fit() -> None:
    data = bytes([LEAF, 0, 0, 0xFF, 0xFF]) + bytes(11)

    page = read_page(data, number=2)

    assert page is not None
    assert page.cells == [0] * 4


@given(st.binary(max_size=200), st.sampled_from([1, 2]))
def test_any_bytes_are_a_page_or_none(data: bytes, number: int) -> None:
    page = read_page(data, number=number)

    assert page is None or len(page.cells) * 2 <= len(data)


def free_pages(path: Path) -> bytes:
    """A file of which nearly all pages are free."""
    return make_file(path, FILL, "DELETE FROM a", page_bytes=512)


def test_free_pages_are_listed(tmp_path: Path) -> None:
    file = free_pages(tmp_path / "a.db")
    connection = apsw.Connection(str(tmp_path / "a.db"))
    count = connection.pragma("freelist_count")
    connection.close()

    free = pages_of(file).list_free()

    assert len(free) == count > 512 // 4
    assert free == set(range(3, len(file) // 512 + 1))


def test_a_list_of_free_pages_that_goes_round_ends(tmp_path: Path) -> None:
    file = free_pages(tmp_path / "a.db")
    (trunk,) = struct.unpack_from(">I", file, 32)
    at = (trunk - 1) * 512
    around = hurt(file, at, struct.pack(">2I", trunk, 0xFFFFFFFF))

    free = pages_of(around).list_free()

    assert trunk in free
    assert len(free) <= 512 // 4


def test_without_a_header_no_page_is_known_to_be_free() -> None:
    assert pages_of(b"").list_free() == set()
