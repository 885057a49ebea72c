"""Nobody reads what is printed: the answer goes on, is stored, and can be stopped."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from typing import IO, Any

import anyio
import pytest

from tina.testing.server import (
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    playback_thread,
)

GIVE_UP_S = 30.0
PIPE_BYTES = 60_000  # so much is in a pipe of 64 KiB that is full
AT_ONCE_S = 3.0  # a second, and the end of a process on a busy machine
PIECES = [f"{n:09d} " + "x" * 1014 for n in range(300)]
MANY = 200  # more than a pipe and the program's own queue hold
WHOLE = "".join(PIECES)


def answer(request: ReceivedRequest) -> Recording:
    is_slow = b"slowly" in request.body
    return chat_recording(PIECES, pause=fall_silent if is_slow else None)


async def fall_silent(number: int) -> None:
    if number == MANY:
        await anyio.Event().wait()


@pytest.fixture(scope="module")
def server() -> Iterator[PlaybackServer]:
    with playback_thread(answer) as server:
        yield server


@pytest.fixture(autouse=True)
def recorded_model(server: PlaybackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("TINA_MODEL", "openai:recorded")


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    """Start programs whose output goes to pipes; close what is left of them."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *arguments: str,
        stdin: int = subprocess.DEVNULL,
        stderr: int = subprocess.PIPE,
    ) -> "subprocess.Popen[bytes]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tina", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


Start = Callable[..., "subprocess.Popen[bytes]"]


def stored_answer() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tina", "show", "--json"],
        capture_output=True,
        timeout=GIVE_UP_S,
    )
    messages = json.loads(done.stdout or b"{}").get("messages", [])
    return dict(messages[-1]) if messages else {"status": "", "text": ""}


def wait_until(is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The stored answer, once it is as it should be."""
    give_up = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up:
        stored = stored_answer()
        if is_so(stored):
            return stored
    pytest.fail("the answer was never stored like that")


def wait_for_many_pieces(
    server: PlaybackServer, process: "subprocess.Popen[bytes]"
) -> None:
    """Return when the pipe is full and all that will ever come was sent."""
    assert process.stdout is not None
    give_up = time.monotonic() + GIVE_UP_S
    while time.monotonic() < give_up:
        sizes = fcntl.ioctl(process.stdout, termios.FIONREAD, bytes(4))
        is_full = int.from_bytes(sizes, sys.byteorder) >= PIPE_BYTES
        if is_full and len(server.deliveries[-1].sent) >= MANY:
            return
        time.sleep(0.02)
    pytest.fail("the answer never filled the pipe")


def all_of(stream: IO[bytes] | None) -> bytes:
    assert stream is not None
    return stream.read()


@pytest.mark.parametrize(
    "format_", [[], ["--json"], ["--output-format", "stream-json"], ["--no-stream"]]
)
def test_an_answer_nobody_reads_is_stored_and_then_read(
    format_: list[str], start: Start
) -> None:
    process = start("ask", "Hi", *format_)

    stored = wait_until(lambda stored: stored["status"] == "complete")
    is_waiting = process.poll() is None
    printed, told = process.communicate(timeout=GIVE_UP_S)

    assert stored["text"] == WHOLE
    assert is_waiting
    assert (process.returncode, told) == (0, b"")
    assert said_in(printed.decode(), format_) == WHOLE


def said_in(printed: str, format_: list[str]) -> str:
    if "stream-json" in format_:
        events = [json.loads(line) for line in printed.splitlines()]
        return "".join(event["text"] for event in events if event["t"] == "text")
    return str(json.loads(printed)["text"]) if format_ == ["--json"] else printed[:-1]


@pytest.mark.parametrize("merged", [False, True], ids=["stdout", "stdout-and-stderr"])
def test_ctrl_c_stops_an_answer_that_nobody_reads(
    *, merged: bool, start: Start, server: PlaybackServer
) -> None:
    stderr = subprocess.STDOUT if merged else subprocess.PIPE
    process = start("ask", "Go slowly", stderr=stderr)
    wait_for_many_pieces(server, process)

    process.send_signal(signal.SIGINT)
    code = process.wait(AT_ONCE_S)

    stored = stored_answer()
    assert code == 130
    assert stored["status"] == "stopped"
    assert WHOLE.startswith(stored["text"])
    assert WHOLE.encode().startswith(all_of(process.stdout))
    if not merged:
        assert b"tina continue" in all_of(process.stderr)


def test_sigterm_interrupts_an_answer_that_nobody_reads(
    start: Start, server: PlaybackServer
) -> None:
    process = start("ask", "Go slowly")
    wait_for_many_pieces(server, process)

    process.terminate()
    code = process.wait(AT_ONCE_S)

    assert code == 143
    assert stored_answer()["status"] == "interrupted"


def test_ctrl_c_leaves_an_answer_complete_that_is(start: Start) -> None:
    process = start("ask", "Hi")
    wait_until(lambda stored: stored["status"] == "complete")

    process.send_signal(signal.SIGINT)
    code = process.wait(AT_ONCE_S)

    stored = stored_answer()
    assert code == 130
    assert (stored["status"], stored["text"]) == ("complete", WHOLE)
    assert all_of(process.stderr) == b""


def test_a_piped_chat_waits_for_its_reader_and_is_stopped(start: Start) -> None:
    process = start("chat", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"Hi\nHi again\n")
    process.stdin.flush()
    wait_until(lambda stored: stored["status"] == "complete")

    process.send_signal(signal.SIGINT)
    code = process.wait(AT_ONCE_S)

    assert code == 130
    assert stored_answer()["text"] == WHOLE


def test_a_reader_that_leaves_late_stops_nothing_that_is_done(start: Start) -> None:
    process = start("ask", "Hi")
    wait_until(lambda stored: stored["status"] == "complete")
    assert process.stdout is not None

    os.read(process.stdout.fileno(), 100)
    process.stdout.close()
    code = process.wait(GIVE_UP_S)

    process.stdout = None
    assert (code, all_of(process.stderr)) == (141, b"")
    assert stored_answer()["status"] == "complete"
