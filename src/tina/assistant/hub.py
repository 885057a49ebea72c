"""What one running answer says, for any number of readers in this process."""

from collections.abc import AsyncGenerator, Sequence

import anyio

from tina.domain.events import StreamEvent


class EventLog:
    """Grows while the answer does.

    A reader pulls at its own pace and misses nothing; a slow one costs nobody
    anything, since nothing queues for it.
    """

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._is_ended = False
        self._changed = anyio.Event()

    def append(self, events: Sequence[StreamEvent]) -> None:
        self._events.extend(events)
        self._wake()

    def end(self) -> None:
        self._is_ended = True
        self._wake()

    async def read(self) -> AsyncGenerator[StreamEvent]:
        """Every event from the first on, until the answer ends."""
        position = 0
        while True:
            # Taken before looking: what is added later sets this very event.
            changed = self._changed
            while position < len(self._events):
                yield self._events[position]
                position += 1
            if self._is_ended:
                return
            await changed.wait()

    async def changes(self) -> AsyncGenerator[None]:
        """Yields once now, then after changes, until the answer ends; none queue."""
        while True:
            changed = self._changed
            yield
            if self._is_ended:
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
