"""Moves the write-ahead log into the database file, beside the writer.

A commit that checkpoints is a commit that waits (measured: worst case 0.5 ms instead of
13 ms). So the writer never does; it rings, and this thread works, at most every 250 ms.
It starts with the first ring: a short-lived process never needs it, since the last
connection that closes moves everything.
"""

import logging
import threading
from collections.abc import Callable

import apsw

from tina.domain.failures import StorageFailure

_logger = logging.getLogger(__name__)

WAL_PAGES = 1000
"""Ring above so many pages (4 MB of 4 KiB pages)."""

PAUSE_S = 0.25


class Checkpointer:
    """Told by `ring` that the log has grown; thread-safe."""

    def __init__(self, *, open_connection: Callable[[], apsw.Connection]) -> None:
        self._open_connection = open_connection
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def ring(self, wal_pages: int) -> None:
        """Called by the writer's thread after each commit."""
        if wal_pages < WAL_PAGES or self._ended.is_set():
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
        while not self._ended.is_set():
            self._wanted.wait()
            self._wanted.clear()
            try:
                connection = connection or self._open_connection()
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except (apsw.Error, StorageFailure) as error:
                # Nothing is lost: the log holds it all, and the next ring tries again.
                _logger.warning("checkpoint_failed", extra={"error": str(error)})
            self._ended.wait(PAUSE_S)
        if connection is not None:
            connection.close()
