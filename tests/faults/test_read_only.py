"""What can be read is read, though nothing can be written, and asking says why.

The real program runs without the right to ignore permissions, which root has; and on a
disk that is mounted read-only, where the system allows one.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.faults.small_disks import GIVE_UP_S, can_mount
from tina.testing.server import chat_recording, playback_thread

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2

TINA = [sys.executable, "-m", "tina"]

_REMOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def obey_permissions() -> None:
    """Give up root's right to ignore them; anybody else has no such right."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)
        libc.prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TINA, *arguments],
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        preexec_fn=obey_permissions,
    )


def run_there(_: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(*arguments)


def run_on_a_read_only_disk(
    home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c", _REMOUNT, str(home)]
    return subprocess.run(
        [*mount, *TINA, *arguments], capture_output=True, text=True, timeout=GIVE_UP_S
    )


@pytest.fixture
def home(environment: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with one conversation; writable again at the end."""
    with playback_thread(lambda _: chat_recording(["Because", " of ice."])) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        asked = run("ask", "-m", "openai:recorded", "--no-stdin", "What is a fjord?")
        assert asked.returncode == 0, asked.stderr
        requests = len(server.requests)
        yield environment
        for path in (environment, *environment.rglob("*")):
            path.chmod(0o700)
        assert len(server.requests) == requests, "nobody was asked"


def lock_file(home: Path) -> None:
    (home / "tina.db").chmod(0o400)


def lock_folder(home: Path) -> None:
    for folder in home.glob("leases"):
        folder.chmod(0o500)
    home.chmod(0o500)


def lock_both(home: Path) -> None:
    lock_file(home)
    lock_folder(home)


def lock_folder_without_leases(home: Path) -> None:
    (home / "leases").rmdir()
    lock_both(home)


LOCKS = [lock_file, lock_folder, lock_both, lock_folder_without_leases]


@pytest.mark.requirement("database:read-only:reads")
@pytest.mark.parametrize("lock", LOCKS)
def test_what_cannot_be_written_is_still_listed_and_shown(
    home: Path, lock: Callable[[Path], None]
) -> None:
    lock(home)

    listed, shown = run("log", "--json"), run("show", "--json")
    found = run("search", "fjord")

    assert (listed.returncode, shown.returncode, found.returncode) == (0, 0, 0), (
        listed.stderr + shown.stderr + found.stderr
    )
    assert "What is a fjord?" in listed.stdout
    assert texts(shown) == ["What is a fjord?", "Because of ice."]


@pytest.mark.requirement("database:read-only:says-why")
@pytest.mark.parametrize("lock", [lock_file, lock_folder_without_leases])
def test_who_asks_is_told_before_anything_is_asked(
    home: Path, lock: Callable[[Path], None]
) -> None:
    lock(home)

    asked = run("ask", "-m", "openai:recorded", "--no-stdin", "And a strait?")

    assert asked.returncode != 0
    assert asked.stdout == ""
    assert asked.stderr.count("\n") == 1
    assert "TINA_HOME" in asked.stderr


@pytest.mark.parametrize("is_locked", [True, False] if can_mount() else [])
def test_a_disk_that_is_mounted_read_only_can_be_read(
    home: Path, *, is_locked: bool
) -> None:
    if is_locked:
        lock_both(home)

    shown = run_on_a_read_only_disk(home, "show", "--json")
    asked = run_on_a_read_only_disk(
        home, "ask", "-m", "openai:recorded", "--no-stdin", "And a strait?"
    )

    assert shown.returncode == 0, shown.stderr
    assert texts(shown) == ["What is a fjord?", "Because of ice."]
    assert asked.returncode != 0
    assert asked.stderr.count("\n") == 1


@pytest.mark.parametrize("is_read_only", [True, False] if can_mount() else [False])
def test_a_search_says_why_the_newest_cannot_be_found(
    home: Path, *, is_read_only: bool
) -> None:
    lock_both(home)
    search = run_on_a_read_only_disk if is_read_only else run_there

    found = search(home, "search", "fjord")

    assert found.returncode == 0
    assert "What was said last could not be searched" in found.stderr
    assert ("The disk is read-only" in found.stderr) is is_read_only
    assert "Search again" not in found.stderr


@pytest.mark.requirement("database:read-only:looked-after")
@pytest.mark.parametrize("is_disk", [True, False] if can_mount() else [False])
def test_what_needs_no_writing_is_done(
    home: Path, tmp_path: Path, *, is_disk: bool
) -> None:
    if not is_disk:
        lock_both(home)
    run_here = run_on_a_read_only_disk if is_disk else run_there
    why = "The disk is read-only" if is_disk else "Check the permissions"
    target = tmp_path / "elsewhere.db"

    status = run_here(home, "db", "status", "--json")
    said, checked = run_here(home, "db", "status"), run_here(home, "db", "check")
    copied = run_here(home, "db", "backup", str(target))
    refused = [run_here(home, "db", command) for command in ("backup", "vacuum")]

    assert status.returncode == 0, status.stderr
    told = json.loads(status.stdout)
    assert (told["problem"], told["contents"]["messages"]) == (None, 2)
    assert why in told["why_read_only"]
    assert why in said.stdout
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "is whole" in checked.stdout
    assert copied.returncode == 0, copied.stderr
    assert messages_in(target) == 2
    for done in refused:
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert why in done.stderr


def messages_in(path: Path) -> Any:
    connection = apsw.Connection(str(path))
    count = connection.execute("SELECT count(*) FROM messages").get
    connection.close()
    return count


def test_the_newest_is_shown_while_somebody_else_writes(home: Path) -> None:
    """Read as *immutable* the file alone would show what it held before."""
    writer = apsw.Connection(str(home / "tina.db"))
    writer.execute("UPDATE conversations SET title = 'Newest'")
    lock_folder(home)

    listed = run("log", "--json")

    writer.close()
    assert "Newest" in listed.stdout


def test_a_log_that_cannot_be_read_there_is_told(home: Path) -> None:
    writer = apsw.Connection(str(home / "tina.db"))
    writer.execute("UPDATE conversations SET title = 'Newest'")
    log = (home / "tina.db-wal").read_bytes()
    database = (home / "tina.db").read_bytes()
    writer.close()
    (home / "tina.db").write_bytes(database)
    (home / "tina.db-wal").write_bytes(log)
    lock_both(home)

    listed = run("log")

    assert listed.returncode != 0
    assert "lies in a log" in listed.stderr
    assert listed.stdout == ""


def test_nothing_is_made_where_nothing_may_be_made(home: Path) -> None:
    (home / "tina.db").unlink()
    lock_folder(home)

    listed = run("log")

    assert listed.returncode != 0
    assert "TINA_HOME" in listed.stderr


def texts(shown: subprocess.CompletedProcess[str]) -> list[Any]:
    return [message["text"] for message in json.loads(shown.stdout)["messages"]]
