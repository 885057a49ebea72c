"""Text that is piped in.

A standard input that never closes is a trap: many programs start others with one.
So only what can end is read (a pipe, a file, a socket), the user is told when nothing
comes, and the reading thread is a daemon: it can keep nothing alive.

Knows the event loop itself: the thread wakes it.
"""

import asyncio
import codecs
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

import anyio

from tina.domain.failures import InvalidInputFailure

__all__ = ["StdinKind", "compose_prompt", "read_piped", "stdin_kind"]

_CHUNK_BYTES = 65_536
_MIB = 1_048_576


class StdinKind(StrEnum):
    TERMINAL = "terminal"
    PIPED = "piped"
    NOTHING = "nothing"
    """Closed, /dev/null, or another device: there is nothing to wait for."""


def stdin_kind(fd: int = 0) -> StdinKind:
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        return StdinKind.NOTHING
    if os.isatty(fd):
        return StdinKind.TERMINAL
    can_end = stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)
    return StdinKind.PIPED if can_end else StdinKind.NOTHING


async def read_piped(
    *,
    limit_bytes: int = 10 * _MIB,
    on_wait: Callable[[], None],
    wait_notice_s: float = 3.0,
    fd: int = 0,
) -> str:
    """Read text until its end; bytes that are no UTF-8 become U+FFFD.

    A byte order mark is dropped; one of UTF-16 is believed. When cancelled, what the
    thread still reads is lost.

    Args:
        on_wait: called once if nothing came for `wait_notice_s`.

    Raises:
        InvalidInputFailure: it is longer than the limit, or cannot be read.
    """
    loop = asyncio.get_running_loop()
    began, ended = anyio.Event(), loop.create_future()
    reader = _Reader(fd, limit_bytes, loop=loop, began=began, ended=ended)
    # Its own daemon thread: a pool's thread would be waited for at exit.
    threading.Thread(target=reader.run, name="standard input", daemon=True).start()
    with anyio.move_on_after(wait_notice_s) as waiting:
        await began.wait()
    if waiting.cancelled_caught:
        on_wait()
    try:
        content = await ended
    except OSError as error:
        raise InvalidInputFailure(
            f"Standard input cannot be read: {error.strerror}."
        ) from error
    if len(content) > limit_bytes:
        raise InvalidInputFailure(
            f"Standard input is longer than {limit_bytes / _MIB:g} MiB; "
            "pipe in a part of it."
        )
    return _decode(content)


def compose_prompt(question: str, piped: str) -> str:
    """The question, an empty line, the piped text; or the one that is not empty."""
    parts = (question.strip("\n"), piped.strip("\r\n"))
    return "\n\n".join(part for part in parts if part.strip())


class _Reader:
    """Reads in its own thread; everything it tells, it tells through the loop."""

    def __init__(
        self,
        fd: int,
        limit_bytes: int,
        *,
        loop: asyncio.AbstractEventLoop,
        began: anyio.Event,
        ended: "asyncio.Future[bytes]",
    ) -> None:
        self._fd = fd
        self._limit_bytes = limit_bytes
        self._loop = loop
        self._began = began
        self._ended = ended

    def run(self) -> None:
        # The loop is closed when nobody waits any more: then nobody is told.
        with suppress(RuntimeError):
            try:
                content = self._read()
            except OSError as error:
                self._loop.call_soon_threadsafe(self._settle, error)
            else:
                self._loop.call_soon_threadsafe(self._settle, content)

    def _read(self) -> bytes:
        """All of it, or a little more than the limit."""
        content = bytearray()
        while chunk := os.read(self._fd, _CHUNK_BYTES):
            self._loop.call_soon_threadsafe(self._began.set)
            content += chunk
            if len(content) > self._limit_bytes:
                break
        return bytes(content)

    def _settle(self, outcome: bytes | OSError) -> None:
        self._began.set()
        if self._ended.done():  # the reader was cancelled
            return
        if isinstance(outcome, OSError):
            self._ended.set_exception(outcome)
        else:
            self._ended.set_result(outcome)


def _decode(content: bytes) -> str:
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
