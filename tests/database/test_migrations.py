"""Migrations: all or nothing, once, from every version that was ever released."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tina.database import Database, migrations
from tina.database.engine.engine import Engine
from tina.database.engine.sqlite import APPLICATION_ID, open_writer
from tina.database.engine.transaction import transaction
from tina.database.migrations import LATEST_VERSION, migrate, prepare
from tina.database.migrations.triggers import (
    expected_triggers,
    remake_triggers,
    wrong_triggers,
)
from tina.domain.conversations import Conversation
from tina.domain.failures import OlderFileFailure, StorageFailure
from tina.domain.messages import MessageStatus, ReasoningPart, ToolCallPart
from tina.domain.queries import ListConversations
from tina.domain.turns import TurnStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

KEPT = sorted((Path(__file__).parent / "schemas").glob("version-*.db"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tina.db"


@pytest.fixture
def fresh(path: Path) -> Iterator[apsw.Connection]:
    connection = open_writer(path)
    migrate(connection, path)
    yield connection
    connection.close()


@pytest.fixture(params=KEPT, ids=lambda kept: str(kept.stem))
def older(request: pytest.FixtureRequest, path: Path) -> Path:
    """A copy of a file that a released Tina wrote."""
    shutil.copy(request.param, path)
    return path


def schema_of(connection: apsw.Connection) -> set[tuple[str, ...]]:
    """Everything the file declares, without indentation and SQLite's statistics."""
    rows = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE tbl_name NOT LIKE 'sqlite_stat_'"
    )
    return {(*row[:3], " ".join((row[3] or "").split())) for row in rows}


def fresh_schema(folder: Path) -> set[tuple[str, ...]]:
    connection = open_writer(folder / "fresh.db")
    migrate(connection, folder / "fresh.db")
    schema = schema_of(connection)
    connection.close()
    return schema


def test_an_empty_file_gets_the_whole_schema(fresh: apsw.Connection) -> None:
    names = {name for _, name, _, _ in schema_of(fresh)}

    assert {"conversations", "messages", "turns", "journal", "change_log"} <= names
    assert fresh.pragma("user_version") == LATEST_VERSION
    assert fresh.pragma("application_id") == APPLICATION_ID
    assert fresh.pragma("foreign_keys") == 1
    assert wrong_triggers(fresh) == ()


def test_a_second_migration_changes_nothing(path: Path, fresh: apsw.Connection) -> None:
    before = fresh.pragma("schema_version")

    migrate(fresh, path)
    prepare(fresh, path)

    assert fresh.pragma("schema_version") == before


def test_a_step_that_fails_leaves_nothing_behind(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "0003_broken.sql"
    broken.write_text("CREATE TABLE half (x); NO SQL;", encoding="utf-8")
    monkeypatch.setattr(migrations, "_STEPS", ("0001_first.sql", str(broken)))
    connection = open_writer(path)

    with pytest.raises(apsw.Error):
        migrate(connection, path)

    assert schema_of(connection) == set()
    assert connection.pragma("user_version") == 0
    assert connection.pragma("foreign_keys") == 1
    connection.close()


def test_a_step_that_leaves_rows_without_parents_is_taken_back(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "0003_broken.sql"
    broken.write_text("DELETE FROM conversations;", encoding="utf-8")
    steps = ("0001_first.sql", "0002_alive.sql", str(broken))
    monkeypatch.setattr(migrations, "_STEPS", steps)
    monkeypatch.setattr(migrations, "LATEST_VERSION", 3)
    connection = open_writer(older)
    before = schema_of(connection)

    with pytest.raises(StorageFailure, match="rows of messages"):
        migrate(connection, older)

    assert schema_of(connection) == before
    assert connection.execute("SELECT count(*) FROM conversations").get == 4
    connection.close()


@pytest.mark.requirement("database:migration:every-version")
def test_a_migrated_file_has_the_schema_of_a_new_one(
    older: Path, tmp_path: Path
) -> None:
    connection = open_writer(older)

    migrate(connection, older)

    assert schema_of(connection) == fresh_schema(tmp_path)
    assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
    connection.close()


@pytest.mark.anyio
@pytest.mark.requirement("database:migration:every-version")
async def test_a_migrated_file_has_all_its_data(older: Path) -> None:
    database = Database(older, leases=older.parent, clock=FakeClock(), ids=FakeIds())
    await database.open()

    by_title = await conversations_of(database)
    fjords = await database.messages.list(by_title["Fjords"].id)
    weather = await database.messages.list(by_title["Weather"].id)
    (turn,) = await database.turns.list_open()
    said = await database.journal.read(turn.answer_id)
    problems = await database.check()
    await database.close()

    assert set(by_title) == {"Fjords", "Weather", "Cut off", "Empty"}
    assert [message.text for message in fjords] == [
        "What is a fjord? Größe, naïve café, 東京",
        "A long, narrow inlet with steep sides.",
        "Name three.",
        "Sognefjord, Geirangerfjord, Hardangerfjord.",
    ]
    assert isinstance(weather[1].parts[0], ToolCallPart)
    assert (weather[3].status, weather[3].text) == (
        MessageStatus.STOPPED,
        "Tomorrow it",
    )
    assert (turn.status, turn.request.model) == (TurnStatus.RUNNING, "openai:gpt-x")
    assert "".join(getattr(event, "text", "") for event in said) == "Once upon a time"
    assert problems == ()


@pytest.mark.anyio
async def test_a_migrated_file_keeps_parts_usage_and_branches(older: Path) -> None:
    database = Database(older, leases=older.parent, clock=FakeClock(), ids=FakeIds())
    await database.open()

    fjords = (await conversations_of(database))["Fjords"]
    branch = await database.messages.list(fjords.id)
    siblings = await database.messages.list_siblings(branch[3].id)
    await database.close()

    answer = branch[1]
    assert (fjords.model, fjords.system) == ("openai:gpt-x", "Be brief.")
    assert isinstance(answer.parts[0], ReasoningPart)
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.cached_tokens) == (12, 4)
    assert answer.replay is not None
    assert [(message.status, message.text) for message in siblings] == [
        (MessageStatus.FAILED, "Sogne"),
        (MessageStatus.COMPLETE, "Sognefjord, Geirangerfjord, Hardangerfjord."),
    ]


async def conversations_of(database: Database) -> dict[str, Conversation]:
    found = await database.conversations.list(ListConversations(limit=None))
    return {conversation.title: conversation for conversation in found}


@pytest.mark.anyio
async def test_the_engine_alone_leaves_an_older_file_as_it_is(path: Path) -> None:
    shutil.copy(KEPT[0], path)
    before = path.read_bytes()
    engine = Engine(path, monotonic=FakeClock().monotonic)

    with pytest.raises(OlderFileFailure, match="tina db migrate"):
        await engine.open()

    await engine.close()
    assert path.read_bytes() == before


def test_every_table_is_strict(fresh: apsw.Connection) -> None:
    loose = fresh.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict"
        " AND type = 'table' AND name NOT LIKE 'sqlite_%'"
    )

    assert [name for (name,) in loose] == []


def test_every_trigger_is_read_from_its_file(fresh: apsw.Connection) -> None:
    made = fresh.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")

    assert {name for (name,) in made} == set(expected_triggers())
    assert len(expected_triggers()) >= 15


def test_a_trigger_that_is_not_as_it_should_be_is_found_and_mended(
    fresh: apsw.Connection,
) -> None:
    fresh.execute("DROP TRIGGER turns_added")
    fresh.execute("DROP TRIGGER messages_added")
    fresh.execute(
        "CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN SELECT 1; END"
    )
    fresh.execute(
        'CREATE TRIGGER "of ""another"" program" AFTER INSERT ON messages'
        " BEGIN SELECT 1; END"
    )

    found = wrong_triggers(fresh)
    with transaction(fresh):
        remake_triggers(fresh)

    assert found == ("messages_added", 'of "another" program', "turns_added")
    assert wrong_triggers(fresh) == ()


def test_lists_and_lookups_use_an_index(fresh: apsw.Connection) -> None:
    queries = [
        "SELECT * FROM conversations WHERE owner_id = 1 AND is_archived = 0"
        " AND deleted_at IS NULL"
        " ORDER BY is_pinned DESC, last_message_at DESC, id DESC LIMIT 50",
        "SELECT * FROM messages WHERE owner_id = 1 AND conversation_id = x''"
        " ORDER BY seq",
        "SELECT min(journal_from) FROM turns WHERE status = 'running'",
        "SELECT rid FROM conversations WHERE owner_id = 1 AND deleted_at < 1",
    ]

    plans = [
        " ".join(row[3] for row in fresh.execute(f"EXPLAIN QUERY PLAN {query}"))
        for query in queries
    ]

    assert not any("SCAN conversations" in plan for plan in plans)
    assert not any("TEMP B-TREE" in plan for plan in plans)
    assert all("USING" in plan and "INDEX" in plan for plan in plans)
