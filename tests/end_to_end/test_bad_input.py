"""What people get wrong: one clear line, the documented code, nothing lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tina.testing.server import PlaybackServer, chat_recording, playback_thread

GIVE_UP_S = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[PlaybackServer]:
    with playback_thread(chat_recording(["Ice."])) as server:
        yield server


@pytest.fixture(autouse=True)
def recorded_model(server: PlaybackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("TINA_MODEL", "openai:recorded")


def tina(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tina", *arguments],
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
    )


def assert_one_line(
    done: "subprocess.CompletedProcess[str]", *, code: int, says: str
) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("tina: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["ask"], 2, "There is nothing to ask", id="no-question"),
        pytest.param([], 2, "There is nothing to ask", id="nothing-at-all"),
        pytest.param(["ask", ""], 2, "There is nothing to ask", id="empty"),
        pytest.param(["ask", " \n"], 2, "There is nothing to ask", id="blank"),
        pytest.param(["ask", "-m", "", "Hi"], 2, "provider:model", id="no-model"),
        pytest.param(["ask", "-m", "gpt", "Hi"], 2, "provider:", id="half"),
        pytest.param(["ask", "-m", "nobody:x", "Hi"], 3, "openai", id="provider"),
        pytest.param(["ask", "-m", "local:x", "Hi"], 3, "smollm2", id="local-model"),
        pytest.param(["ask", "--cid", "abcd", "Hi"], 2, "tina log", id="conversation"),
        pytest.param(["show", "abcd"], 2, "tina log", id="show-unknown"),
        pytest.param(["show"], 2, "no conversation yet", id="show-nothing"),
        pytest.param(["continue"], 2, "no conversation yet", id="continue-nothing"),
        pytest.param(["continue", "f" * 32], 2, "tina log", id="continue-unknown"),
        pytest.param(["ask", "-c", "Hi"], 2, "no conversation yet", id="none-to-go-on"),
        pytest.param(["ask", "--bogus", "Hi"], 2, "--bogus", id="unknown-flag"),
        pytest.param(["ask", "-m"], 2, "--help", id="flag-without-value"),
        pytest.param(["log", "-n", "many"], 2, "many", id="no-number"),
        pytest.param(["log", "-n", "-1"], 2, "-n wants", id="negative"),
        pytest.param(["ask", "-o", "heat", "1", "Hi"], 2, "temperature", id="option"),
        pytest.param(["ask", "-o", "top_p", "2", "Hi"], 2, "from 0 to 1", id="bound"),
        pytest.param(["ask", "-a", "/nowhere", "Hi"], 2, "No such file", id="no-file"),
        pytest.param(["ask", "-a", "/", "Hi"], 2, "is a folder", id="a-folder"),
        pytest.param(["ask", "-a", sys.executable, "Hi"], 2, "/", id="binary-file"),
        pytest.param(["models", "pull", "nobody"], 3, "smollm2", id="pull-unknown"),
        pytest.param(
            ["ask", "-c", "--cid", "abcd", "Hi"], 2, "exclude each other", id="both"
        ),
        pytest.param(["ask", "-c", "-s", "Be.", "Hi"], 2, "begun", id="system-late"),
        pytest.param(["ask", "-n", "-c", "Hi"], 2, "--no-log keeps", id="no-log-c"),
        pytest.param(
            ["chat", "--no-log", "--cid", "abcd"], 2, "--no-log keeps", id="no-log-cid"
        ),
        pytest.param(["chat", "--no-stdin"], 2, "--no-stdin", id="chat-no-stdin"),
        pytest.param(["chat", "-a", "x"], 2, "-a", id="chat-attachment"),
    ],
)
def test_it_is_told_in_one_line(arguments: list[str], code: int, says: str) -> None:
    assert_one_line(tina(*arguments), code=code, says=says)


def test_a_key_that_is_missing_is_asked_for() -> None:
    done = tina("ask", "Hi", OPENAI_BASE_URL="")

    assert_one_line(done, code=3, says="OPENAI_API_KEY")


def test_a_server_that_is_not_there_is_named() -> None:
    done = tina("ask", "Hi", OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    assert_one_line(done, code=1, says="127.0.0.1")


def test_plain_http_to_another_machine_is_refused() -> None:
    done = tina("ask", "Hi", OPENAI_BASE_URL="http://example.org/v1")

    assert_one_line(done, code=1, says="https")


def test_in_json_a_refusal_is_an_object_too() -> None:
    done = tina("ask", "-m", "nobody:x", "Hi", "--json")

    refusal = json.loads(done.stdout)
    assert done.returncode == 3
    assert done.stderr == ""
    assert (refusal["status"], refusal["failure"]["kind"]) == (
        "failed",
        "model_not_found",
    )


def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(
    environment: Path,
) -> None:
    done = tina("ask", "-m", "local:smollm2", "word " * 6000, "--json")

    failure = json.loads(done.stdout)["failure"]
    assert done.returncode == 1
    assert failure["kind"] == "context_overflow"
    assert "4096" in failure["message"].replace(",", "")


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- 2>&-"])
def test_closed_streams_do_no_harm(streams: str) -> None:
    command = f"'{sys.executable}' -m tina ask Hi {streams}"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=GIVE_UP_S
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in streams.split() else "Ice.\n")
    shown = json.loads(tina("show", "--json").stdout)
    assert shown["messages"][1]["text"] == "Ice."


UNWRITABLE_HOMES = ["/dev/null", "/dev/null/home"]
if Path("/sys").is_mount():  # nobody can write there, not even root
    UNWRITABLE_HOMES.append("/sys/tina")


@pytest.mark.parametrize("home", UNWRITABLE_HOMES)
def test_a_home_that_cannot_be_written_is_named(home: str) -> None:
    done = tina("ask", "Hi", TINA_HOME=home)

    assert_one_line(done, code=1, says="TINA_HOME")


@pytest.fixture
def read_only_home(tmp_path: Path) -> Iterator[Path]:
    """A read-only disk: a mounted one for root, whom permissions do not stop."""
    home = tmp_path / "disk"
    home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(home)]
    is_mounted = os.geteuid() == 0 and subprocess.run(mount).returncode == 0
    if not is_mounted:
        home.chmod(0o500)
    yield home
    if is_mounted:
        subprocess.run(["umount", str(home)], check=True)


def test_a_read_only_disk_is_named(read_only_home: Path) -> None:
    done = tina("ask", "Hi", TINA_HOME=str(read_only_home))

    assert_one_line(done, code=1, says="TINA_HOME")


def test_a_file_that_is_no_database_is_left_as_it_is(environment: Path) -> None:
    path = environment / "tina.db"
    path.write_text("Dear diary " * 1000, encoding="utf-8")

    asked, checked = tina("ask", "Hi"), tina("db", "check", "--json")

    assert_one_line(asked, code=1, says="left it as it is")
    assert checked.returncode == 1
    assert json.loads(checked.stdout)["ok"] is False
    assert path.read_text(encoding="utf-8") == "Dear diary " * 1000


def test_a_database_of_another_program_is_left_as_it_is(environment: Path) -> None:
    path = environment / "tina.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    before = path.read_bytes()

    done = tina("ask", "Hi")

    assert_one_line(done, code=1, says="another program")
    assert path.read_bytes() == before


def test_a_damaged_database_is_told_and_not_made_worse(environment: Path) -> None:
    tina("ask", "Hi")
    path = environment / "tina.db"
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)

    asked, checked = tina("ask", "Hi"), tina("db", "check", "--json")

    assert_one_line(asked, code=1, says="damaged")
    assert checked.returncode == 1
    assert json.loads(checked.stdout)["problems"]
