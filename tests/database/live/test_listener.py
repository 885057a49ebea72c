"""The listening thread: it starts whole or not at all, looks on, and ends."""

import logging
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tina.database.daos import change_log
from tina.database.engine.health import Health
from tina.database.engine.sqlite import open_reader, open_writer
from tina.database.live.changes import ChangeFeed, Changes, Topic
from tina.database.live.doorbell import Doorbell, Ear, bell_of, open_ear
from tina.database.live.listener import Listener
from tina.database.migrations import prepare
from tina.domain.failures import ClosedFailure, Failure, StorageFailure

GIVE_UP_S = 5.0
NOTHING = frozenset[Topic]()


class House:
    """A file, a bell that the test rings, and a listener."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.theirs = open_writer(path)
        prepare(self.theirs, path)
        self.bell = Doorbell(bell_of(path))
        self.opened = 0
        self.is_for_one_look = False
        self.told: queue.Queue[Changes] = queue.Queue()
        self.ready: queue.Queue[Failure | None] = queue.Queue()
        self.listener = Listener(
            ChangeFeed(self.bell),
            Health(path),
            make_ear=self.make_ear,
            open_connection=self.open_connection,
        )

    def make_ear(self) -> Ear:
        return open_ear(bell_of(self.path), look_interval_s=None)

    def open_connection(self) -> tuple[apsw.Connection, bool]:
        self.opened += 1
        return open_reader(self.path), self.is_for_one_look

    def start(self) -> Failure | None:
        """Why it could not start, if so."""
        self.listener.start(self.told.put, on_ready=self.ready.put)
        return self.ready.get(timeout=GIVE_UP_S)

    def change(self, key: bytes) -> None:
        self.theirs.execute(
            "INSERT INTO change_log (owner_id, topic, key) VALUES (1, 'turns', :key)",
            {"key": key},
        )

    def next_told(self) -> Changes:
        return self.told.get(timeout=GIVE_UP_S)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "tina.db")
    yield house
    house.listener.stop()
    house.bell.close()
    house.theirs.close()


def is_listening() -> bool:
    return any(thread.name == "tina-listener" for thread in threading.enumerate())


def test_a_ring_is_answered_by_a_look(house: House) -> None:
    assert house.start() is None
    house.change(b"a")

    house.bell.ring()

    assert house.next_told() == {Topic("turns", b"a")}


def test_a_ring_without_a_change_may_be_the_journal(house: House) -> None:
    assert house.start() is None

    house.bell.ring()

    assert house.next_told() == NOTHING


def test_it_ends_when_it_is_stopped_and_does_not_start_again(house: House) -> None:
    assert house.start() is None
    house.listener.stop()

    assert not is_listening()
    assert isinstance(house.start(), ClosedFailure)
    assert not is_listening()


def test_a_file_that_cannot_be_read_is_told_and_a_second_start_may_do(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_id(_: apsw.Connection) -> int:
        raise apsw.CorruptError("malformed")

    with monkeypatch.context() as patch:
        patch.setattr(change_log, "last_id", last_id)
        failure = house.start()

    assert isinstance(failure, StorageFailure)
    assert house.start() is None


def test_too_many_open_files_are_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_ear() -> Ear:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(house.listener, "_make_ear", make_ear)

    failure = house.start()

    assert isinstance(failure, StorageFailure)
    assert "Too many open files" in failure.message
    assert house.opened == 0


def test_a_look_that_fails_is_noted_once_and_loses_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert house.start() is None
    failed = threading.Semaphore(0)

    def last_id(_: apsw.Connection) -> int:
        failed.release()
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(change_log, "last_id", last_id)
        for key in (b"a", b"b"):
            house.change(key)
            house.bell.ring()
            assert failed.acquire(timeout=GIVE_UP_S)
    house.bell.ring()

    told = house.next_told()
    assert told == {Topic("turns", b"a"), Topic("turns", b"b")}
    assert [record.message for record in caplog.records] == ["changes_not_seen"]


def test_a_connection_for_one_look_is_opened_anew_for_each(house: House) -> None:
    house.is_for_one_look = True
    assert house.start() is None
    before = house.opened

    house.change(b"a")
    house.bell.ring()
    first = house.next_told()
    house.change(b"b")
    house.bell.ring()
    second = house.next_told()

    assert (first, second) == ({Topic("turns", b"a")}, {Topic("turns", b"b")})
    assert (before, house.opened) == (1, 3)
