"""What answers cost, in memory."""

from collections.abc import MutableMapping
from datetime import datetime
from typing import NamedTuple

from msgspec import structs

from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message
from tina.domain.ports import Clock


class _Entry(NamedTuple):
    conversation_id: ConversationId
    ended_at: datetime
    cost_micros: int | None


class MemoryLedger:
    """Fulfils `Ledger`."""

    def __init__(
        self, messages: MutableMapping[MessageId, Message], *, clock: Clock
    ) -> None:
        self._messages = messages
        self._clock = clock
        self._entries: dict[MessageId, _Entry] = {}

    def enter(self, answer: Message) -> None:
        """Note what an answer that ended cost; once, as it ended first."""
        if answer.usage is not None:
            cost = answer.usage.cost_micros
            entry = _Entry(answer.conversation_id, self._clock.now(), cost)
            self._entries.setdefault(answer.id, entry)

    async def enter_cost(self, answer_id: MessageId, cost_micros: int) -> None:
        entry = self._entries.get(answer_id)
        if entry is None or entry.cost_micros is not None:
            return
        self._entries[answer_id] = entry._replace(cost_micros=cost_micros)
        answer = self._messages.get(answer_id)
        if answer is not None and answer.usage is not None:
            usage = structs.replace(answer.usage, cost_micros=cost_micros)
            self._messages[answer_id] = structs.replace(answer, usage=usage)

    async def spent_micros(
        self,
        *,
        conversation_id: ConversationId | None = None,
        since: datetime | None = None,
    ) -> int:
        return sum(
            entry.cost_micros or 0
            for entry in self._entries.values()
            if conversation_id in (None, entry.conversation_id)
            and (since is None or entry.ended_at >= since)
        )
