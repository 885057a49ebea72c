"""One answer on its way from the engine's thread to the event loop.

Theory. The thread `offer`s a chunk for each token; the loop `take`s all that came since
it last looked. Only the first chunk of a batch wakes the loop, so a busy loop is woken
once however much was said meanwhile. Stopping is a flag that the thread reads at its
next chunk. A reader that takes nothing holds the thread up when the queue is full, but
not for ever: then the answer is given up, or everybody behind it would wait, too.

This module needs the loop itself, to be woken from another thread.
"""

import asyncio
from concurrent.futures import Future
from threading import Condition

from tina.domain.failures import ClosedFailure

MOST_WAITING = 1024
STALLED_S = 60.0


class Generation:
    """The hand-over of one answer; made on the loop that will take it."""

    def __init__(
        self, *, most_waiting: int = MOST_WAITING, stalled_s: float = STALLED_S
    ) -> None:
        """Make it, empty.

        Args:
            most_waiting: chunks, each a token, that may wait to be taken.
            stalled_s: how long the thread waits for room before it gives up.
        """
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._changed = Condition()
        self._most_waiting = most_waiting
        self._stalled_s = stalled_s
        # Below: read and written only under `_changed`, by both sides.
        self._waiting: list[str] = []
        self._is_stopped = False
        self._is_over = False
        self._error: BaseException | None = None

    def offer(self, chunk: str) -> bool:
        """Thread: hand over a chunk; True tells the engine to stop. Never raises."""
        with self._changed:
            has_room = self._changed.wait_for(self._may_go_on, self._stalled_s)
            if self._is_stopped or not has_room:
                return True
            self._waiting.append(chunk)
            is_first = len(self._waiting) == 1
        return self._loop.is_closed() or (is_first and not self._wake())

    def end(self, future: "Future[None]") -> None:
        """Thread: nothing follows; `future` says how it ended."""
        with self._changed:
            self._is_over = True
            if not future.cancelled():
                self._error = future.exception()
        self._wake()

    @property
    def is_stopped(self) -> bool:
        with self._changed:
            return self._is_stopped

    async def take(self) -> list[str]:
        """Loop: what was said since the last call, in order; empty once it is over.

        Raises:
            ClosedFailure: it was stopped before it was over.
            Whatever the engine's thread raised, after the last chunk was taken.
        """
        while True:
            self._woken.clear()
            with self._changed:
                batch, self._waiting = self._waiting, []
                self._changed.notify()
                is_over, is_stopped = self._is_over, self._is_stopped
                error = self._error
            if batch:
                return batch
            if is_stopped:
                raise ClosedFailure("The local engine was closed while it answered.")
            if error is not None:
                raise error
            if is_over:
                return []
            await self._woken.wait()

    def stop(self) -> None:
        """Loop: ask the thread to end it within one chunk; does not wait."""
        with self._changed:
            self._is_stopped = not self._is_over
            self._changed.notify()
        self._woken.set()

    def _may_go_on(self) -> bool:
        return self._is_stopped or len(self._waiting) < self._most_waiting

    def _wake(self) -> bool:
        """Whether there still is a loop to hear it."""
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:  # the loop is closed: nobody will take anything
            return False
        return True
