"""One query and all who watch it: read once for any number of them.

Theory. `version` counts what may have changed the answer, `read_version` is the version
that the last reading began with: subscribe first, read later, remember the version
before reading. A reading happens when a watcher asks and the answer is stale. It takes
what is newest, so nothing queues for a slow watcher. `serial` counts answers that
differ, so an equal one is nobody's news. Who asks is content with any reading that
began with the version it asked at: on a busy topic a still newer one would never come.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio


class SharedQuery:
    """The answer of one query.

    Args:
        read: asks the database; its failure goes to the watcher that waited for it.
    """

    def __init__(self, read: Callable[[], Awaitable[Any]]) -> None:
        self._read = read
        self._version = 0
        self._read_version = -1
        self._serial = 0
        self._value: Any = None
        self._changed = anyio.Event()
        self._reading: anyio.Event | None = None
        self.watchers = 0

    def mark_stale(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = anyio.Event()

    async def next(self, seen: int) -> tuple[int, Any]:
        """Wait for an answer that is another one than number `seen`.

        Returns:
            Its number and the answer. The first number is 1.
        """
        wanted = self._version
        while True:
            if self._read_version < wanted:
                await self._refresh()
            elif self._serial != seen:
                return self._serial, self._value
            elif self._version != self._read_version:
                wanted = self._version
            else:
                await self._changed.wait()

    async def _refresh(self) -> None:
        """Read, or wait for the one who does.

        Should that one fail or be cancelled, the next to look reads.
        """
        if self._reading is not None:
            await self._reading.wait()
            return
        reading = self._reading = anyio.Event()
        version = self._version
        try:
            value = await self._read()
        finally:
            self._reading = None
            reading.set()
        if self._serial == 0 or value != self._value:
            self._serial += 1
            self._value = value
        self._read_version = version
