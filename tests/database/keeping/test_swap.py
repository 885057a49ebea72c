"""Another file in the place of the database; the old log never meets it."""

import os
from pathlib import Path

import apsw
import pytest

from tests.database.test_migrations import KEPT, schema_of
from tina.database import migrations
from tina.database.engine.advice import advice_on_damage, newest_backup
from tina.database.engine.sqlite import open_writer
from tina.database.engine.transaction import transaction
from tina.database.files.backup_folder import BackupFolder
from tina.database.files.filesystem import log_of
from tina.database.keeping.swap import (
    new_file_for,
    replace_damaged,
    replace_whole,
    whole_of,
)
from tina.database.migrations import migrate
from tina.domain.failures import BusyFailure, StorageFailure
from tina.testing.clock import START


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tina.db"
    path.write_bytes(KEPT[0].read_bytes())
    return path


@pytest.fixture
def new(tmp_path: Path) -> Path:
    new = tmp_path / "new"
    new.write_bytes(b"new")
    return new


def test_what_is_in_the_log_of_the_old_one_is_not_lost_before(
    path: Path, new: Path
) -> None:
    """A program that does not hold Tina's lock still reads the old file."""
    writer = open_writer(path)
    writer.execute("UPDATE conversations SET title = 'in the log'")
    writer.execute("BEGIN; SELECT * FROM conversations").get  # noqa: B018 - it reads

    with pytest.raises(BusyFailure):
        replace_whole(path, new)

    writer.execute("COMMIT")
    writer.close()
    assert new.read_bytes() == b"new"
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT DISTINCT title FROM conversations").get == (
        "in the log"
    )
    connection.close()


def test_a_log_without_its_file_is_not_thrown_away(path: Path, new: Path) -> None:
    path.unlink()
    log_of(path).write_bytes(b"all there is")

    with pytest.raises(StorageFailure, match="log"):
        replace_whole(path, new)

    assert log_of(path).read_bytes() == b"all there is"
    assert not path.exists()


def test_where_there_are_no_links_the_damaged_file_is_copied(
    path: Path, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", link)
    damaged = path.read_bytes()

    kept = replace_damaged(path, new, now=START)

    assert kept.read_bytes() == damaged
    assert path.read_bytes() == b"new"


@pytest.mark.requirement("database:repair:killed")
@pytest.mark.parametrize("has_links", [True, False])
def test_the_log_is_found_beside_the_kept_file_after_a_kill(
    path: Path, new: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    def link(*_: object) -> None:
        raise PermissionError

    def replace(*_: object) -> None:
        raise KeyboardInterrupt  # dies between the two steps

    log_of(path).write_bytes(b"what was said last")
    if not has_links:
        monkeypatch.setattr(os, "link", link)
    with monkeypatch.context() as context:
        context.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            replace_damaged(path, new, now=START)

    kept = whole_of(path)

    assert kept != path
    assert kept.read_bytes() == path.read_bytes()
    assert log_of(kept).read_bytes() == b"what was said last"


def test_a_kept_log_is_not_taken_for_that_of_a_file_written_since(
    path: Path, new: Path
) -> None:
    log_of(path).write_bytes(b"what was said last")

    replace_damaged(path, new, now=START)

    assert whole_of(path) == path
    path.unlink()
    assert whole_of(path) == path


def test_what_a_killed_process_left_of_a_new_file_is_removed(path: Path) -> None:
    left = path.with_name("tina.db.new")
    left.write_bytes(b"half")

    with new_file_for(path) as new:
        there_was = new.exists()
        new.write_bytes(b"not wanted any more")

    assert (new, there_was) == (left, False)
    assert not left.exists()


def test_a_folder_that_cannot_be_listed_does_not_hide_the_damage(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(_: BackupFolder) -> None:
        raise PermissionError

    monkeypatch.setattr(BackupFolder, "newest", find)

    assert advice_on_damage(path).startswith("`tina db repair`")
    assert newest_backup(path) is None


def test_a_transaction_that_sqlite_ended_needs_no_end(path: Path) -> None:
    connection = apsw.Connection(str(path))

    with pytest.raises(apsw.Error, match="no such table"), transaction(connection):
        # What SQLite does by itself when the disk is full.
        connection.execute("ROLLBACK; SELECT * FROM nowhere")

    assert not connection.in_transaction
    connection.close()


def test_a_file_that_another_process_migrated_meanwhile_is_left_alone(
    path: Path,
) -> None:
    connection = open_writer(path)
    migrate(connection, path)
    before = schema_of(connection)

    with transaction(connection):
        migrations._migrate(connection, path)  # pyright: ignore[reportPrivateUsage]
        # The second look, behind the lock.

    assert schema_of(connection) == before
    connection.close()
