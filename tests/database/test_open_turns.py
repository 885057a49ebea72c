"""Open turns are found among any number of done ones: no plan reads all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from tina.database.daos import turns
from tina.database.engine.engine import Engine
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

OPEN_ONLY = (
    "turns_open",
    "conversation_id=?",
    "rowid=?",
    "sqlite_autoindex_messages_1 (owner_id=? AND id=?)",
    "sqlite_autoindex_conversations_1 (owner_id=? AND id=?)",
)


class ExplainingConnection(apsw.Connection):
    """Notes how SQLite would read the tables for each statement."""

    plan: tuple[str, ...] = ()

    def execute(self, statements: str, bindings: Any = None) -> apsw.Cursor:
        found = super().execute(f"EXPLAIN QUERY PLAN {statements}", bindings)
        self.plan += tuple(step for *_, step in found)
        return super().execute(statements, bindings)


def list_open(connection: apsw.Connection) -> None:
    turns.open_turns(connection, owner_id=1)


def list_of_conversation(connection: apsw.Connection) -> None:
    turns.open_answers(connection, owner_id=1, conversation_id=bytes(16))


def claim(connection: apsw.Connection) -> None:
    turns.claim(
        connection, owner_id=1, lease_id=bytes(16), journal_from=1, started_at=0
    )


def end_stray(connection: apsw.Connection) -> None:
    turns.end_stray(connection, owner_id=1, ended_at=0)


@pytest.mark.parametrize("work", [list_open, list_of_conversation, claim, end_stray])
async def test_done_turns_are_not_read(
    work: Callable[[apsw.Connection], object], tmp_path: Path
) -> None:
    engine = Engine(tmp_path / "tina.db", monotonic=FakeClock().monotonic)
    await engine.open()
    await engine.close()
    connection = ExplainingConnection(str(tmp_path / "tina.db"))

    work(connection)
    connection.close()

    reads = [step for step in connection.plan if step.startswith(("SCAN", "SEARCH"))]
    assert reads
    assert [
        read for read in reads if not any(index in read for index in OPEN_ONLY)
    ] == []
