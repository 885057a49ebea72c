"""A new file with Tina's schema, and the rows that were saved put into it."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

import apsw

from tina.database import migrations
from tina.database.engine.sqlite import APPLICATION_ID
from tina.database.salvage.records import Value
from tina.database.salvage.shapes import Column, Fit, Table, make_table

# Values come in the order in which the file held them, so they are bound by place. One
# statement for each table and number of columns it ever had; each keeps the first of
# rows that cannot both stand.
INSERTS = {
    ("conversations", 11): """INSERT OR IGNORE INTO conversations
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("conversations", 16): """INSERT OR IGNORE INTO conversations
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("grants", 11): """INSERT OR IGNORE INTO grants
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("import_origins", 6): """INSERT OR IGNORE INTO import_origins
        VALUES (?, ?, ?, ?, ?, ?)""",
    ("journal", 3): """INSERT OR IGNORE INTO journal
        VALUES (?, ?, ?)""",
    ("journal", 5): """INSERT OR IGNORE INTO journal
        VALUES (?, ?, ?, ?, ?)""",
    ("messages", 16): """INSERT OR IGNORE INTO messages
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("messages", 17): """INSERT OR IGNORE INTO messages
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("tool_calls", 17): """INSERT OR IGNORE INTO tool_calls
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("turns", 10): """INSERT OR IGNORE INTO turns
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("turns", 13): """INSERT OR IGNORE INTO turns
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
    ("usage", 12): """INSERT OR IGNORE INTO usage
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
}

REBUILT = frozenset({"change_log", "message_fts", "search_backlog"})
"""Tables that are made anew from the others, or need not outlive the file."""

_COLUMNS = """
SELECT name, type, "notnull", pk, dflt_value FROM pragma_table_info(:table) ORDER BY cid
"""


def make_schema(connection: apsw.Connection, *, version: int) -> None:
    """Give an empty file the schema of that version, without its triggers."""
    folder = Path(migrations.__file__).parent
    for step in sorted(folder.glob("[0-9]*.sql"))[:version]:
        connection.execute(step.read_text(encoding="utf-8"))


def finish_schema(connection: apsw.Connection, *, version: int) -> None:
    """Triggers, which would have logged each row that was put in, and the marks."""
    if version == migrations.LATEST_VERSION:
        triggers = Path(migrations.__file__).with_name("triggers.sql")
        connection.execute(triggers.read_text(encoding="utf-8"))
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", version)


def read_tables(connection: apsw.Connection) -> list[Table]:
    """The shapes of all tables that are saved, as this file's schema has them."""
    names = sorted({name for name, _ in INSERTS})
    shapes = {name: _read_columns(connection, name) for name in names}
    return [make_table(name, columns) for name, columns in shapes.items() if columns]


def _read_columns(connection: apsw.Connection, table: str) -> tuple[Column, ...]:
    return tuple(
        Column(
            name=name,
            kind=kind,
            is_required=bool(is_required),
            is_key=bool(place_in_key),
            default=_literal(default),
        )
        for name, kind, is_required, place_in_key, default in connection.execute(
            _COLUMNS, {"table": table}
        )
    )


def _literal(default: str | None) -> Value:
    """A default as the schema writes it: a number, or a text in quotes."""
    if default is None or default == "NULL":
        return None
    if default.startswith("'"):
        return default[1:-1].replace("''", "'")
    return int(default)


def insert(connection: apsw.Connection, rows: Iterable[Fit]) -> Counter[str]:
    """Put rows in; how many of each table were kept."""
    by_table: defaultdict[str, list[tuple[Value, ...]]] = defaultdict(list)
    for row in rows:
        by_table[row.table].append(row.values)
    kept: Counter[str] = Counter()
    for table, batch in by_table.items():
        before = connection.total_changes()
        connection.executemany(INSERTS[table, len(batch[0])], batch)
        kept[table] = connection.total_changes() - before
    return kept
