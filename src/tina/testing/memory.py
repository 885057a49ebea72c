"""The repositories in memory: small, real, and held to the same contracts."""

from collections.abc import Mapping, Sequence

import msgspec

from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import StreamEvent
from tina.domain.failures import NotFoundFailure, TipMovedFailure
from tina.domain.ids import ConversationId, LeaseId, MessageId, OwnerId
from tina.domain.messages import Message, MessageStatus
from tina.domain.ports import Clock, IdFactory
from tina.domain.turns import NewTurn, UnsettledTurn

PREVIEW_CHARS = 120


class MemoryConversations:
    """Fulfils `ConversationRepository`."""

    def __init__(self, *, clock: Clock, ids: IdFactory) -> None:
        self._clock = clock
        self._ids = ids
        self.by_id: dict[ConversationId, Conversation] = {}

    async def create(self, conversation: NewConversation) -> Conversation:
        now = self._clock.now()
        stored = Conversation(
            id=ConversationId(self._ids.new()),
            owner_id=conversation.owner_id,
            title=conversation.title,
            model=conversation.model,
            system=conversation.system,
            tip=None,
            message_count=0,
            preview="",
            created_at=now,
            last_message_at=now,
        )
        self.by_id[stored.id] = stored
        return stored

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        return self.by_id.get(conversation_id)

    async def list(
        self, *, limit: int | None, owner_id: OwnerId
    ) -> tuple[Conversation, ...]:
        owned = [row for row in self.by_id.values() if row.owner_id == owner_id]
        owned.sort(key=lambda row: (row.last_message_at, row.id), reverse=True)
        return tuple(owned[:limit])

    async def find(self, *, prefix: str) -> tuple[Conversation, ...]:
        found = (self.by_id[key] for key in sorted(self.by_id))
        return tuple(row for row in found if row.id.startswith(prefix))[:2]


class MemoryMessages:
    """Fulfils `MessageRepository`."""

    def __init__(self, conversations: MemoryConversations) -> None:
        self._conversations = conversations
        self.by_id: dict[MessageId, Message] = {}

    async def get(self, message_id: MessageId) -> Message | None:
        return self.by_id.get(message_id)

    async def list(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        conversation = self._conversations.by_id.get(conversation_id)
        at = None if conversation is None else conversation.tip
        branch: list[Message] = []
        while at is not None:
            branch.append(self.by_id[at])
            at = self.by_id[at].parent_id
        return tuple(reversed(branch))


class MemoryTurns:
    """Fulfils `TurnRepository`."""

    def __init__(
        self, conversations: MemoryConversations, messages: MemoryMessages
    ) -> None:
        self._conversations = conversations
        self._messages = messages
        self._running: dict[MessageId, UnsettledTurn] = {}
        self._journal: dict[MessageId, list[StreamEvent]] = {}

    async def begin(self, turn: NewTurn) -> None:
        conversation = self._conversations.by_id.get(turn.conversation_id)
        if conversation is None:
            raise NotFoundFailure(f"There is no conversation {turn.conversation_id}.")
        if conversation.tip != turn.after:
            raise TipMovedFailure("Somebody else wrote into this conversation.")
        new = [turn.answer] if turn.prompt is None else [turn.prompt, turn.answer]
        for message in new:
            self._messages.by_id[message.id] = message
        self._conversations.by_id[conversation.id] = msgspec.structs.replace(
            conversation,
            tip=turn.answer.id,
            message_count=conversation.message_count + len(new),
            preview=_preview(new[0]),
            last_message_at=turn.answer.created_at,
        )
        self._running[turn.answer.id] = UnsettledTurn(
            id=turn.id, answer_id=turn.answer.id, lease_id=turn.lease_id
        )

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        for message_id, events in batch.items():
            self._journal.setdefault(message_id, []).extend(events)

    async def settle(self, answer: Message) -> bool:
        stored = self._messages.by_id.get(answer.id)
        if stored is None or stored.status is not MessageStatus.STREAMING:
            return False
        self._messages.by_id[answer.id] = answer
        self._running.pop(answer.id, None)
        self._journal.pop(answer.id, None)
        conversation = self._conversations.by_id[answer.conversation_id]
        if answer.text and conversation.tip == answer.id:
            self._conversations.by_id[conversation.id] = msgspec.structs.replace(
                conversation, preview=_preview(answer)
            )
        return True

    async def list_unsettled(self) -> tuple[UnsettledTurn, ...]:
        return tuple(self._running.values())

    async def read_journal(self, message_id: MessageId) -> tuple[StreamEvent, ...]:
        return tuple(self._journal.get(message_id, ()))


class MemoryLeases:
    """Fulfils `Leases` for several processes that share one `alive` set."""

    def __init__(self, *, ids: IdFactory, alive: set[LeaseId] | None = None) -> None:
        self._ids = ids
        self._alive: set[LeaseId] = set() if alive is None else alive
        self._held: LeaseId | None = None

    async def hold(self) -> LeaseId:
        if self._held is None:
            self._held = LeaseId(self._ids.new())
            self._alive.add(self._held)
        return self._held

    async def is_held(self, lease_id: LeaseId) -> bool:
        return lease_id in self._alive

    async def close(self) -> None:
        if self._held is not None:
            self._alive.discard(self._held)
            self._held = None


def _preview(message: Message) -> str:
    return " ".join(message.text.split())[:PREVIEW_CHARS]
