"""Migrations: all or nothing, and once."""

from pathlib import Path

import apsw
import pytest

from tina.database import migrations
from tina.database.migrations import LATEST_VERSION, migrate
from tina.database.sqlite import APPLICATION_ID, open_writer


def tables(connection: apsw.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in found}


def test_an_empty_file_gets_the_whole_schema(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "tina.db")

    migrate(connection, tmp_path / "tina.db")

    assert {"conversations", "messages", "turns", "journal"} <= tables(connection)
    assert connection.pragma("user_version") == LATEST_VERSION
    assert connection.pragma("application_id") == APPLICATION_ID
    connection.close()


def test_a_second_migration_changes_nothing(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "tina.db")
    migrate(connection, tmp_path / "tina.db")
    before = connection.pragma("schema_version")

    migrate(connection, tmp_path / "tina.db")

    assert connection.pragma("schema_version") == before
    connection.close()


def test_a_step_that_fails_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "0002_broken.sql"
    broken.write_text("CREATE TABLE half (x); NO SQL;", encoding="utf-8")
    monkeypatch.setattr(migrations, "_STEPS", ("0001_first.sql", str(broken)))
    monkeypatch.setattr(migrations, "LATEST_VERSION", 2)
    connection = open_writer(tmp_path / "tina.db")

    with pytest.raises(apsw.Error):
        migrate(connection, tmp_path / "tina.db")

    assert tables(connection) == set()
    assert connection.pragma("user_version") == 0
    connection.close()


def test_every_table_is_strict(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "tina.db")
    migrate(connection, tmp_path / "tina.db")

    loose = connection.execute(
        "SELECT name FROM pragma_table_list"
        " WHERE schema = 'main' AND NOT strict AND name NOT LIKE 'sqlite_%'"
    )

    assert [name for (name,) in loose] == []
    connection.close()


def test_lists_and_lookups_use_an_index(tmp_path: Path) -> None:
    connection = open_writer(tmp_path / "tina.db")
    migrate(connection, tmp_path / "tina.db")
    queries = [
        "SELECT * FROM conversations WHERE owner_id = 1"
        " ORDER BY last_message_at DESC, id DESC LIMIT 50",
        "SELECT * FROM messages WHERE owner_id = 1 AND conversation_id = x''"
        " ORDER BY seq",
        "SELECT min(journal_from) FROM turns WHERE status = 'running'",
    ]

    plans = [
        " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        for query in queries
    ]

    assert not any("SCAN conversations" in plan for plan in plans)
    assert not any("TEMP B-TREE" in plan for plan in plans)
    assert all("USING" in plan and "INDEX" in plan for plan in plans)
    connection.close()
