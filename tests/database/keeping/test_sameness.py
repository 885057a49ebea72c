"""Whether two files hold the same: all that people said, nothing that is derived."""

import shutil
from pathlib import Path

import apsw
import pytest

from tests.database.test_migrations import KEPT
from tina.database.keeping.interruption import Stop
from tina.database.keeping.sameness import holds_same
from tina.database.keeping.upgrade import upgrade
from tina.testing.clock import START

DERIVED = {"change_log", "search_backlog"}
"""Beside the search index and SQLite's own tables."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of this version, with a row in each table that people's data is in."""
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "tina.db"
    shutil.copy(KEPT[0], path)
    upgrade(path, now=START, stop=Stop())
    change(path, FILL)
    return path


FILL = """
INSERT INTO grants (
  owner_id, id, decision, server, tool, config_hash, tool_hash, created_at
) VALUES (1, zeroblob(16), 'always', 's', 't', 'c', 'h', 1);
INSERT INTO tool_calls (
  owner_id, id, conversation_id, message_id, place, call_id, server, tool, tool_hash,
  arguments, status, created_at
) SELECT 1, zeroblob(16), id, tip_id, 0, 'c', 's', 't', 'h', '{}', 'waiting', 1
  FROM conversations WHERE title = 'Fjords';
INSERT INTO import_origins (
  owner_id, source, source_id, conversation_id, imported_at
) SELECT 1, 'chat', '1', id, 1 FROM conversations WHERE title = 'Fjords';
"""


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    shutil.copy(path, tmp_path / "copy.db")
    return tmp_path / "copy.db"


def change(path: Path, statements: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statements)
    connection.close()


def tables_of(path: Path) -> set[str]:
    connection = apsw.Connection(str(path))
    names = {
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
            " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'message_fts%'"
        )
    }
    connection.close()
    return names - DERIVED


def test_a_copy_holds_the_same(path: Path, copy: Path) -> None:
    change(copy, "VACUUM")

    assert holds_same(path, copy, stop=Stop())
    assert holds_same(copy, path, stop=Stop())


def test_a_row_less_in_any_table_is_seen(path: Path, tmp_path: Path) -> None:
    """Also in a table that a later step adds: this test then wants it to be read."""
    unseen: list[str] = []
    for table in sorted(tables_of(path)):
        copy = tmp_path / f"{table}.db"
        shutil.copy(path, copy)
        change(
            copy,
            f"PRAGMA foreign_keys = OFF; DELETE FROM {table}"  # noqa: S608 (its name)
            f" WHERE rid = (SELECT max(rid) FROM {table})",
        )
        if holds_same(path, copy, stop=Stop()) or holds_same(copy, path, stop=Stop()):
            unseen.append(table)

    assert len(tables_of(path)) >= 8
    assert unseen == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE conversations SET title = 'Other' WHERE title = 'Fjords'",
        "UPDATE conversations SET deleted_at = 1 WHERE title = 'Fjords'",
        "UPDATE messages SET metadata = '{}' WHERE rid = 1",
        "PRAGMA user_version = 1",
        "DROP TABLE messages",
    ],
)
def test_any_other_difference_is_seen(path: Path, copy: Path, statement: str) -> None:
    change(copy, statement)

    assert not holds_same(path, copy, stop=Stop())
    assert not holds_same(copy, path, stop=Stop())


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM search_backlog",
        "DELETE FROM change_log",
        "INSERT INTO journal (message_id, events) VALUES (zeroblob(16), '[]')",
        "ANALYZE",
    ],
)
def test_what_is_derived_makes_no_difference(
    path: Path, copy: Path, statement: str
) -> None:
    change(copy, statement)

    assert holds_same(path, copy, stop=Stop())


def test_what_cannot_be_read_is_the_same_as_nothing(path: Path, copy: Path) -> None:
    for wrong in (b"", b"Dear diary, " * 1000):
        copy.write_bytes(wrong)
        assert not holds_same(path, copy, stop=Stop())
        assert not holds_same(copy, copy, stop=Stop())


def test_files_of_a_newer_tina_are_not_compared(path: Path, copy: Path) -> None:
    for newer in (path, copy):
        change(newer, "PRAGMA user_version = 99")

    assert not holds_same(path, copy, stop=Stop())
