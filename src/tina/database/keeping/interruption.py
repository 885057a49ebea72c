"""Long work on a file, in a thread of its own, that can be asked to end.

This module needs the event loop itself: the result is handed over from a thread.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import apsw

T = TypeVar("T")

STOP_LIMIT_S = 2.0
_STEPS_BETWEEN_LOOKS = 10_000
"""Of SQLite's virtual machine: about a millisecond."""


class StoppedError(Exception):
    """The work was asked to stop and has left nothing half."""


class Stop:
    """Asks work in a thread to end; thread-safe."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def ask(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Between two steps of the work.

        Raises:
            StoppedError: it was asked to stop.
        """
        if self._event.is_set():
            raise StoppedError

    def watch(self, connection: apsw.Connection) -> None:
        """Let the connection's statements look, too: they end with an error then.

        Unlike an interrupt, which is lost if it comes between two statements.
        """
        self.check()
        connection.set_progress_handler(self._event.is_set, _STEPS_BETWEEN_LOOKS)


async def run_in_thread(
    work: Callable[[Stop], T], *, lock: Callable[[], int | None] | None = None
) -> T:
    """Run `work` in a thread; when cancelled, ask it to stop and wait for its end.

    The wait is bounded. Should the work outlive it, it keeps what it needs: the copy of
    the file lock that `lock` makes is closed when it ends.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    stop = Stop()
    kept = None if lock is None else lock()

    def run() -> None:
        value, error = None, None
        try:
            value = work(stop)
        except BaseException as caught:  # noqa: BLE001
            # The supervisor's door: it is raised where the work was asked for.
            error = caught
        finally:
            if kept is not None:
                os.close(kept)
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, done, value, error)

    thread = threading.Thread(target=run, name="tina-keeper", daemon=True)
    thread.start()
    try:
        return await done
    except asyncio.CancelledError:
        stop.ask()
        with anyio.move_on_after(STOP_LIMIT_S, shield=True):
            await anyio.to_thread.run_sync(thread.join, abandon_on_cancel=True)
        raise


def _settle(
    done: "asyncio.Future[Any]", value: object, error: BaseException | None
) -> None:
    if done.done():  # cancelled
        return
    if error is None:
        done.set_result(value)
    else:
        done.set_exception(error)
