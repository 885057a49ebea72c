"""Writes what running answers say into the database, a little at a time.

25 ms after the first unwritten event everything that waits, of all answers, goes into
one transaction. With the time a commit takes, a killed process loses at most 50 ms.

An answer that runs for long is folded now and then: one row takes the place of all its
rows before, so that the journal does not grow with the slowest answer. The same cures
a write that failed: what waited is dropped, since the fold that follows says it again.
So nothing piles up while the disk is full, however long that lasts.
"""

import logging
from collections.abc import Iterable, Sequence

import anyio

from tina.assistant.answer import Answer
from tina.domain.events import StreamEvent, merge_deltas
from tina.domain.failures import StorageFailure
from tina.domain.ids import MessageId
from tina.domain.ports import Clock, JournalRepository

FLUSH_DELAY_S = 0.025
RETRY_DELAY_S = 1.0
FOLD_INTERVAL_S = 10.0

_logger = logging.getLogger(__name__)


class _Entry:
    """One running answer: what it said in all, and what of it is not written yet."""

    __slots__ = ("folded_at_s", "is_fold_due", "pending", "said")

    def __init__(self, said: Answer, *, now_s: float) -> None:
        self.said = said
        self.pending: list[StreamEvent] = []
        self.folded_at_s = now_s
        self.is_fold_due = False


class Journal:
    """Gathers events of all running answers; `run` writes them."""

    def __init__(self, journal: JournalRepository, *, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._entries: dict[MessageId, _Entry] = {}
        self._wanted = anyio.Event()

    def begin(self, message_id: MessageId, said: Answer) -> None:
        """Keep an answer until `forget`; `said` is what it has said at any time."""
        self._entries[message_id] = _Entry(said, now_s=self._clock.monotonic())

    def add(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        """Note what was said; `said` has it already."""
        if (entry := self._entries.get(message_id)) is not None:
            if not entry.is_fold_due:  # the fold says all of it anyway
                entry.pending.extend(events)
            self._wanted.set()

    def forget(self, message_id: MessageId) -> None:
        """Drop what waits: the answer is settled, or about to be."""
        self._entries.pop(message_id, None)

    async def run(self) -> None:
        """Write for ever; ends by cancellation, between two transactions or in one."""
        while True:
            await self._wanted.wait()
            await self._clock.sleep(FLUSH_DELAY_S)
            # Taken without an await in between: what comes now waits for the next.
            self._wanted = anyio.Event()
            if not await self._write():
                self._wanted.set()
                await self._clock.sleep(RETRY_DELAY_S)

    async def _write(self) -> bool:
        """Write what waits; False if it has to be tried again."""
        batch = self._take_batch()
        if batch and not await self._append(batch):
            return False
        due = [key for key, entry in self._entries.items() if entry.is_fold_due]
        for message_id in due:
            if not await self._fold(message_id):
                return False
        return True

    def _take_batch(self) -> dict[MessageId, list[StreamEvent]]:
        """What was said since, of answers that need no fold."""
        now_s = self._clock.monotonic()
        batch: dict[MessageId, list[StreamEvent]] = {}
        for message_id, entry in self._entries.items():
            if entry.pending and now_s - entry.folded_at_s >= FOLD_INTERVAL_S:
                entry.is_fold_due = True
            if entry.pending and not entry.is_fold_due:
                batch[message_id] = merge_deltas(entry.pending)
                entry.pending.clear()
        return batch

    async def _append(self, batch: dict[MessageId, list[StreamEvent]]) -> bool:
        try:
            await self._journal.append(batch)
        except StorageFailure as failure:
            _logger.warning("journal_not_written", extra={"kind": failure.kind})
            self._fold_later(batch)
            return False
        except Exception:
            # The supervisor's door: folds go one by one, so that an answer which cannot
            # be written takes no other along.
            _logger.exception("journal_dropped")
            self._fold_later(batch)
        return True

    def _fold_later(self, message_ids: Iterable[MessageId]) -> None:
        for message_id in message_ids:
            if (entry := self._entries.get(message_id)) is not None:
                entry.is_fold_due = True

    async def _fold(self, message_id: MessageId) -> bool:
        entry = self._entries.get(message_id)
        if entry is None:
            return True
        # What it said in all and what waits are taken at the same moment.
        events = entry.said.as_events()
        entry.pending.clear()
        entry.is_fold_due = False
        entry.folded_at_s = self._clock.monotonic()
        try:
            await self._journal.fold(message_id, events)
        except StorageFailure as failure:
            # The answer goes on in memory.
            _logger.warning("journal_not_folded", extra={"kind": failure.kind})
            entry.is_fold_due = True
            return False
        except Exception:
            # The supervisor's door: trying again would fail the same way, and without
            # this task no answer would be written. The answer's end stores all of it.
            _logger.exception("journal_dropped")
            self.forget(message_id)
        return True
