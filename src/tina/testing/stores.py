"""Everything that is kept, in memory: give it to `tina.open(stores=...)`."""

from tina.domain.ids import LeaseId
from tina.domain.ports import (
    Clock,
    IdFactory,
    LiveQueries,
    MessageRepository,
    TurnRepository,
)
from tina.testing.live import MemoryLive
from tina.testing.memory import MemoryDatabase, MemoryLeases
from tina.testing.search import MemorySearch


class MemoryStores:
    """Repositories, live queries, search and leases on the same rows.

    Args:
        alive: the leases that are held, if several processes share them.
    """

    def __init__(
        self, *, clock: Clock, ids: IdFactory, alive: set[LeaseId] | None = None
    ) -> None:
        self.clock = clock
        self.ids = ids
        self.rows = MemoryDatabase(clock=clock, ids=ids)
        self.conversations = self.rows.conversations
        self.messages: MessageRepository = self.rows.messages
        self.turns: TurnRepository = self.rows.turns
        self.journal = self.rows.journal
        self.tool_calls = self.rows.tool_calls
        self.grants = self.rows.grants
        self.ledger = self.rows.ledger
        self.live: LiveQueries = MemoryLive(
            self.rows, waiting=self.tool_calls.waiting, clock=clock
        )
        self.search = MemorySearch(
            self.rows.conversations_by_id, self.rows.messages_by_id
        )
        self.leases = MemoryLeases(ids=ids, alive=alive)
