"""The database as the rest of Tina gets it: repositories on one open file."""

from pathlib import Path

import apsw

from tina.database.engine import Engine
from tina.database.leases import FileLeases
from tina.database.repositories.conversations import DatabaseConversations
from tina.database.repositories.messages import DatabaseMessages
from tina.database.repositories.turns import DatabaseTurns
from tina.domain.ports import Clock, IdFactory


class Database:
    """Repositories and leases on one file. Open it, and close it when done."""

    def __init__(
        self, path: Path, *, leases: Path, clock: Clock, ids: IdFactory
    ) -> None:
        self._engine = Engine(path, monotonic=clock.monotonic)
        self.path = path
        self.conversations = DatabaseConversations(self._engine, clock=clock, ids=ids)
        self.messages = DatabaseMessages(self._engine)
        self.turns = DatabaseTurns(self._engine, clock=clock)
        self.leases = FileLeases(leases, ids=ids)

    async def open(self) -> None:
        """Open the file, make it if there is none.

        Raises:
            StorageFailure: it cannot be used; it is then untouched.
        """
        await self._engine.open()

    async def check(self) -> tuple[str, ...]:
        """What is wrong with the file, in SQLite's words; empty if it is whole.

        Reads the whole file: seconds for a large one.
        """
        return await self._engine.read(_problems)

    async def close(self) -> None:
        await self.leases.close()
        await self._engine.close()


def _problems(connection: apsw.Connection) -> tuple[str, ...]:
    found = [text for (text,) in connection.execute("PRAGMA integrity_check")]
    problems = [] if found == ["ok"] else found
    for table, rid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        problems.append(f"row {rid} of {table} has no {parent}")
    return tuple(problems)
