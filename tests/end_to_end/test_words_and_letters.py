"""Arguments that are no text, and streams that know few letters."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tina.testing.server import PlaybackServer, chat_recording, playback_thread

GIVE_UP_S = 30.0
NO_TEXT = b"\xff"


@pytest.fixture(scope="module")
def server() -> Iterator[PlaybackServer]:
    with playback_thread(chat_recording(["Ein Fjörd · 漢字"])) as server:
        yield server


@pytest.fixture(autouse=True)
def recorded_model(server: PlaybackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("TINA_MODEL", "openai:recorded")


def tina(
    *arguments: str | bytes, typed: bytes = b"", **settings: str
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "tina", *arguments],
        env={**os.environ, **settings},
        input=typed,
        capture_output=True,
        timeout=GIVE_UP_S,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask", "-m", NO_TEXT + b":x", "Hi"], b"UTF-8"),
        (["ask", "-m", b"openai:" + NO_TEXT, "Hi"], b"UTF-8"),
        (["ask", "--cid", NO_TEXT * 8, "Hi"], b"UTF-8"),
        (["ask", "--key", NO_TEXT, "Hi"], b"UTF-8"),
        (["ask", "-o", "stop", NO_TEXT, "Hi"], b"UTF-8"),
        (["ask", "-a", NO_TEXT, "Hi"], b"No such file"),
        (["ask", b"--" + NO_TEXT], b"Unknown option"),
        (["show", NO_TEXT], b"tina log"),
        (["chat", "-m", b"openai:" + NO_TEXT], b"UTF-8"),
    ],
)
def test_an_argument_that_is_no_text_is_told_in_one_line(
    arguments: list[str | bytes], says: bytes
) -> None:
    done = tina(*arguments)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"tina: ")
    assert done.stderr.count(b"\n") == 1
    assert says in done.stderr


def test_a_question_that_is_no_text_is_asked_without_what_is_none(
    tmp_path: Path,
) -> None:
    path = os.path.join(os.fsencode(tmp_path), NO_TEXT)
    with open(path, "w", encoding="utf-8") as file:
        file.write("notes")

    done = tina("ask", b"Hi " + NO_TEXT, "-s", NO_TEXT, "-a", path)
    shown = tina("show").stdout.decode()

    assert (done.returncode, done.stderr) == (0, b"")
    assert "Hi \ufffd\n\n\ufffd:\n```\nnotes\n```" in shown


@pytest.mark.parametrize("flags", [[], ["--json"], ["--no-stream"]])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_stream_that_knows_few_letters_gets_the_others_replaced(
    encoding: str, flags: list[str]
) -> None:
    done = tina("ask", "Fjörd?", *flags, PYTHONIOENCODING=encoding)
    shown = tina("show", PYTHONIOENCODING=encoding)
    told = tina("ask", "-m", "漢:x", "Hi", PYTHONIOENCODING=encoding)

    assert (done.returncode, done.stderr) == (0, b"")
    assert "Ein Fjörd · 漢字".encode(encoding, "replace") in done.stdout
    assert "Fjörd?".encode(encoding, "replace") in shown.stdout
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert told.returncode == 3
    assert told.stderr.startswith(b"tina: There is no provider '?'")


@pytest.mark.parametrize("home", ["ö".encode()])
def test_a_home_with_any_name_can_be_printed(home: bytes, tmp_path: Path) -> None:
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), home))

    asked = tina("ask", "Hi", TINA_HOME=path)
    done = tina("db", "check", TINA_HOME=path)

    assert (asked.returncode, asked.stderr) == (0, b"")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"is whole.\n")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["log", "--json"]])
def test_whatever_is_printed_a_full_disk_and_a_closed_pipe_are_told_apart(
    words: list[str],
) -> None:
    command = [sys.executable, "-m", "tina", *words]
    with open("/dev/full", "w", encoding="utf-8") as full:
        stopped = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, timeout=GIVE_UP_S
        )
    reading, writing = os.pipe()
    os.close(reading)
    left = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, timeout=GIVE_UP_S
    )
    os.close(writing)

    assert (stopped.returncode, stopped.stderr) == (
        1,
        b"tina: The output cannot be written: No space left on device.\n",
    )
    assert (left.returncode, left.stderr) == (141, b"")
