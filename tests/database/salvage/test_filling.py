"""The new file: every schema that Tina ever had, and nothing forgotten."""

from collections.abc import Iterator

import apsw
import pytest

from tests.database.salvage.files import pages_of
from tests.database.salvage.history import Image
from tina.database.engine.sqlite import APPLICATION_ID
from tina.database.migrations import LATEST_VERSION, migrate
from tina.database.salvage.filling import (
    INSERTS,
    REBUILT,
    finish_schema,
    insert,
    make_schema,
    read_tables,
)
from tina.database.salvage.shapes import Fit, fit
from tina.database.salvage.trees import find_leaves, read_rows

VERSIONS = range(1, LATEST_VERSION + 1)


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    yield connection
    connection.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_table_is_saved_or_rebuilt(
    connection: apsw.Connection, version: int
) -> None:
    """A new table or column must be thought of here as well."""
    make_schema(connection, version=version)
    names = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main'"
            " AND type IN ('table', 'virtual') AND name NOT LIKE 'sqlite_%'"
        )
    }

    shapes = {(table.name, len(table.columns)) for table in read_tables(connection)}

    assert {name for name, _ in shapes} | REBUILT >= names
    assert shapes <= INSERTS.keys()


@pytest.mark.parametrize(("table", "columns"), INSERTS)
def test_each_statement_binds_as_many_values_as_the_table_has(
    table: str, columns: int
) -> None:
    statement = INSERTS[table, columns]

    assert f"INSERT OR IGNORE INTO {table}\n" in statement
    assert statement.count("?") == columns


def test_a_finished_file_is_like_one_that_was_migrated(
    connection: apsw.Connection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("fresh") / "tina.db"
    fresh = apsw.Connection(str(path))
    migrate(fresh, path)

    make_schema(connection, version=LATEST_VERSION)
    finish_schema(connection, version=LATEST_VERSION)

    schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
    assert list(connection.execute(schema)) == list(fresh.execute(schema))
    assert connection.pragma("user_version") == fresh.pragma("user_version")
    assert connection.pragma("application_id") == fresh.pragma("application_id")
    fresh.close()


def test_an_older_file_stays_one(connection: apsw.Connection) -> None:
    make_schema(connection, version=1)
    finish_schema(connection, version=1)

    assert connection.pragma("user_version") == 1
    assert connection.pragma("application_id") == APPLICATION_ID
    assert {table.name for table in read_tables(connection)} == {
        "conversations",
        "journal",
        "messages",
        "turns",
    }


def test_defaults_are_read_from_the_schema(connection: apsw.Connection) -> None:
    connection.execute(
        "CREATE TABLE journal (a INTEGER DEFAULT -3, b TEXT DEFAULT 'it''s',"
        " c TEXT DEFAULT NULL, d BLOB, e TEXT NOT NULL)"
    )

    (table,) = read_tables(connection)

    assert [column.default for column in table.columns] == [
        -3,
        "it's",
        None,
        None,
        None,
    ]
    assert [column.is_required for column in table.columns] == [False] * 4 + [True]


def test_no_row_fits_two_tables(closed: Image, connection: apsw.Connection) -> None:
    """So an orphan's shape alone says whose it is."""
    make_schema(connection, version=LATEST_VERSION)
    tables = {table.name: table for table in read_tables(connection)}
    pages = pages_of(closed.file)

    fitting = {
        (leaf.table, tuple(name for name, table in tables.items() if fit(row, [table])))
        for leaf in find_leaves(pages)
        for row in read_rows(pages, leaf.number)
        if row
    }

    own = {(name, (name,)) for name in tables}
    others = {(name, fits) for name, fits in fitting if name not in tables}
    assert own <= fitting
    assert fitting == own | others
    assert {fits for _, fits in others} == {()}


def test_of_rows_that_cannot_both_stand_the_first_is_kept(
    connection: apsw.Connection,
) -> None:
    make_schema(connection, version=1)
    first = Fit("journal", (1, b"i" * 16, "first"))
    second = Fit("journal", (1, b"i" * 16, "second"))

    kept = insert(connection, [first, second])

    assert kept == {"journal": 1}
    assert connection.execute("SELECT events FROM journal").get == "first"
