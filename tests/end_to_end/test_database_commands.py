"""`tina db` as a person uses it, on files in every state."""

import fcntl
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

GIVE_UP_S = 20.0
V1 = Path(__file__).parents[1] / "database" / "schemas" / "version-1.db"


def tina(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tina", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
    )


def told(*arguments: str) -> Any:
    done = tina(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def older(environment: Path) -> Path:
    """A file of the first version, with an answer that a dead process was writing."""
    shutil.copy(V1, environment / "tina.db")
    return environment / "tina.db"


@pytest.fixture
def path(older: Path) -> Path:
    """The same, up to date."""
    assert tina("db", "migrate").returncode == 0
    return older


def damage(path: Path) -> bytes:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * 4096 + content[8192:])
    return path.read_bytes()


@pytest.mark.requirement("database:migration:every-version")
def test_an_older_file_is_opened_as_if_it_were_new(older: Path) -> None:
    listed = told("log")
    cut = next(row for row in listed if row["title"] == "Cut off")

    answer = told("show", cut["id"])["messages"][-1]

    assert (answer["status"], answer["text"]) == ("interrupted", "Once upon a time")
    backups = older.parent / "backups"
    assert len(list(backups.glob("before-migration-*.db"))) == 1
    # What was said lies days back, and nothing else here lives long enough.
    assert len(list(backups.glob("daily-*.db"))) == 1
    assert told("db", "check")["ok"] is True


def test_a_file_is_brought_up_to_date_on_request(older: Path) -> None:
    first, second = tina("db", "migrate"), tina("db", "migrate")

    assert (first.returncode, second.returncode) == (0, 0)
    assert f"{older} was brought from version 1 to 2." in first.stdout
    assert "backups/before-migration-" in first.stdout
    assert second.stdout == f"{older} is up to date.\n"
    assert told("db", "migrate")["migration"] is None


def test_the_status_is_told(path: Path) -> None:
    done, status = tina("db", "status"), told("db", "status")

    assert done.returncode == 0
    assert str(path) in done.stdout
    assert "version 2, up to date" in done.stdout
    assert "was cut off" in done.stdout
    assert (status["schema_version"], status["contents"]["messages"]) == (2, 11)
    assert [backup["kind"] for backup in status["backups"]] == ["before-migration"]


def test_a_backup_is_made_listed_and_restored(path: Path) -> None:
    made = tina("db", "backup")
    backup = told("db", "backup")
    lose_fjords(path)

    listed = tina("db", "restore")
    restored = tina("db", "restore", backup["name"], "--yes")

    assert "brings it back" in made.stdout
    assert backup["name"].removesuffix(".db") in listed.stdout
    assert "would come back: 1 conversation" in restored.stdout
    assert "was restored" in restored.stdout
    assert "Fjords" in {row["title"] for row in told("log")}
    kinds = [found["kind"] for found in told("db", "restore")]
    assert kinds.count("before-restore") == 1


def lose_fjords(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM conversations WHERE title = 'Fjords'")
    connection.close()


def test_without_a_terminal_a_restore_wants_a_yes(path: Path) -> None:
    backup = told("db", "backup")
    lose_fjords(path)
    before = path.read_bytes()

    refused = tina("db", "restore", backup["name"])
    preview = told("db", "restore", backup["name"])

    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert preview["lost"] == {"conversations": 0, "messages": 0, "titles": []}
    assert path.read_bytes() == before
    done = told("db", "restore", backup["name"], "--yes")
    assert "before-restore" in done["kept"]


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [
        ("y\n", 0, "was restored"),
        ("\n", 1, "Nothing was changed."),
        ("no\n", 1, "Nothing was changed."),
        ("\x04", 1, "Nothing was changed."),
        ("\x03", 130, "Restore it?"),
    ],
)
@pytest.mark.requirement("database:restore:previewed")
def test_at_a_terminal_a_restore_asks(
    path: Path, typed: str, code: int, says: str
) -> None:
    backup = told("db", "backup")
    lose_fjords(path)
    before = path.read_bytes()

    ended, shown = ask_at_a_terminal(["db", "restore", backup["name"]], typed)

    assert ended == code
    assert "would be lost: 0 conversations" in shown
    assert says in shown
    assert "Traceback" not in shown
    if code:
        assert path.read_bytes() == before


def ask_at_a_terminal(arguments: list[str], typed: str) -> tuple[int, str]:
    """Exit code, and all that was shown; `typed` once it asked."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tina", *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(slave)
    shown = b""
    give_up = time.monotonic() + GIVE_UP_S
    has_typed = False
    while time.monotonic() < give_up:
        if select.select([master], [], [], 0.1)[0]:
            try:
                shown += os.read(master, 65_536)
            except OSError:
                break
        if not has_typed and b"[y/N]" in shown:
            os.write(master, typed.encode())
            has_typed = True
    else:
        process.kill()
    code = process.wait(GIVE_UP_S)
    os.close(master)
    return code, shown.decode()


def _take_terminal() -> None:
    """So that Ctrl-C becomes a signal, which nobody ignores."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_backup_goes_where_it_is_wanted(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.db"

    done = tina("db", "backup", str(target))
    again = tina("db", "backup", str(target))

    assert done.returncode == 0
    assert f"`tina db restore {target}` brings it back." in done.stdout
    assert target.stat().st_size > 0
    assert again.returncode == 2
    assert "already" in again.stderr
    assert tina("db", "restore", str(target), "-y").returncode == 0
    assert path.exists()


@pytest.mark.requirement("database:repair:derived")
def test_wrong_counters_are_found_and_mended(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE conversations SET message_count = 99")
    connection.close()

    found, checked = tina("db", "check"), tina("db", "check", "--json")
    mended = tina("db", "repair")

    assert found.returncode == 1
    assert "wrong count of their messages: 4" in found.stderr
    assert "`tina db repair` mends" in found.stderr
    assert json.loads(checked.stdout)["ok"] is False
    assert "Mended: counts of messages told anew: 4" in mended.stdout
    assert tina("db", "check").stdout == f"{path} is whole.\n"
    assert told("db", "repair")["mended"] == []


@pytest.mark.requirement("database:damaged:repaired")
def test_a_damaged_file_is_told_and_repaired(path: Path) -> None:
    backup = told("db", "backup")
    damaged = damage(path)

    asked = tina("log")
    checked = tina("db", "check", "--json")
    repaired = tina("db", "repair")

    assert asked.returncode == 1
    assert asked.stderr.startswith("tina: ")
    assert "Traceback" not in asked.stderr
    assert "`tina db repair`" in asked.stderr
    assert backup["name"].removesuffix(".db") in asked.stderr
    assert json.loads(checked.stdout)["ok"] is False
    assert repaired.returncode == 0, repaired.stderr
    assert "The file was damaged." in repaired.stdout
    assert "`tina db restore manual-" in repaired.stdout
    (kept,) = path.parent.glob("tina.db.damaged-*")
    assert kept.read_bytes() == damaged
    assert told("db", "check")["ok"] is True
    assert told("log")


@pytest.mark.parametrize("command", ["status", "check", "migrate", "repair", "vacuum"])
def test_a_file_that_is_no_database_gets_one_sentence(
    environment: Path, command: str
) -> None:
    path = environment / "tina.db"
    path.write_bytes(b"Dear diary, " * 1000)

    done = tina("db", command)

    assert done.returncode == 1
    assert done.stderr.startswith("tina: ")
    assert done.stderr.count("\n") == 1
    assert path.read_bytes() == b"Dear diary, " * 1000


def test_a_damaged_file_gives_way_to_a_backup(path: Path) -> None:
    backup = told("db", "backup")
    damaged = damage(path)

    done = tina("db", "restore", backup["name"], "--yes")

    assert done.returncode == 0, done.stderr
    (kept,) = path.parent.glob("tina.db.damaged-*")
    assert kept.read_bytes() == damaged
    assert "Fjords" in {row["title"] for row in told("log")}


@pytest.mark.parametrize(
    "command", ["status", "check", "migrate", "repair", "vacuum", "backup"]
)
def test_a_file_of_a_newer_tina_gets_one_sentence(path: Path, command: str) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    before = path.read_bytes()

    done = tina("db", command)

    assert "Traceback" not in done.stderr
    if command in {"vacuum", "backup"}:  # which need not know what is in it
        assert done.returncode == 0
        return
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "written by a newer Tina" in done.stderr
    assert path.read_bytes() == before


def test_where_there_is_nothing_it_is_said(environment: Path) -> None:
    status, check = tina("db", "status"), tina("db", "check")
    listed, vacuumed = tina("db", "restore"), tina("db", "vacuum")

    assert "there is no database yet" in status.stdout
    assert check.stdout == "There is no database yet.\n"
    assert "There is no backup yet." in listed.stderr
    assert (vacuumed.returncode, vacuumed.stdout) == (2, "")
    assert tina("db", "restore", "nonsense").returncode == 2
    assert not (environment / "tina.db").exists()


def test_room_is_given_back(path: Path) -> None:
    done, vacuumed = tina("db", "vacuum"), told("db", "vacuum")

    assert done.returncode == 0
    assert "gained" in done.stdout
    assert vacuumed["after_bytes"] <= vacuumed["before_bytes"]
    assert path.stat().st_size == vacuumed["after_bytes"]


@pytest.mark.requirement("database:lock:names-the-holder")
def test_who_has_it_open_is_named(path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-m", "tina", "chat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lock = path.with_name("tina.db.lock")
    give_up = time.monotonic() + GIVE_UP_S
    while str(holder.pid) not in lock.read_text() and time.monotonic() < give_up:
        time.sleep(0.02)

    done = tina("db", "vacuum")

    holder.communicate(timeout=GIVE_UP_S)
    assert done.returncode == 1
    assert f"(pid {holder.pid}) has the database" in done.stderr
    assert tina("db", "vacuum").returncode == 0


def write_foreign(path: Path) -> None:
    path.unlink()
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE notes (text)")
    connection.close()


def write_nothing(path: Path) -> None:
    path.write_bytes(b"")


def lose_all(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA foreign_keys = ON; DELETE FROM conversations")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (write_foreign, 1, "is a database of another program"),
        (write_nothing, 1, "is empty (0 bytes), but there are backups"),
        (lose_all, 2, "There is nothing to back up yet"),
    ],
)
@pytest.mark.requirement("database:backup:only-of-something")
def test_a_backup_of_nothing_removes_no_backup(
    path: Path, spoil: Callable[[Path], None], code: int, says: str
) -> None:
    for _ in range(3):
        told("db", "backup")
    backups = path.parent / "backups"
    kept = {child.name: child.read_bytes() for child in backups.iterdir()}
    spoil(path)

    done = [tina("db", "backup"), tina("db", "backup", str(path.parent / "x.db"))]

    assert [one.returncode for one in done] == [code, code]
    assert all(says in one.stderr and one.stderr.count("\n") == 1 for one in done)
    assert {child.name: child.read_bytes() for child in backups.iterdir()} == kept
    assert not (path.parent / "x.db").exists()


@pytest.mark.requirement("database:restore:twice-is-once")
def test_a_restore_that_is_repeated_says_that_nothing_would_change(path: Path) -> None:
    backup = told("db", "backup")
    lose_fjords(path)
    assert tina("db", "restore", backup["name"], "--yes").returncode == 0

    again = tina("db", "restore", backup["name"], "--yes")
    unasked = tina("db", "restore", backup["name"])
    preview = told("db", "restore", backup["name"])
    restored = told("db", "restore", backup["name"], "--yes")

    assert (again.returncode, unasked.returncode) == (0, 0)
    assert "Nothing would change" in again.stdout
    assert "was restored" not in again.stdout
    assert "Nothing would change" in unasked.stdout
    assert preview["changes_nothing"] is True
    assert (restored["is_changed"], restored["kept"]) == (False, None)
    kinds = [found["kind"] for found in told("db", "restore")]
    assert kinds.count("before-restore") == 1


@pytest.mark.requirement("database:emptied:refused")
def test_an_emptied_file_beside_backups_is_told_everywhere(path: Path) -> None:
    name = told("db", "backup")["name"].removesuffix(".db")
    path.write_bytes(b"")

    for command in (["log"], ["db", "status"], ["db", "check"], ["db", "repair"]):
        done = tina(*command)
        assert done.returncode == 1, command
        assert f"`tina db restore {name}` brings back" in done.stderr
        assert "To begin anew, delete the empty file." in done.stderr
        assert done.stderr.count("\n") == 1
    assert path.read_bytes() == b""
    path.unlink()
    assert f"`tina db restore {name}` brings back" in tina("db", "status").stdout
    assert tina("db", "restore", name, "--yes").returncode == 0
    assert "Fjords" in {row["title"] for row in told("log")}


@pytest.mark.requirement("database:private")
def test_a_new_database_is_for_its_owner_alone(environment: Path) -> None:
    before = os.umask(0o022)
    try:
        assert tina("log").returncode == 0
    finally:
        os.umask(before)

    assert (environment / "tina.db").stat().st_mode & 0o777 == 0o600
