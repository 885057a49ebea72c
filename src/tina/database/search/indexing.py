"""Keeps the full-text index up to date, off the hot path.

A message costs its writer one row in a backlog. It is indexed some time later, many at
once (measured: a third of the price), newest first, by the `Indexer` of a process that
lives long enough, or by whoever searches first. Any process may do it at any time: a
batch is one transaction.
"""

import logging
from functools import partial

import anyio

from tina.database.daos import search as dao
from tina.database.engine.engine import Engine
from tina.domain.failures import ClosedFailure
from tina.domain.ports import Clock

_logger = logging.getLogger(__name__)

BATCH = 100
BATCH_BYTES = 512 * 1024
"""Of text, so that a batch keeps no other writer waiting for long."""

GATHER_S = 1.0
"""How long the indexer waits for more, once something was written."""

PAUSE_S = 0.005
"""Between two batches: another process may be waiting to write."""


async def index_some(engine: Engine, *, limit: int = BATCH) -> int:
    """Index the newest messages that are not; how many. Cancelled: whole or not at all.

    Raises:
        StorageFailure: none was indexed.
    """
    # Not durable: what a power cut takes from the index, it gives back to the backlog.
    return await engine.write(
        partial(dao.index_newest, limit=limit, max_bytes=BATCH_BYTES), is_durable=False
    )


class Indexer:
    """Indexes what was written, in the background. Its owner runs `run` in a task."""

    def __init__(self, engine: Engine, *, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._rung = anyio.Event()
        self._rung.set()  # something may be left from before
        engine.after_write(self._ring)

    async def run(self) -> None:
        """Index until it is cancelled, or the database is closed."""
        while True:
            await self._rung.wait()
            await self._clock.sleep(GATHER_S)
            # Renewed before looking: what is written later rings again.
            self._rung = anyio.Event()
            try:
                await self._index_all()
            except ClosedFailure:
                return
            except Exception:
                # The supervisor's door: a search indexes what is left here.
                _logger.exception("indexing_failed")

    def _ring(self) -> None:
        self._rung.set()

    async def _index_all(self) -> None:
        # A look costs readers nothing, a write would make every other one wait.
        while await self._engine.read(dao.has_backlog):
            await index_some(self._engine)
            await self._clock.sleep(PAUSE_S)
