"""The database as the rest of Tina gets it: repositories on one open file."""

from pathlib import Path

import apsw

from tina.database.engine.engine import Engine
from tina.database.files.filesystem import refuse_network_disk
from tina.database.keeping.checking import check_integrity, lost_references
from tina.database.keeping.file_lock import FileLock
from tina.database.keeping.interruption import run_in_thread
from tina.database.keeping.upgrade import upgrade
from tina.database.keeping.upkeep import Upkeep
from tina.database.leases import FileLeases
from tina.database.live.doorbell import LOOK_INTERVAL_S
from tina.database.live.watching import DatabaseLive
from tina.database.repositories.conversations import DatabaseConversations
from tina.database.repositories.grants import DatabaseGrants
from tina.database.repositories.import_origins import ImportOrigins
from tina.database.repositories.journal import DatabaseJournal
from tina.database.repositories.ledger import DatabaseLedger
from tina.database.repositories.messages import DatabaseMessages
from tina.database.repositories.tool_calls import DatabaseToolCalls
from tina.database.repositories.turns import DatabaseTurns
from tina.database.search.indexing import Indexer
from tina.database.search.search import DatabaseSearch
from tina.domain.failures import OlderFileFailure
from tina.domain.ports import Clock, IdFactory


class Database:
    """Repositories and leases on one file. Open it, and close it when done.

    Args:
        look_interval_s: how long another process' commit can stay unseen if its bell
            was not heard; None: for ever.
    """

    def __init__(
        self,
        path: Path,
        *,
        leases: Path,
        clock: Clock,
        ids: IdFactory,
        look_interval_s: float | None = LOOK_INTERVAL_S,
    ) -> None:
        self._engine = Engine(
            path, monotonic=clock.monotonic, look_interval_s=look_interval_s
        )
        self.path = path
        self.conversations = DatabaseConversations(self._engine, clock=clock, ids=ids)
        self.messages = DatabaseMessages(self._engine)
        self.turns = DatabaseTurns(self._engine, clock=clock)
        self.journal = DatabaseJournal(self._engine)
        self.tool_calls = DatabaseToolCalls(self._engine, clock=clock, ids=ids)
        self.grants = DatabaseGrants(self._engine, clock=clock, ids=ids)
        self.ledger = DatabaseLedger(self._engine)
        self.import_origins = ImportOrigins(self._engine, clock=clock)
        self.live = DatabaseLive(self._engine, clock=clock)
        self.search = DatabaseSearch(self._engine, clock=clock)
        self.indexer = Indexer(self._engine, clock=clock)
        self.leases = FileLeases(leases, ids=ids)
        self.upkeep = Upkeep(path, self._engine, clock=clock)
        self._lock = FileLock(path, clock=clock)
        self._clock = clock

    async def open(self) -> None:
        """Open the file, make it if there is none, bring it up to date if it is older.

        Raises:
            StorageFailure: it cannot be used; it is then untouched.
        """
        refuse_network_disk(self.path)
        await self._lock.share()
        try:
            await self._engine.open()
        except OlderFileFailure:
            await self._upgrade()
            await self._engine.open()

    @property
    def is_read_only(self) -> bool:
        """Whether the file can be read, but not written: each write is refused."""
        return self._engine.is_read_only

    async def check(self) -> tuple[str, ...]:
        """What is wrong with the file, in SQLite's words; empty if it is whole.

        Reads the whole file: seconds for a large one.
        """
        return await self._engine.read(_problems)

    async def close(self) -> None:
        """Finish what waits and let go of the file; bounded, and safe to call twice."""
        try:
            try:
                await self.leases.close()
            finally:
                await self._engine.close()
        finally:
            self.live.wake()
            self._lock.release()

    async def _upgrade(self) -> None:
        now = self._clock.now()
        await self._lock.claim()
        await run_in_thread(
            lambda stop: upgrade(self.path, now=now, stop=stop),
            lock=self._lock.duplicate,
        )
        await self._lock.share()


def _problems(connection: apsw.Connection) -> tuple[str, ...]:
    return (*check_integrity(connection).problems, *lost_references(connection))
