"""Lines that are piped in, one at a time.

Read by a daemon thread, which cannot keep the program from ending, one line ahead at
most. Knows the event loop itself: the thread wakes it.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress

from tina.cli.standard_input import StdinKind, stdin_kind
from tina.domain.failures import InvalidInputFailure

MAX_LINE_BYTES = 10 * 1024 * 1024


async def piped_lines(fd: int = 0) -> AsyncGenerator[str]:
    """Each line without its end, until the input ends; nothing for a terminal.

    Raises:
        InvalidInputFailure: a line is too long.
    """
    if stdin_kind(fd) is not StdinKind.PIPED:
        return
    loop = asyncio.get_running_loop()
    wanted = threading.Semaphore(0)
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(1)

    def read() -> None:
        # The loop is closed when nobody waits any more: then nobody is told.
        with suppress(RuntimeError, OSError), os.fdopen(os.dup(fd), "rb") as file:
            while True:
                wanted.acquire()
                line = file.readline(MAX_LINE_BYTES + 1)
                loop.call_soon_threadsafe(lines.put_nowait, line or None)
                if not line:
                    return

    threading.Thread(target=read, name="piped lines", daemon=True).start()
    while True:
        wanted.release()
        line = await lines.get()
        if line is None:
            return
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInputFailure(
                f"A piped line is longer than {MAX_LINE_BYTES // 1024 // 1024} MiB."
            )
        yield line.decode("utf-8", "replace").rstrip("\r\n")
