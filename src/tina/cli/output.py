"""What is printed, handed to a thread that may be kept waiting by whoever reads.

A reader may stop reading: a pager, a terminal after Ctrl-S, a program that thinks. A
write then blocks, and must not block the event loop: the answer goes on and is stored,
and a signal is obeyed. So each stream has a thread of its own. It writes to the
descriptor, not through Python's buffers: those have locks that a blocked thread would
keep when the interpreter ends. It is a daemon, so that it can keep nothing alive.

Knows the event loop itself: the thread wakes it.
"""

import asyncio
import os
import select
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol, TextIO

import anyio

__all__ = ["Console", "Output", "OutputError", "TextSink", "write_out"]

MAX_WAITING_BYTES = 65_536
_CHUNK_BYTES = 65_536


class OutputError(OSError):
    """The output cannot be written: its reader left, or its disk is full."""


class TextSink(Protocol):
    """What a writer of answers writes to. `write` and `flush` may raise `OSError`."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...

    def isatty(self) -> bool: ...


class Output:
    """A stream that never blocks its writer; a `TextSink`.

    `write` only hands over. Whoever writes much waits in `room` from time to time,
    and in `written` at the end. Once the stream is broken each method raises.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting = bytearray()
        self._error: OSError | None = None
        self._has_work = threading.Condition()
        self._thread: threading.Thread | None = None
        self._loop = asyncio.get_running_loop()
        self._progress = anyio.Event()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def terminal_size(self) -> tuple[int, int]:
        """Columns and lines now; zeros if it is no terminal."""
        try:
            return os.get_terminal_size(self._stream.fileno())
        except OSError:
            return 0, 0

    def write(self, text: str, /) -> int:
        """Hand over text.

        Raises:
            OutputError: what was handed over before could not be written.
        """
        self.flush()
        encoded = text.encode(self._stream.encoding, self._stream.errors or "strict")
        with self._has_work:
            self._waiting += encoded
            self._has_work.notify()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, args=(self._stream.fileno(),), daemon=True
            )
            self._thread.start()
        return len(text)

    def flush(self) -> None:
        """Nothing waits for it; raises as `write` does."""
        if self._error is not None:
            raise OutputError(self._error.errno, self._error.strerror)

    async def room(self) -> None:
        """Wait until little enough waits to be written.

        Raises:
            OutputError: the stream is broken.
        """
        await self._until_at_most(MAX_WAITING_BYTES)

    async def written(self) -> None:
        """Wait until all of it is written; raises as `room` does."""
        await self._until_at_most(0)

    async def _until_at_most(self, limit_bytes: int) -> None:
        while True:
            # Taken before looking: what is written later sets this very event.
            progress = self._progress
            self.flush()
            if len(self._waiting) <= limit_bytes:
                return
            await progress.wait()

    def _run(self, descriptor: int) -> None:
        # The loop is closed when nobody waits any more: then nobody is told.
        with suppress(RuntimeError):
            while self._error is None:
                with self._has_work:
                    self._has_work.wait_for(lambda: self._waiting)
                    chunk = bytes(self._waiting[:_CHUNK_BYTES])
                try:
                    count = _write(descriptor, chunk)
                except OSError as error:
                    self._error = error
                else:
                    with self._has_work:
                        del self._waiting[:count]
                self._loop.call_soon_threadsafe(self._tell_progress)

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()


class Console:
    """Standard output for answers, standard error for what is said about them."""

    def __init__(self) -> None:
        self.out = Output(sys.stdout)
        self._err = Output(sys.stderr)

    async def tell(self, sentences: str) -> None:
        """Say something to the person, below all that was printed.

        Raises:
            OutputError: standard output is broken. That standard error is broken can
                be said to nobody.
        """
        await self.out.written()
        await self.tell_at_once(sentences)

    async def tell_at_once(self, sentences: str) -> None:
        """As `tell`, whatever still waits to be printed."""
        if not sentences:
            return
        with suppress(OutputError):
            self._err.write(sentences)
            await self._err.written()


def write_out(pieces: Iterable[str]) -> None:
    """Write to standard output, and wait for its reader: where nothing else waits.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        sys.stdout.writelines(pieces)
        sys.stdout.flush()
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from error


def _write(descriptor: int, chunk: bytes) -> int:
    try:
        return os.write(descriptor, chunk)
    except BlockingIOError:
        # Whoever shares the descriptor made it non-blocking.
        select.select([], [descriptor], [])
        return 0
