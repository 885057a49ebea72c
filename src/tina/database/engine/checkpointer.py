"""Moves the write-ahead log into the database file, beside the writer.

A commit that checkpoints is a commit that waits (measured: worst case 0.5 ms instead of
13 ms). So the writer never does; it rings, and this thread works, at most every 250 ms.
It starts with the first ring: a short-lived process never needs it, since the last
connection that closes moves everything.

Theory. The log begins anew when all of it was moved and nobody reads from it. Under a
flood of writes this thread never gets there, since each time it is done there is more;
so above 32 MiB the writer itself moves the rest, which can take it some milliseconds,
or waits a moment for the thread that is at it.
When no ring has come for a while the log is cut to nothing. A long read can stop all of
this; then the log grows, and from 256 MiB on that is logged.
"""

import logging
import threading
from collections.abc import Callable

import apsw

from tina.domain.failures import StorageFailure

_logger = logging.getLogger(__name__)

WAL_PAGES = 1000
"""Ring above so many pages (4 MB of 4 KiB pages)."""

FLOOD_PAGES = 8192
ALARM_PAGES = 65_536

PAUSE_S = 0.25
IDLE_S = 5.0

HOLD_S = 0.25
"""So long a commit may wait for the thread, once the log is large."""

PATIENCE_MS = 50
"""So long the cut may wait for readers; writers wait meanwhile."""


class Checkpointer:
    """Told by `ring` that the log has grown; thread-safe.

    Args:
        open_connection, close_connection: called in the thread.
    """

    def __init__(
        self,
        *,
        open_connection: Callable[[], apsw.Connection],
        close_connection: Callable[[apsw.Connection], None] = apsw.Connection.close,
    ) -> None:
        self._open_connection = open_connection
        self._close_connection = close_connection
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_alarmed = False
        self._is_free = threading.Event()
        """Whether the thread is not moving anything just now."""
        self._is_free.set()

    def ring(self, connection: apsw.Connection, wal_pages: int) -> None:
        """Called by the writer's thread, with its connection, after each commit."""
        if wal_pages < WAL_PAGES:
            self._is_alarmed = False
        elif wal_pages < FLOOD_PAGES:
            self.wake()
        else:
            self._hold_back(connection, wal_pages)

    def _hold_back(self, connection: apsw.Connection, wal_pages: int) -> None:
        if wal_pages >= ALARM_PAGES and not self._is_alarmed:
            self._is_alarmed = True
            # Said once: somebody reads for very long, and nothing else can be done.
            _logger.warning("log_is_large", extra={"pages": wal_pages})
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            # The thread is at it: on a slow disk writers would leave it behind.
            self._is_free.wait(HOLD_S)
        except apsw.Error as error:
            _logger.warning("checkpoint_failed", extra={"error": str(error)})

    def wake(self) -> None:
        """Checkpoint soon: on a full disk the log then has room to begin anew."""
        if self._ended.is_set():
            return
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._run, name="tina-checkpointer", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Call it after the writer has stopped; blocks, so call it in a thread."""
        self._ended.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        is_cut = False
        while not self._ended.is_set():
            is_rung = self._wanted.wait(None if is_cut else IDLE_S)
            self._wanted.clear()
            try:
                connection = connection or self._connect()
                is_cut = self._checkpoint(connection, is_idle=not is_rung)
            except (apsw.Error, StorageFailure) as error:
                # Nothing is lost: the log holds it all, and the next ring tries again.
                _logger.warning("checkpoint_failed", extra={"error": str(error)})
            self._ended.wait(PAUSE_S)
        if connection is not None:
            self._close_connection(connection)

    def _connect(self) -> apsw.Connection:
        connection = self._open_connection()
        connection.set_busy_timeout(PATIENCE_MS)
        return connection

    def _checkpoint(self, connection: apsw.Connection, *, is_idle: bool) -> bool:
        """Returns whether the log is empty now."""
        self._is_free.clear()
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if is_idle:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return False  # another process is at it, or somebody reads just now
        finally:
            self._is_free.set()
        return is_idle
