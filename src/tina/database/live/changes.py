"""The log of changes, looked at by two threads and told to the event loop.

The writer's thread looks inside its own transactions, the listener's thread when
another process rang. `_last` is the row both have told up to. A lock is held from the
look to the moment `_last` moves, also around the commit, so that nothing is told twice
and nothing is passed over. While nobody watches, a commit costs only the ring.
"""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import apsw

from tina.database.daos import change_log
from tina.database.live.doorbell import Doorbell

MAX_CHANGES = 5000
"""More at once are told as "anything may have changed"."""
KEPT_CHANGES = 10_000
COMMITS_BETWEEN_TRIMS = 1000


class Topic(NamedTuple):
    """A table of the log and one of its keys; None stands for every key."""

    name: str
    key: bytes | None


Changes: TypeAlias = frozenset[Topic] | None
"""What changed; None means that anything may have."""

Tell: TypeAlias = Callable[[Changes], None]


class ChangeFeed:
    """Where the threads that look and the loop that is told meet."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._lock = threading.Lock()
        self._tell: Tell | None = None
        self._last = 0
        self._commits = 0

    @contextmanager
    def committing(self, connection: apsw.Connection) -> Generator[None]:
        """Put around the COMMIT of a transaction; called by the writer's thread.

        Whoever watches in this process is told before the writers are.
        """
        self._commits += 1  # before the trim: one that fails is not tried each time
        if self._commits % COMMITS_BETWEEN_TRIMS == 1:
            change_log.trim(connection, kept=KEPT_CHANGES)
        if self._tell is None:
            yield
        else:
            with self._lock:
                last, changes = _look(connection, self._last)
                yield
                self._pass_on(last, changes)
        self._doorbell.ring()

    def listen(self, connection: apsw.Connection, tell: Tell) -> None:
        """Tell from now on; called by the listener's thread, with its connection."""
        with self._lock:
            self._last = change_log.last_id(connection)
            self._tell = tell

    def look(self, connection: apsw.Connection) -> None:
        """Tell what other processes changed; called by the listener's thread.

        It tells also if nothing changed: the journal has no log.
        """
        with self._lock:
            last, changes = _look(connection, self._last)
            self._pass_on(last, changes)
            if self._tell is not None and changes == frozenset():
                self._tell(changes)

    def fall_silent(self) -> None:
        with self._lock:
            self._tell = None

    def _pass_on(self, last: int, changes: Changes) -> None:
        self._last = last
        if self._tell is not None and changes != frozenset():
            self._tell(changes)


def _look(connection: apsw.Connection, after: int) -> tuple[int, Changes]:
    """The newest row of the log, and what changed after row `after`."""
    last = change_log.last_id(connection)
    if last == after:
        return last, frozenset()
    if last < after or last - after > MAX_CHANGES:  # another file, or a flood
        return last, None
    # Bounded by `last`: what another process adds meanwhile is the next look's.
    rows = change_log.between(connection, after=after, last=last)
    if len(rows) != last - after:  # ids have no holes, so the log was trimmed
        return last, None
    return last, frozenset(Topic(name, key) for name, key in rows)
