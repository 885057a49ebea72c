"""The bell: who waits wakes, and where it cannot be heard, one looks."""

import errno
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tina.database.live import doorbell as doorbell_module
from tina.database.live.doorbell import Doorbell, Ear, PollingEar, bell_of, open_ear


def test_the_bell_hangs_beside_the_database() -> None:
    assert bell_of(Path("some") / "tina.db") == Path("some") / "tina.db-bell"


def pair(tmp_path: Path) -> tuple[Doorbell, Ear]:
    """A bell, and an ear that hears it or waits for ever."""
    path = tmp_path / "bell"
    return Doorbell(path), open_ear(path, look_interval_s=None)


def test_who_waits_wakes_when_it_rings(tmp_path: Path) -> None:
    bell, ear = pair(tmp_path)
    waiting = threading.Thread(target=ear.wait)
    waiting.start()

    bell.ring()
    waiting.join(5)

    assert not waiting.is_alive()
    bell.close()
    ear.close()


def test_a_ring_before_the_wait_is_not_lost(tmp_path: Path) -> None:
    bell, ear = pair(tmp_path)

    for _ in range(100):
        bell.ring()
    ear.wait()
    bell.ring()
    ear.wait()

    bell.close()
    ear.close()


def test_the_wait_can_be_ended(tmp_path: Path) -> None:
    ear = open_ear(tmp_path / "bell", look_interval_s=None)
    waiting = threading.Thread(target=ear.wait)
    waiting.start()

    ear.wake()
    waiting.join(5)

    assert not waiting.is_alive()
    ear.close()
    ear.wake()


def test_an_ear_can_be_woken_any_number_of_times_and_when_closed(
    tmp_path: Path,
) -> None:
    ear = open_ear(tmp_path / "bell", look_interval_s=None)

    for _ in range(70_000):  # more than a pipe holds
        ear.wake()
    ear.wait()
    ear.close()
    ear.wake()


def test_the_slow_look_needs_no_bell(tmp_path: Path) -> None:
    ear = open_ear(tmp_path / "bell", look_interval_s=0.001)

    ear.wait()

    ear.close()


def test_a_descriptor_above_the_limit_of_select_is_heard(tmp_path: Path) -> None:
    low = os.open(tmp_path, os.O_RDONLY)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    crowd = [os.dup(low) for _ in range(1100)]
    try:
        bell, ear = pair(tmp_path)
        bell.ring()
        ear.wait()
        bell.close()
        ear.close()
    finally:
        for descriptor in (low, *crowd):
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_open_files_leave_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipe() -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "pipe", pipe)

    with pytest.raises(OSError, match="Too many open files"):
        open_ear(tmp_path / "bell", look_interval_s=None)

    assert os.listdir("/proc/self/fd") == before


def test_too_many_watched_files_on_the_machine_mean_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        def inotify_init1(self, _: int) -> int:
            return -1

    def load(_: None, *, use_errno: bool) -> Refusing:
        return Refusing()

    monkeypatch.setattr("ctypes.CDLL", load)

    ear = open_ear(tmp_path / "bell", look_interval_s=None)

    assert isinstance(ear, PollingEar)


def test_where_there_is_no_inotify_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell_module.sys, "platform", "darwin")
    monkeypatch.setattr(doorbell_module, "POLL_INTERVAL_S", 0.001)
    ear = open_ear(tmp_path / "bell", look_interval_s=None)

    ear.wait()
    ear.wake()
    ear.close()

    assert not (tmp_path / "bell").exists()


def test_a_bell_that_cannot_hang_is_not_rung_and_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doorbell_module, "POLL_INTERVAL_S", 0.001)
    nowhere = tmp_path / "missing" / "bell"
    bell, ear = Doorbell(nowhere), open_ear(nowhere, look_interval_s=None)

    bell.ring()
    bell.ring()
    ear.wait()

    bell.close()
    ear.close()
    assert not nowhere.exists()


@pytest.mark.requirement("database:side-files:hold-nobody-up")
@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, os.symlink])
def test_what_is_no_bell_is_not_rung_and_looked_for(
    tmp_path: Path,
    put: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(doorbell_module, "POLL_INTERVAL_S", 0.001)
    path = tmp_path / "bell"
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    put(*((theirs, path) if put is os.symlink else (path,)))
    before = os.listdir("/proc/self/fd")
    bell, ear = Doorbell(path), open_ear(path, look_interval_s=None)

    bell.ring()
    bell.ring()
    ear.wait()

    bell.close()
    ear.close()
    assert isinstance(ear, PollingEar)
    assert [record.message for record in caplog.records] == ["bell_not_rung"]
    assert theirs.read_bytes() == b"theirs"
    assert os.listdir("/proc/self/fd") == before
