"""Several processes make and open one file at the same time."""

import threading
from pathlib import Path

import apsw
import pytest

from tina.database.engine.sqlite import open_writer, refuse_foreign
from tina.database.migrations import prepare
from tina.domain.failures import BusyFailure

HELD_S = 0.1


def hold(path: Path) -> apsw.Connection:
    """Have a new file in the state in which SQLite changes how it is written."""
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    return holder


@pytest.mark.requirement("database:processes:nobody-locked-out")
def test_a_file_that_another_process_is_just_making_is_waited_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tina.db"
    holder = hold(path)
    leave = threading.Timer(HELD_S, holder.execute, ["COMMIT"])
    leave.start()

    connection = open_writer(path)

    leave.join()
    assert connection.pragma("journal_mode") == "wal"
    connection.close()
    holder.close()


def test_a_new_file_that_is_held_for_long_is_a_busy_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tina.database.engine.sqlite.BUSY_TIMEOUT_MS", 100)
    holder = hold(tmp_path / "tina.db")

    with pytest.raises(BusyFailure, match="Try again"):
        open_writer(tmp_path / "tina.db")

    holder.close()


def test_a_file_that_becomes_ours_while_it_is_looked_at_is_not_foreign(
    tmp_path: Path,
) -> None:
    path = tmp_path / "tina.db"
    maker = open_writer(path)
    connection = apsw.Connection(str(path))
    statements: list[str] = []

    def make_before_the_second(_: apsw.Cursor, sql: str, __: object) -> bool:
        statements.append(sql)
        if len(statements) == 2:
            prepare(maker, path)
        return True

    connection.exec_trace = make_before_the_second
    refuse_foreign(connection, path)

    assert len(statements) == 2
    connection.close()
    maker.close()
