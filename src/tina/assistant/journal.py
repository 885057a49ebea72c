"""Writes what running answers say into the database, a little at a time.

25 ms after the first unwritten event everything that waits, of all answers, goes into
one transaction. With the time a commit takes, a killed process loses at most 50 ms.
"""

import logging
from collections.abc import Sequence

import anyio

from tina.domain.events import StreamEvent, merge_deltas
from tina.domain.failures import StorageFailure
from tina.domain.ids import MessageId
from tina.domain.ports import Clock, TurnRepository

FLUSH_DELAY_S = 0.025
RETRY_DELAY_S = 1.0

_logger = logging.getLogger(__name__)


class Journal:
    """Gathers events of all running answers; `run` writes them."""

    def __init__(self, turns: TurnRepository, *, clock: Clock) -> None:
        self._turns = turns
        self._clock = clock
        self._pending: dict[MessageId, list[StreamEvent]] = {}
        self._wanted = anyio.Event()

    def add(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        self._pending.setdefault(message_id, []).extend(events)
        self._wanted.set()

    def forget(self, message_id: MessageId) -> None:
        """Drop what waits: the answer is settled, or about to be."""
        self._pending.pop(message_id, None)

    async def run(self) -> None:
        """Write for ever; ends by cancellation, between two transactions or in one."""
        while True:
            await self._wanted.wait()
            await self._clock.sleep(FLUSH_DELAY_S)
            # Taken without an await in between: what comes now waits for the next.
            self._wanted = anyio.Event()
            batch, self._pending = self._pending, {}
            if not await self._write(batch):
                await self._clock.sleep(RETRY_DELAY_S)

    async def _write(self, batch: dict[MessageId, list[StreamEvent]]) -> bool:
        merged = {key: merge_deltas(events) for key, events in batch.items()}
        if not merged:
            return True
        try:
            await self._turns.append(merged)
        except StorageFailure as failure:
            # The answers go on in memory; what was not written is tried again.
            _logger.warning("journal_not_written", extra={"kind": failure.kind})
            for key, events in batch.items():
                self._pending[key] = events + self._pending.get(key, [])
            self._wanted.set()
            return False
        except Exception:
            # The supervisor's door: trying the same again would fail the same way, and
            # without this task no answer would be written any more. The answers' ends
            # still store all of it.
            _logger.exception("journal_dropped")
        return True
