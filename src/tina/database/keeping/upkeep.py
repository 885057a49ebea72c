"""What keeps a database in good order while Tina runs: once a day, in the background.

A backup, the removal of what was deleted long ago, and SQLite's own statistics.
"""

import logging
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import apsw

from tina.database.daos import journal
from tina.database.engine.engine import Engine
from tina.database.files.backup_folder import BackupFolder
from tina.database.files.filesystem import stored_bytes
from tina.database.keeping.backups import make_daily_backup
from tina.database.keeping.interruption import run_in_thread
from tina.database.mappers.values import to_milliseconds
from tina.domain.conversations import KEPT_AFTER_DELETION
from tina.domain.failures import ClosedFailure
from tina.domain.keeping import Backup, BackupKind
from tina.domain.ports import Clock

_logger = logging.getLogger(__name__)

BACKUP_AGE = timedelta(hours=24)

START_DELAY_S = 1.0
"""Whoever asks one quick question should not share the processor with a backup."""
LOOK_INTERVAL_S = 3600.0
QUICK_BYTES = 256 * 1024 * 1024
"""A backup of so much takes about a second and a half."""
PAUSE_S = 0.005
"""Between two conversations: another process may be waiting to write."""

# One conversation a transaction, so that no other writer waits for long.
_PURGE_ONE = """
DELETE FROM conversations WHERE rid = (
  SELECT rid FROM conversations WHERE deleted_at < :before ORDER BY deleted_at LIMIT 1
)
"""

_HAS_DELETED = "SELECT EXISTS (SELECT 1 FROM conversations WHERE deleted_at < :before)"

_FIRST_MESSAGE_AT = "SELECT created_at FROM messages ORDER BY rid LIMIT 1"

_HAS_MESSAGES = "SELECT EXISTS (SELECT 1 FROM messages)"


class Upkeep:
    """The daily work on one open database. Its owner runs `run` in a task."""

    def __init__(self, path: Path, engine: Engine, *, clock: Clock) -> None:
        self._path = path
        self._engine = engine
        self._clock = clock
        self._written = anyio.Event()
        engine.after_write(self._note_write)

    async def run(self) -> None:
        """Do what is due; look again when something is written an hour later or more.

        Until cancelled or closed. When cancelled, a backup that is being made is given
        up and leaves nothing.
        """
        await self._clock.sleep(START_DELAY_S)
        while True:
            try:
                await self.run_once()
            except ClosedFailure:
                return
            except Exception:
                # The supervisor's door: tomorrow is another day.
                _logger.exception("upkeep_failed")
            await self._next_look()

    async def _next_look(self) -> None:
        next_s = self._clock.monotonic() + LOOK_INTERVAL_S
        while self._clock.monotonic() < next_s:
            self._written = anyio.Event()
            await self._written.wait()

    def _note_write(self) -> None:
        self._written.set()

    async def run_once(self) -> Backup | None:
        """Do what is due now; the backup, if one was.

        Raises:
            StorageFailure: it could not be done; nothing half is left.
        """
        await self.purge(self._clock.now() - KEPT_AFTER_DELETION)
        if not self._is_backup_due():
            return None
        if not await self._engine.read(_has_messages):
            return None
        now = self._clock.now()
        backup = await run_in_thread(
            lambda stop: make_daily_backup(self._path, now=now, stop=stop)
        )
        await self._engine.write(_optimize, is_durable=False)
        return backup

    async def catch_up(self) -> Backup | None:
        """Make the backup that is overdue, if that is quickly done.

        For whoever leaves: of short commands none lives long enough for `run`.

        Raises:
            StorageFailure: it could not be done; nothing half is left.
        """
        if stored_bytes(self._path) > QUICK_BYTES or not await self._is_overdue():
            return None
        now = self._clock.now()
        return await run_in_thread(
            lambda stop: make_daily_backup(self._path, now=now, stop=stop)
        )

    async def _is_overdue(self) -> bool:
        """Whether a day went by since the last one, or since the first message."""
        if BackupFolder(self._path).newest(BackupKind.DAILY) is not None:
            return self._is_backup_due()
        first = await self._engine.read(_first_message_at)
        latest = to_milliseconds(self._clock.now() - BACKUP_AGE)
        return first is not None and first <= latest

    async def purge(self, before: datetime) -> int:
        """Remove for good what was deleted before that time; how many conversations.

        What they held goes with them; only the ledger of usage stays.
        """
        purged, limit = 0, to_milliseconds(before)
        while await self._engine.read(partial(_has_deleted, before=limit)):
            await self._engine.write(
                partial(_purge_one, before=limit), is_durable=False
            )
            purged += 1
            await self._clock.sleep(PAUSE_S)
        return purged

    def _is_backup_due(self) -> bool:
        newest = BackupFolder(self._path).newest(BackupKind.DAILY)
        now = self._clock.now()
        # One of the future is of a clock that was wrong: it must not stop backups.
        return newest is None or not (timedelta(0) <= now - newest.made_at < BACKUP_AGE)


def _has_deleted(connection: apsw.Connection, before: int) -> bool:
    return bool(connection.execute(_HAS_DELETED, {"before": before}).get)


def _purge_one(connection: apsw.Connection, before: int) -> None:
    connection.execute(_PURGE_ONE, {"before": before})
    journal.trim(connection)  # of answers that were still being written


def _first_message_at(connection: apsw.Connection) -> int | None:
    found: int | None = connection.execute(_FIRST_MESSAGE_AT).get
    return found


def _has_messages(connection: apsw.Connection) -> bool:
    return bool(connection.execute(_HAS_MESSAGES).get)


def _optimize(connection: apsw.Connection) -> None:
    connection.execute("PRAGMA optimize")
