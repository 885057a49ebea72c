"""Piped text, from real pipes, files, sockets and programs that never close them."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from tina.cli.standard_input import (
    StdinKind,
    compose_prompt,
    read_piped,
    stdin_kind,
)
from tina.domain.failures import InvalidInputFailure

pytestmark = pytest.mark.anyio

KIND = "from tina.cli.standard_input import *; print(stdin_kind())"
READ = """
import anyio, sys
from functools import partial
from tina.cli.standard_input import read_piped
notice = partial(print, "waiting", flush=True)
text = anyio.run(partial(read_piped, on_wait=notice, wait_notice_s={wait_s}))
print(ascii(text))
"""


def never() -> None:
    pytest.fail("it said that it waits")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its two ends; the test closes the one it writes to."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


SHELL = [
    pytest.param("printf x | {}", "piped", id="pipe"),
    pytest.param("{} < {file}", "piped", id="file"),
    pytest.param("{} <&-", "nothing", id="closed"),
    pytest.param("{} < /dev/null", "nothing", id="dev-null"),
    pytest.param("{} < /dev/zero", "nothing", id="endless-device"),
]


@pytest.mark.parametrize(("line", "kind"), SHELL)
def test_only_what_can_end_is_read(line: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    command = f'"{sys.executable}" -c "{KIND}"'
    line = line.replace("{file}", f'"{file}"')

    done = subprocess.run(
        ["sh", "-c", line.replace("{}", command)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    assert done.stdout.strip() == kind


def test_a_terminal_is_not_read() -> None:
    leader, terminal = os.openpty()

    kind = stdin_kind(terminal)
    os.close(leader)
    os.close(terminal)

    assert kind is StdinKind.TERMINAL


def test_a_socket_is_read() -> None:
    ours, theirs = socket.socketpair()

    with ours, theirs:
        assert stdin_kind(ours.fileno()) is StdinKind.PIPED


DECODED = [
    pytest.param(b"", "", id="nothing"),
    pytest.param("Grüße\n".encode(), "Grüße\n", id="utf-8"),
    pytest.param(b"\xef\xbb\xbfmarked", "marked", id="byte-order-mark"),
    pytest.param(b"bad \xff\xe2\x82", "bad \ufffd\ufffd", id="no-utf-8"),
    pytest.param("wide é".encode("utf-16"), "wide é", id="utf-16"),
    pytest.param("\ufeffwide".encode("utf-16-be"), "wide", id="utf-16-be"),
    pytest.param(b"x" * 200_000, "x" * 200_000, id="more-than-a-pipe-holds"),
]


@pytest.mark.parametrize(("content", "text"), DECODED)
async def test_text_is_read_to_its_end(
    content: bytes, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "piped"
    file.write_bytes(content)

    with file.open("rb") as stdin, anyio.fail_after(5):
        read = await read_piped(on_wait=never, fd=stdin.fileno())

    assert read == text


async def test_pieces_are_joined_and_split_letters_survive(
    pipe: tuple[int, int],
) -> None:
    reading, writing = pipe
    read: list[str] = []

    async def reader() -> None:
        read.append(await read_piped(on_wait=never, fd=reading))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            for byte in "é漢\r\n".encode():
                os.write(writing, bytes([byte]))
                await anyio.lowlevel.checkpoint()
            os.close(writing)

    assert read == ["é漢\r\n"]


@pytest.mark.parametrize("size", [9, 10, 11])
async def test_the_limit_itself_is_allowed(size: int, tmp_path: Path) -> None:
    file = tmp_path / "piped"
    file.write_bytes(b"x" * size)

    with file.open("rb") as stdin, anyio.fail_after(5):
        if size <= 10:
            read = await read_piped(limit_bytes=10, on_wait=never, fd=stdin.fileno())
            assert len(read) == size
        else:
            with pytest.raises(InvalidInputFailure, match="longer than"):
                await read_piped(limit_bytes=10, on_wait=never, fd=stdin.fileno())


async def test_an_endless_pipe_is_refused_at_the_limit(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.write(writing, b"x" * 11)

    with anyio.fail_after(5), pytest.raises(InvalidInputFailure):
        await read_piped(limit_bytes=10, on_wait=never, fd=reading)

    os.close(writing)


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)

    with anyio.fail_after(5), pytest.raises(InvalidInputFailure, match="cannot be"):
        await read_piped(on_wait=never, fd=folder)

    os.close(folder)


async def test_it_says_once_that_it_waits_and_goes_on(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    said: list[str] = []

    def on_wait() -> None:
        said.append("waiting")
        os.write(writing, b"late")
        os.close(writing)

    with anyio.fail_after(5):
        read = await read_piped(on_wait=on_wait, wait_notice_s=0.0, fd=reading)

    assert (read, said) == ("late", ["waiting"])


async def test_a_cancelled_reader_lets_go(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    waits = anyio.Event()

    async def reader() -> None:
        await read_piped(on_wait=waits.set, wait_notice_s=0.0, fd=reading)
        pytest.fail("it went on after it was cancelled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(reader)
            await waits.wait()
            group.cancel_scope.cancel()

    # The thread ends with its input; what it tells, nobody hears.
    os.write(writing, b"too late")
    os.close(writing)
    with anyio.fail_after(5):
        for thread in threading.enumerate():
            if thread.name == "standard input":
                await anyio.to_thread.run_sync(thread.join)
        await anyio.lowlevel.checkpoint()


def test_a_fifo_that_never_closes_cannot_hang_the_exit(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    code = (
        "import anyio, sys\n"
        "from tina.cli.standard_input import read_piped\n"
        "async def main():\n"
        "    with anyio.move_on_after(0):\n"
        "        await read_piped(on_wait=print)\n"
        "    print('left')\n"
        "anyio.run(main)\n"
    )
    keeps_open = os.open(fifo, os.O_RDWR)

    with fifo.open("rb") as stdin:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=stdin,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    os.close(keeps_open)

    assert done.stdout == "left\n"


def test_a_program_says_that_it_waits_and_then_reads() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READ.replace("{wait_s}", "0.01")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdin
        assert program.stdout
        notice = program.stdout.readline()
        program.stdin.write("späť".encode())
        program.stdin.close()
        text = program.stdout.read()

    assert notice == b"waiting\n"
    assert text.decode().strip() == ascii("späť")


PROMPTS = [
    pytest.param("Sum up", "a\nb\n", "Sum up\n\na\nb", id="both"),
    pytest.param("Sum up", "", "Sum up", id="no-piped-text"),
    pytest.param("Sum up", " \n", "Sum up", id="only-space-piped"),
    pytest.param("", "text\n", "text", id="no-question"),
    pytest.param("", "", "", id="neither"),
    pytest.param("Why?\n", "\r\n  indented\r\n", "Why?\n\n  indented", id="line-ends"),
]


@pytest.mark.parametrize(("question", "piped", "prompt"), PROMPTS)
def test_piped_text_stands_below_the_question(
    question: str, piped: str, prompt: str
) -> None:
    assert compose_prompt(question, piped) == prompt
