"""A stream whose reader may stall, leave, or come back."""

import errno
import os
from collections.abc import Iterator
from typing import TextIO

import anyio
import pytest

from tina.cli.output import MAX_WAITING_BYTES, Output, OutputError

pytestmark = pytest.mark.anyio

PIPE_BYTES = 65_536
LONG = "0123456789abcdef" * 20_000


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as stream:
        yield reading, stream
        os.close(reading)


async def read(descriptor: int, count: int) -> bytes:
    def read_all() -> bytes:
        content = b""
        while len(content) < count:
            content += os.read(descriptor, 65_536)
        return content

    return await anyio.to_thread.run_sync(read_all)


@pytest.mark.parametrize("is_blocking", [True, False])
async def test_a_reader_that_comes_back_gets_everything_once(
    *, is_blocking: bool, pipe: tuple[int, TextIO]
) -> None:
    reading, stream = pipe
    os.set_blocking(stream.fileno(), is_blocking)
    output = Output(stream)

    with anyio.fail_after(5):
        output.write(LONG)
        output.write("end")
        content = await read(reading, len(LONG) + 3)
        await output.written()

    assert content.decode() == LONG + "end"


async def test_who_writes_is_kept_waiting_only_by_too_much(
    pipe: tuple[int, TextIO],
) -> None:
    reading, stream = pipe
    output = Output(stream)
    with anyio.fail_after(5):
        output.write("x" * MAX_WAITING_BYTES)
        await output.room()

        output.write("x" * (PIPE_BYTES + 1))
        with anyio.move_on_after(0.05) as waiting:
            await output.room()
        await read(reading, MAX_WAITING_BYTES + PIPE_BYTES + 1)
        await output.room()

    assert waiting.cancelled_caught


async def test_a_reader_that_left_is_told_at_the_next_call() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with anyio.fail_after(5), os.fdopen(writing, "w", encoding="utf-8") as stream:
        output = Output(stream)
        output.write("lost")
        with pytest.raises(OutputError) as told:
            await output.written()
        with pytest.raises(OutputError):
            output.write("more")

    assert told.value.errno == errno.EPIPE


async def test_a_letter_the_stream_does_not_know_is_replaced() -> None:
    reading, writing = os.pipe()
    with (
        anyio.fail_after(5),
        os.fdopen(writing, "w", encoding="ascii", errors="replace") as stream,
    ):
        output = Output(stream)
        output.write("fjörd")
        await output.written()
        read = os.read(reading, 100)
    os.close(reading)

    assert read == b"fj?rd"


async def test_a_pipe_is_no_terminal(pipe: tuple[int, TextIO]) -> None:
    output = Output(pipe[1])

    assert not output.isatty()
    assert output.terminal_size() == (0, 0)
