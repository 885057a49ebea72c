"""`tina chat` at a terminal: a real one, by a pair of pseudo-terminals."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tina.testing.server import (
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    paced,
    playback_thread,
)

GIVE_UP_S = 15.0
CONTROL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()].|[=>78])|\r")
BEGIN_PROMPT = "\x1b[?2004h"  # pasted text is marked from here on
CTRL_C, CTRL_D = "\x03", "\x04"


def answer(request: ReceivedRequest) -> Recording:
    asked = json.loads(request.body)["messages"][-1]["content"]
    if "slowly" in asked:
        return chat_recording([f"word{n} " for n in range(500)], pause=paced(50))
    if "refuse" in asked:
        return Recording(status=400, chunks=(b'{"error": {"message": "No."}}',))
    if "code" in asked:
        return chat_recording(["Look:\n\n```python\n", "a  =  *b*\n", "```\n\nDone."])
    return chat_recording(["An ", "**iceberg**."])


@pytest.fixture(scope="module")
def server() -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        yield server


@pytest.fixture(autouse=True)
def recorded_model(server: PlaybackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("TINA_MODEL", "openai:recorded")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")  # nobody answers it here


class Terminal:
    """A terminal with one program in it."""

    def __init__(self, *arguments: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tina", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,
        )
        os.close(slave)
        self._shown = ""
        self._seen = 0

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> str:
        """What was shown since the last call, up to the text."""
        give_up = time.monotonic() + GIVE_UP_S
        while text not in (new := self.shown[self._seen :]):
            if time.monotonic() > give_up or not self._read():
                pytest.fail(f"{text!r} was never shown, but {self._shown!r}")
        end = self._seen + new.index(text) + len(text)
        before, self._seen = self.shown[self._seen : end], end
        return before

    def wait_for_prompt(self) -> str:
        return self.wait_for("<prompt>")

    def end(self) -> int:
        """The program's code, once it has ended by itself."""
        while self._read():
            pass
        return self.process.wait(GIVE_UP_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def shown(self) -> str:
        return CONTROL.sub("", self._shown.replace(BEGIN_PROMPT, "<prompt>"))

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], GIVE_UP_S)
        try:
            read = os.read(self._master, 65536) if ready else b""
        except OSError:  # how Linux says that nobody has it open any more
            return False
        self._shown += read.decode("utf-8", "replace")
        return bool(read)


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def newest() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tina", "show", "--json"],
        capture_output=True,
        timeout=GIVE_UP_S,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_a_person_talks_asks_for_help_and_leaves(terminals: list[Terminal]) -> None:
    terminal = Terminal("chat")
    terminals.append(terminal)
    greeting = terminal.wait_for_prompt()
    terminal.type("What floats?\r")
    answered = terminal.wait_for("iceberg.\n")
    terminal.wait_for_prompt()
    terminal.type("\r")
    terminal.type("/help\r")
    terminal.wait_for("/exit          leave")
    terminal.wait_for_prompt()
    terminal.type("two\x1b\rlines\r")
    terminal.wait_for("iceberg.\n")
    terminal.wait_for_prompt()
    terminal.type(CTRL_D)

    code = terminal.end()
    asked = [message["text"] for message in newest()["messages"][::2]]
    assert code == 0
    assert "Talking to openai:recorded." in greeting
    assert "An iceberg." in answered
    assert asked == ["What floats?", "two\nlines"]


def test_ctrl_c_stops_the_answer_and_the_chat_goes_on(
    terminals: list[Terminal],
) -> None:
    terminal = Terminal("chat")
    terminals.append(terminal)
    terminal.wait_for_prompt()
    terminal.type("Go slowly\r")
    terminal.wait_for("word3")
    terminal.type(CTRL_C)
    terminal.wait_for("tina: Stopped")
    stopped = newest()["messages"][-1]
    terminal.wait_for_prompt()
    terminal.type(CTRL_C)
    terminal.wait_for("Ctrl-D or /exit leaves.")
    terminal.wait_for_prompt()
    terminal.type("/exit\r")

    assert terminal.end() == 0
    assert stopped["status"] == "stopped"
    assert stopped["text"].startswith("word0 ")


def test_what_fails_is_told_and_the_chat_goes_on(terminals: list[Terminal]) -> None:
    terminal = Terminal("chat")
    terminals.append(terminal)
    terminal.wait_for_prompt()
    terminal.type("/model nonsense\r")
    terminal.wait_for("is not a model's name")
    terminal.wait_for_prompt()
    terminal.type("/model openai:other\r")
    terminal.wait_for("openai:other answers from here on.")
    terminal.wait_for_prompt()
    terminal.type("Please refuse\r")
    terminal.wait_for("tina: ")
    terminal.wait_for_prompt()
    terminal.type(CTRL_D)

    assert terminal.end() == 0
    assert newest()["messages"][-1]["model"] == "openai:other"


def test_sigterm_ends_a_chat_in_the_middle_of_an_answer(
    terminals: list[Terminal],
) -> None:
    terminal = Terminal("chat")
    terminals.append(terminal)
    terminal.wait_for_prompt()
    terminal.type("Go slowly\r")
    terminal.wait_for("word3")

    terminal.process.terminate()

    assert terminal.end() == 143
    assert newest()["messages"][-1]["status"] == "interrupted"


@pytest.mark.parametrize(
    ("flags", "answerer"),
    [
        (["-c"], "openai:kept"),
        (["-c", "-m", "openai:named"], "openai:named"),
        (["-m", "openai:named"], "openai:named"),
    ],
)
def test_the_greeting_names_who_will_answer(
    flags: list[str], answerer: str, terminals: list[Terminal]
) -> None:
    before = Terminal("ask", "-m", "openai:kept", "Hi", "--no-stdin")
    terminals.append(before)
    before.end()

    terminal = Terminal("chat", *flags)
    terminals.append(terminal)

    assert f"Talking to {answerer}." in terminal.wait_for_prompt()


def test_extracted_code_is_printed_as_it_is(terminals: list[Terminal]) -> None:
    terminal = Terminal("ask", "Write code", "-x")
    terminals.append(terminal)

    assert terminal.end() == 0
    assert terminal.shown == "a  =  *b*\n"


def test_tina_alone_at_a_terminal_is_a_chat(terminals: list[Terminal]) -> None:
    terminal = Terminal()
    terminals.append(terminal)

    greeting = terminal.wait_for_prompt()
    terminal.type(CTRL_D)

    assert terminal.end() == 0
    assert "Talking to openai:recorded." in greeting
