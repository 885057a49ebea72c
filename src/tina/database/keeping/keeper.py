"""The database as a whole file: its state, backups, restore, checks and repairs.

For a file that nobody in this process has open, and that may be one that cannot be
opened: damaged, older, newer. Each call takes the file lock, together with others where
it only reads, alone where it changes the file as a whole.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from msgspec import structs

from tina.database.files.backup_folder import BackupFolder
from tina.database.files.filesystem import refuse_network_disk
from tina.database.keeping.backups import (
    holds_conversations,
    make_backup,
    make_copy,
)
from tina.database.keeping.checking import find_problems
from tina.database.keeping.file_lock import FileLock
from tina.database.keeping.interruption import Stop, run_in_thread
from tina.database.keeping.repair import repair
from tina.database.keeping.restoring import preview_restore, restore
from tina.database.keeping.status import read_status, unread_status
from tina.database.keeping.upgrade import upgrade
from tina.database.keeping.vacuum import vacuum
from tina.database.leases import FileLeases
from tina.domain.failures import BusyFailure, NotFoundFailure
from tina.domain.keeping import (
    Backup,
    BackupKind,
    DatabaseStatus,
    Migration,
    Repair,
    Restored,
    RestorePreview,
    TurnHolder,
    Vacuumed,
)
from tina.domain.ports import Clock

T = TypeVar("T")


class DatabaseKeeper:
    """Looks after one file. Each method may be cancelled: done whole or not at all."""

    def __init__(self, path: Path, *, leases: FileLeases, clock: Clock) -> None:
        self.path = path
        self._leases = leases
        self._clock = clock
        self._lock = FileLock(path, clock=clock)

    def now(self) -> datetime:
        """The time that ages of backups are told from."""
        return self._clock.now()

    async def status(self) -> DatabaseStatus:
        """State of the file, whatever it is; nothing is changed."""
        now = self._clock.now()
        try:
            status = await self._shared(
                lambda stop: read_status(self.path, now=now, stop=stop)
            )
        except BusyFailure as failure:
            return unread_status(self.path, failure.message, now=now)
        if status.contents is None:
            return status
        turns = [await self._found(turn) for turn in status.contents.open_turns]
        contents = structs.replace(status.contents, open_turns=tuple(turns))
        return structs.replace(status, contents=contents)

    async def migrate(self) -> Migration | None:
        """Bring an older file up to date; None if it is."""
        self._require_file()
        now = self._clock.now()
        return await self._alone(lambda stop: upgrade(self.path, now=now, stop=stop))

    async def back_up(self, target: Path | None = None) -> Backup:
        """Make a backup, in the folder of backups or as a file of that name.

        Raises:
            InvalidInputFailure: there is a file of that name.
            NotFoundFailure: there is no database, or no conversation in it.
            ForeignFileFailure: it is another program's.
        """
        self._require_file()
        now = self._clock.now()

        def work(stop: Stop) -> Backup:
            if not holds_conversations(self.path, stop=stop):
                raise NotFoundFailure(
                    "There is nothing to back up yet: the database "
                    f"{self.path} holds no conversation."
                )
            if target is not None:
                return make_copy(self.path, target, now=now, stop=stop)
            return make_backup(self.path, BackupKind.MANUAL, now=now, stop=stop)

        return await self._shared(work)

    def backups(self) -> tuple[Backup, ...]:
        """All in the folder of backups, newest first."""
        return BackupFolder(self.path).list()

    def find_backup(self, name: str) -> Backup:
        """The backup of that name, or a file.

        Raises:
            NotFoundFailure: there is none.
        """
        return BackupFolder(self.path).find(name)

    async def preview(self, backup: Backup) -> RestorePreview:
        """What restoring it would change; nothing is changed yet."""
        return await self._shared(
            lambda stop: preview_restore(self.path, backup, stop=stop)
        )

    async def restore(self, backup: Backup) -> Restored:
        """Put the backup in the place of the database, which is kept.

        Where that would change nothing, nothing is done.
        """
        now = self._clock.now()
        return await self._alone(
            lambda stop: restore(self.path, backup, now=now, stop=stop)
        )

    async def check(self) -> tuple[str, ...]:
        """What is wrong with the file; empty if it is whole, or there is none."""
        if not self.path.exists():
            return ()
        return await self._shared(lambda stop: find_problems(self.path, stop=stop))

    async def vacuum(self) -> Vacuumed:
        """Give back the room of what was deleted."""
        self._require_file()
        return await self._alone(lambda stop: vacuum(self.path, stop=stop))

    async def repair(self) -> Repair:
        """Mend what can be made anew; save what can be read of a damaged file."""
        now = self._clock.now()
        return await self._alone(lambda stop: repair(self.path, now=now, stop=stop))

    async def _shared(self, work: Callable[[Stop], T]) -> T:
        refuse_network_disk(self.path)
        async with self._lock.shared():
            return await run_in_thread(work, lock=self._lock.duplicate)

    async def _alone(self, work: Callable[[Stop], T]) -> T:
        refuse_network_disk(self.path)
        async with self._lock.alone():
            return await run_in_thread(work, lock=self._lock.duplicate)

    def _require_file(self) -> None:
        if not self.path.exists():
            raise NotFoundFailure(
                f"There is no database yet; it would be {self.path}. "
                'Ask something: tina "Who are you?"'
            )

    async def _found(self, turn: TurnHolder) -> TurnHolder:
        if turn.lease_id is None:
            return turn
        return structs.replace(
            turn,
            is_alive=await self._leases.is_held(turn.lease_id),
            pid=self._leases.pid_of(turn.lease_id),
        )
