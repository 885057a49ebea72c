"""Ctrl-C and SIGTERM as cancellation, once; the second Ctrl-C ends the process.

This module needs the event loop itself: only it can be told of signals.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import anyio

from tina.cli.exits import Exit

_CODES = {signal.SIGINT: Exit.INTERRUPTED, signal.SIGTERM: Exit.TERMINATED}


class Interruption:
    """Whether and how a person or the system asked to end; `code` is None if not."""

    def __init__(self) -> None:
        self.code: Exit | None = None

    @property
    def is_from_person(self) -> bool:
        return self.code is Exit.INTERRUPTED


async def interruptible(work: Callable[[Interruption], Awaitable[int]]) -> int:
    """Run `work`; a signal cancels it, and the code is then the signal's.

    What `work` does about it is `work`'s own: it may ask the interruption why.
    """
    interruption = Interruption()
    loop = asyncio.get_running_loop()
    with anyio.CancelScope() as scope:

        def interrupt(code: Exit) -> None:
            interruption.code = interruption.code or code
            loop.remove_signal_handler(signal.SIGINT)
            scope.cancel()

        for number, code in _CODES.items():
            loop.add_signal_handler(number, interrupt, code)
        try:
            return await work(interruption)
        finally:
            for number in _CODES:
                loop.remove_signal_handler(number)
    return interruption.code or Exit.FAILED
