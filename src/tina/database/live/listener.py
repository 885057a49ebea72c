"""The thread that hears of other processes' commits, and looks.

It starts with the first watcher and ends when the database is closed: waiting costs
next to nothing. It holds a connection of its own, so that it looks without waiting for
anybody.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing

import apsw

from tina.database.engine.health import Health
from tina.database.engine.sqlite import close
from tina.database.live.changes import ChangeFeed, Tell
from tina.database.live.doorbell import Ear
from tina.domain.failures import ClosedFailure, Failure, StorageFailure

_logger = logging.getLogger(__name__)


class Listener:
    """Runs the thread.

    Args:
        make_ear: called in the thread.
        open_connection: called in the thread; a connection, and whether it is good for
            one look only.
    """

    def __init__(
        self,
        feed: ChangeFeed,
        health: Health,
        *,
        make_ear: Callable[[], Ear],
        open_connection: Callable[[], tuple[apsw.Connection, bool]],
    ) -> None:
        self._feed = feed
        self._health = health
        self._make_ear = make_ear
        self._open_connection = open_connection
        self._ended = threading.Event()
        self._ear: Ear | None = None
        self._thread: threading.Thread | None = None
        self._is_blind = False

    def start(self, tell: Tell, *, on_ready: Callable[[Failure | None], None]) -> None:
        """Start the thread; nothing is missed of what is committed after `on_ready`.

        Args:
            tell: called with what changed, in the writer's or the listener's thread.
            on_ready: called once, in any thread; with why, if it could not start.
        """
        if self._ended.is_set():
            on_ready(ClosedFailure("The database was closed."))
            return
        self._thread = threading.Thread(
            target=self._run, args=(tell, on_ready), name="tina-listener", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread; blocks, so call it in a thread."""
        self._ended.set()
        if self._ear is not None:
            self._ear.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, tell: Tell, on_ready: Callable[[Failure | None], None]) -> None:
        with ExitStack() as stack:
            try:
                ear = self._ear = stack.enter_context(closing(self._open_ear()))
                eye = stack.enter_context(closing(Eye(self._open_connection)))
                with self._health.judged():
                    self._feed.listen(eye.connection, tell)
            except StorageFailure as failure:
                on_ready(failure)
                return
            stack.callback(self._feed.fall_silent)
            on_ready(None)
            while not self._ended.is_set():
                ear.wait()
                self._look(eye)

    def _open_ear(self) -> Ear:
        try:
            return self._make_ear()
        except OSError as error:
            raise StorageFailure(
                f"Changes of the database cannot be watched: {error.strerror}. "
                "Close something that Tina has open, and try again."
            ) from error

    def _look(self, eye: "Eye") -> None:
        try:
            with self._health.judged():
                self._feed.look(eye.look())
        except StorageFailure as failure:
            # Nothing is lost: the next look begins where this one would have.
            if not self._is_blind:
                _logger.warning("changes_not_seen", extra={"error": failure.message})
            self._is_blind = True
        else:
            self._is_blind = False


class Eye:
    """A connection to look with; one that is good for one look is opened anew.

    Raises:
        StorageFailure: the file cannot be read here.
    """

    def __init__(
        self, open_connection: Callable[[], tuple[apsw.Connection, bool]]
    ) -> None:
        self._open_connection = open_connection
        self.connection, self._is_for_one_look = open_connection()

    def look(self) -> apsw.Connection:
        """The connection, as it sees the file now."""
        if self._is_for_one_look:
            opened = self._open_connection()
            close(self.connection)
            self.connection, self._is_for_one_look = opened
        return self.connection

    def close(self) -> None:
        close(self.connection)
