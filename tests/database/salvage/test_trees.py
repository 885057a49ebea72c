"""Trees of pages: the same rows as SQLite reads, and no harm from damage."""

import random
import struct
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.database.salvage.files import hurt, make_file, pages_of
from tests.database.salvage.history import Image
from tina.database.salvage.records import Value
from tina.database.salvage.trees import (
    Leaf,
    Row,
    find_leaves,
    find_roots,
    list_children,
    read_rows,
    walk,
)

TABLES_WITH_ROWIDS = """
SELECT name FROM pragma_table_list
WHERE schema = 'main' AND type IN ('table', 'shadow') AND NOT wr
"""

FILL = """
CREATE TABLE a (id INTEGER PRIMARY KEY, text, number);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
INSERT INTO a SELECT i, printf('%.*c', i % 40 * (i % 40), 'x') || i, i * 1.5 FROM n;
CREATE TABLE b (text);
INSERT INTO b SELECT text FROM a WHERE id % 2;
"""


def rows_of(file: bytes, log: bytes = b"") -> dict[str | None, list[Row]]:
    pages = pages_of(file, log)
    found: dict[str | None, list[Row]] = {}
    for leaf in find_leaves(pages):
        rows = [row for row in read_rows(pages, leaf.number) if row]
        found.setdefault(leaf.table, []).extend(rows)
    return found


def without_key(values: tuple[Value, ...], rowid: int, keys: list[bool]) -> list[Value]:
    """What SQLite shows: the key in its place; a column added later is left out."""
    return [
        rowid if is_key else value for value, is_key in zip(values, keys, strict=False)
    ]


@pytest.mark.parametrize("name", ["closed", "still_open"])
def test_sqlite_and_the_parser_read_the_same_rows_of_every_table(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    image: Image = request.getfixturevalue(name)
    image.write(tmp_path / "a.db")
    connection = apsw.Connection(str(tmp_path / "a.db"))
    found = rows_of(*image)

    for (table,) in list(connection.execute(TABLES_WITH_ROWIDS)):
        if table == "sqlite_schema":
            continue
        keys = [
            bool(pk) and kind == "INTEGER"
            for pk, kind in connection.execute(
                "SELECT pk, type FROM pragma_table_info(?)", (table,)
            )
        ]
        expected = list(connection.execute(f"SELECT rowid, * FROM {table}"))  # noqa: S608 - SQLite's own list
        rows = found.get(table, [])
        assert [row.rowid for row in rows] == [rowid for rowid, *_ in expected]
        for row, (rowid, *values) in zip(rows, expected, strict=True):
            read = without_key(row.values, rowid, keys)
            assert read == values[: len(read)]
            assert len(read) == len(values)
    connection.close()
    assert None not in found
    assert found["messages"]


@pytest.mark.parametrize("page_bytes", [512, 1024, 65536])
def test_pages_of_any_size_are_read(tmp_path: Path, page_bytes: int) -> None:
    file = make_file(tmp_path / "a.db", FILL, page_bytes=page_bytes)
    connection = apsw.Connection(str(tmp_path / "a.db"))
    expected = list(connection.execute("SELECT id, text, number FROM a"))
    connection.close()

    rows = rows_of(file)["a"]

    assert [(row.rowid, *row.values[1:]) for row in rows] == expected
    assert any(len(row.pages) > 1 for row in rows) == (page_bytes < 65536)


def test_rows_of_every_length_are_read(tmp_path: Path) -> None:
    """Where a row is divided depends on its length, in three ways."""
    statement = """
CREATE TABLE a (text);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO a SELECT printf('%.*c', i, 'x') FROM n
"""
    file = make_file(tmp_path / "a.db", statement, page_bytes=512)

    rows = rows_of(file)["a"]

    assert [row.values for row in rows] == [("x" * row.rowid,) for row in rows]
    assert len(rows) == 2000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("trees") / "a.db"
    return make_file(path, FILL, page_bytes=512)


def page_at(number: int) -> int:
    return (number - 1) * 512


def test_below_a_damaged_root_every_leaf_is_found(file: bytes) -> None:
    root = find_roots(pages_of(file))["a"]

    found = rows_of(hurt(file, page_at(root), bytes(512)))

    assert "a" not in found
    assert found["b"] == rows_of(file)["b"]
    assert set(found[None]) == set(rows_of(file)["a"])


def test_without_a_schema_every_leaf_is_found(file: bytes) -> None:
    """Those that an interior page names come first: the others may be left-overs."""
    pages = pages_of(hurt(file, 0, bytes(512)))
    leaves = list(find_leaves(pages))

    named = {
        child
        for number in range(2, pages.count + 1)
        for child in list_children(pages, number)
    }
    before = {leaf.number for leaf in find_leaves(pages_of(file))}
    assert {leaf.number for leaf in leaves} == before
    assert {leaf.table for leaf in leaves} == {None}
    assert len({leaf.number for leaf in leaves}) == len(leaves)
    assert leaves[0].number in named


def test_a_single_leaf_without_a_parent_is_found_last(tmp_path: Path) -> None:
    single = "CREATE TABLE c (text); INSERT INTO c VALUES ('alone')"
    file = make_file(tmp_path / "a.db", single, FILL, page_bytes=512)
    alone = find_roots(pages_of(file))["c"]

    leaves = list(find_leaves(pages_of(hurt(file, 0, bytes(512)))))

    assert leaves[-1] == Leaf(alone, None)


def test_free_pages_are_no_orphans(tmp_path: Path) -> None:
    deletion = "DELETE FROM a WHERE id < 500"
    file = make_file(tmp_path / "a.db", FILL, deletion, page_bytes=512)

    found = rows_of(file)

    assert min(row.rowid for row in found["a"]) == 500
    assert None not in found


def test_a_tree_that_goes_round_is_walked_once(file: bytes) -> None:
    pages = pages_of(file)
    root = find_roots(pages)["a"]
    leaf = next(walk(pages, root, set()))
    around = struct.pack(">I", root)

    damaged = hurt(file, page_at(root) + 8, around)
    both = hurt(file, page_at(leaf), bytes([5]) + file[page_at(root) + 1 :][:11])

    assert list(walk(pages_of(damaged), root, set()))
    assert len(list(find_leaves(pages_of(both)))) == len(list(find_leaves(pages))) - 1


def test_an_interior_page_that_is_cut_has_the_children_that_are_left(
    file: bytes,
) -> None:
    pages = pages_of(file)
    root = find_roots(pages)["a"]
    whole = list_children(pages, root)

    # Its first cells stand at its end.
    cut = list_children(pages_of(file[: page_at(root) + 508]), root)

    assert set(cut) < set(whole)
    assert cut[-1] == whole[-1]


def test_a_leaf_is_no_interior_page_and_a_root_no_leaf(file: bytes) -> None:
    pages = pages_of(file)
    root = find_roots(pages)["a"]

    assert list_children(pages, next(walk(pages, root, set()))) == []
    assert list(read_rows(pages, root)) == []
    assert list(read_rows(pages, pages.count + 1)) == []


LONG = """
CREATE TABLE a (text);
INSERT INTO a VALUES (printf('%.*c', 2000, 'x'));
INSERT INTO a VALUES ('short');
"""


@pytest.fixture
def long(tmp_path: Path) -> bytes:
    """Pages 3 to 6 hold what does not fit on page 2."""
    return make_file(tmp_path / "a.db", LONG, page_bytes=512)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        pytest.param(page_at(3), b"\x00\x00\x00\x00", id="ends-too-early"),
        pytest.param(page_at(3), b"\x00\x00\xff\x00", id="leads-out-of-the-file"),
        pytest.param(page_at(4), b"\x00\x00\x00\x03", id="goes-round"),
        pytest.param(page_at(6), b"\x00\x00\x00\x02", id="does-not-end"),
    ],
)
def test_a_row_whose_chain_is_broken_is_left_out(
    long: bytes, at: int, data: bytes
) -> None:
    assert [row.pages for row in rows_of(long)["a"]] == [(2, 3, 4, 5, 6), (2,)]

    rows = rows_of(hurt(long, at, data))["a"]

    assert [row.values for row in rows] == [("short",)]


def cell_at(file: bytes) -> int:
    """Where the first cell of page 2 begins."""
    (cell,) = struct.unpack_from(">H", file, page_at(2) + 8)
    return page_at(2) + int(cell)


@pytest.mark.parametrize(
    "length",
    [
        pytest.param(b"\xff\xff\xff\x7f", id="longer-than-the-file"),
        pytest.param(b"\xff" * 9, id="negative"),
        pytest.param(b"\x83\x40", id="longer-than-the-page"),
    ],
)
def test_a_row_with_a_damaged_length_is_left_out(long: bytes, length: bytes) -> None:
    pages = pages_of(hurt(long, cell_at(long), length))

    rows = list(read_rows(pages, 2))

    assert rows[0] is None
    assert rows[1] is not None
    assert rows[1].values == ("short",)


def test_an_endless_row_on_pages_that_go_round_is_left_out(long: bytes) -> None:
    endless = hurt(long, cell_at(long), b"\xff" * 7 + b"\x7f")

    pages = pages_of(hurt(endless, page_at(4), b"\x00\x00\x00\x03"))

    assert [row and row.values for row in read_rows(pages, 2)] == [None, ("short",)]


def test_a_row_on_a_page_that_is_cut_is_left_out(long: bytes) -> None:
    cut = long[: cell_at(long) + 20]

    assert [row and row.values for row in read_rows(pages_of(cut), 2)] == [
        None,
        ("short",),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"table", b"tabel"), (b"CREATE", b"CREA\xffE")],
)
def test_the_schema_is_read_as_far_as_it_is_one(
    long: bytes, old: bytes, new: bytes
) -> None:
    roots = find_roots(pages_of(long.replace(old, new, 1)))

    assert roots == ({} if old == b"table" else {"a": 2})


def test_an_empty_file_has_no_leaves() -> None:
    assert list(find_leaves(pages_of(b""))) == []


@given(st.integers(0, 2**32))
def test_no_damage_is_an_error(file: bytes, seed: int) -> None:
    draw = random.Random(seed)
    damaged = bytearray(file)
    for _ in range(draw.randint(1, 400)):
        damaged[draw.randrange(len(file))] = draw.choice((0, 5, 13, 255, 128, 1))

    pages = pages_of(bytes(damaged[: draw.randint(1, len(file))]))
    leaves = list(find_leaves(pages))
    rows = [row for leaf in leaves for row in read_rows(pages, leaf.number) if row]

    assert len({leaf.number for leaf in leaves}) == len(leaves) <= pages.count
    assert all(1 <= number <= pages.count for row in rows for number in row.pages)
