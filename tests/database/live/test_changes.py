"""What is told of a commit: its own topics, once, and nothing is passed over."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tina.database.daos import change_log
from tina.database.engine.sqlite import open_writer
from tina.database.live import changes as changes_module
from tina.database.live.changes import ChangeFeed, Changes, Topic
from tina.database.live.doorbell import Doorbell, bell_of
from tina.database.migrations import prepare


class File:
    """A database with two writers: ours, and another process'."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ours = open_writer(path)
        prepare(self.ours, path)
        self.theirs = open_writer(path)
        self.looking = open_writer(path)
        self.doorbell = Doorbell(bell_of(path))
        self.feed = ChangeFeed(self.doorbell)
        self.told: list[Changes] = []

    def listen(self) -> None:
        self.feed.listen(self.looking, self.told.append)

    def write(self, *keys: bytes) -> None:
        self.ours.execute("BEGIN IMMEDIATE")
        log(self.ours, *keys)
        with self.feed.committing(self.ours):
            self.ours.execute("COMMIT")

    def close(self) -> None:
        self.doorbell.close()
        for connection in (self.ours, self.theirs, self.looking):
            connection.close()


def log(connection: apsw.Connection, *keys: bytes) -> None:
    for key in keys:
        connection.execute(
            "INSERT INTO change_log (owner_id, topic, key) VALUES (1, 'turns', :key)",
            {"key": key},
        )


def topics(*keys: bytes) -> Changes:
    return frozenset(Topic("turns", key) for key in keys)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[File]:
    file = File(tmp_path / "tina.db")
    yield file
    file.close()


def test_a_commit_tells_what_it_changed_once(file: File) -> None:
    file.listen()

    file.write(b"a", b"b", b"a")
    file.feed.look(file.looking)

    assert file.told == [topics(b"a", b"b"), frozenset()]


def test_another_process_is_heard_by_looking(file: File) -> None:
    file.listen()
    log(file.theirs, b"x")

    file.feed.look(file.looking)
    file.feed.look(file.looking)

    assert file.told == [topics(b"x"), frozenset()]


def test_our_commit_tells_also_what_came_before_it(file: File) -> None:
    file.listen()
    log(file.theirs, b"x")

    file.write(b"a")

    assert file.told == [topics(b"x", b"a")]


def test_what_was_before_the_listening_is_not_told(file: File) -> None:
    file.write(b"a")
    file.listen()

    file.feed.look(file.looking)

    assert file.told == [frozenset()]


def test_after_falling_silent_nothing_is_told(file: File) -> None:
    file.listen()
    file.feed.fall_silent()

    file.write(b"a")
    file.feed.look(file.looking)

    assert file.told == []


def test_a_transaction_that_fails_tells_nothing_and_loses_nothing(file: File) -> None:
    file.listen()
    file.ours.execute("BEGIN IMMEDIATE")
    log(file.ours, b"a")
    with pytest.raises(ZeroDivisionError), file.feed.committing(file.ours):
        raise ZeroDivisionError("on purpose")
    file.ours.execute("ROLLBACK")

    file.write(b"b")

    assert file.told == [topics(b"b")]


def test_a_flood_means_that_anything_may_have_changed(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "MAX_CHANGES", 3)
    file.listen()

    file.write(b"a", b"b", b"c", b"d")
    file.write(b"e")

    assert file.told == [None, topics(b"e")]


def test_a_trimmed_log_means_that_anything_may_have_changed(file: File) -> None:
    file.listen()
    log(file.theirs, b"a", b"b", b"c")
    change_log.trim(file.theirs, kept=1)

    file.feed.look(file.looking)

    assert file.told == [None]


def test_the_log_is_trimmed_now_and_then(
    file: File, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "COMMITS_BETWEEN_TRIMS", 5)
    monkeypatch.setattr(changes_module, "KEPT_CHANGES", 7)
    file.listen()

    for number in range(31):
        file.write(bytes([number]))

    kept = file.ours.execute("SELECT count(*) FROM change_log").get
    assert kept == 7
    assert len(file.told) == 31
