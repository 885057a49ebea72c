"""The database in memory: small, real, and held to the same contracts."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET, structs

from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
    Shelf,
)
from tina.domain.events import StreamEvent
from tina.domain.failures import NotFoundFailure, TipMovedFailure
from tina.domain.ids import ConversationId, LeaseId, MessageId, check_id
from tina.domain.messages import PINNED, Message, MessageStatus
from tina.domain.ports import Clock, IdFactory
from tina.domain.queries import ListConversations
from tina.domain.text import clean_value
from tina.domain.turns import NewTurn, OpenTurn, TurnStatus
from tina.testing.ledger import MemoryLedger
from tina.testing.tools import MemoryGrants, MemoryToolCalls

PREVIEW_CHARS = 120
ID_DIGITS = 32


class MemoryDatabase:
    """All repositories on the same rows, for one owner.

    `on_change` is called after each change; live queries hang there.
    """

    def __init__(self, *, clock: Clock, ids: IdFactory) -> None:
        self.conversations_by_id: dict[ConversationId, Conversation] = {}
        self.messages_by_id: dict[MessageId, Message] = {}
        self.open_turns: dict[MessageId, OpenTurn] = {}
        self.journal_by_id: dict[MessageId, list[StreamEvent]] = {}
        self.on_change: list[Callable[[], None]] = []
        self.conversations = MemoryConversations(self, clock=clock, ids=ids)
        self.messages = MemoryMessages(self)
        self.turns = MemoryTurns(self)
        self.journal = MemoryJournal(self)
        self.tool_calls = MemoryToolCalls(
            self.conversations_by_id, clock=clock, ids=ids, changed=self.changed
        )
        self.ledger = MemoryLedger(self.messages_by_id, clock=clock)
        self.grants = MemoryGrants(self.conversations_by_id, clock=clock, ids=ids)

    def changed(self) -> None:
        for tell in self.on_change:
            tell()


class MemoryConversations:
    """Fulfils `ConversationRepository`."""

    def __init__(self, rows: MemoryDatabase, *, clock: Clock, ids: IdFactory) -> None:
        self._rows = rows
        self._clock = clock
        self._ids = ids

    async def create(self, conversation: NewConversation) -> Conversation:
        stored = self._new(conversation)
        self._put(stored)
        return stored

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        check_id(conversation_id)
        return self._rows.conversations_by_id.get(conversation_id)

    async def find(self, *, prefix: str) -> tuple[Conversation, ...]:
        check_id(prefix.ljust(ID_DIGITS, "0"))
        by_id = self._rows.conversations_by_id
        return tuple(by_id[key] for key in sorted(by_id) if key.startswith(prefix))[:2]

    async def list(self, query: ListConversations) -> tuple[Conversation, ...]:
        return self.page(query)

    def page(self, query: ListConversations) -> tuple[Conversation, ...]:
        shown = [
            row
            for row in self._rows.conversations_by_id.values()
            if row.owner_id == query.owner_id
            and _shelf(row) is query.shelf
            and (query.after is None or row.mark < query.after)
        ]
        shown.sort(key=lambda row: row.mark, reverse=True)
        return tuple(shown[: query.limit])

    async def change(
        self, conversation_id: ConversationId, change: ConversationChange
    ) -> Conversation:
        stored = await self.get(conversation_id)
        if stored is None:
            raise NotFoundFailure(f"There is no conversation {conversation_id}.")
        given = {
            name: value
            for name, value in structs.asdict(change).items()
            if value is not UNSET
        }
        branch = given.pop("branch", None)
        if branch is not None:
            tip = self._rows.messages.newest_below(branch)
            if tip is None or tip.conversation_id != conversation_id:
                raise NotFoundFailure(f"There is no message {branch} in it.")
            given |= {"tip": tip.id, "preview": _preview(tip)}
        changed = structs.replace(stored, **given)
        self._put(changed)
        if given.get("deleted_at") is not None:
            await self._rows.turns.stop_all(conversation_id)
        return changed

    async def fork(
        self, message_id: MessageId, conversation: NewConversation
    ) -> Conversation:
        branch = await self._rows.messages.list_branch(message_id)
        if not branch:
            raise NotFoundFailure(f"There is no message {message_id}.")
        forked, parent_id = self._new(conversation), None
        for message in branch:
            copy = structs.replace(
                message,
                id=MessageId(self._ids.new()),
                conversation_id=forked.id,
                parent_id=parent_id,
            )
            if copy.status is MessageStatus.STREAMING:
                copy = copy.interrupted((), None)
            self._rows.messages_by_id[copy.id] = copy
            parent_id = copy.id
        forked = structs.replace(
            forked,
            tip=parent_id,
            message_count=len(branch),
            preview=_preview(branch[-1]),
        )
        self._put(forked)
        return forked

    def _new(self, conversation: NewConversation) -> Conversation:
        now = self._clock.now()
        return Conversation(
            id=ConversationId(self._ids.new()),
            owner_id=conversation.owner_id,
            title=conversation.title,
            model=conversation.model,
            system=conversation.system,
            tip=None,
            message_count=0,
            preview="",
            origin=conversation.origin,
            metadata=conversation.metadata,
            created_at=now,
            last_message_at=now,
        )

    def _put(self, conversation: Conversation) -> None:
        self._rows.conversations_by_id[conversation.id] = conversation
        self._rows.changed()


class MemoryMessages:
    """Fulfils `MessageRepository`."""

    def __init__(self, rows: MemoryDatabase) -> None:
        self._rows = rows

    async def get(self, message_id: MessageId) -> Message | None:
        check_id(message_id)
        return self._rows.messages_by_id.get(message_id)

    async def list(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        check_id(conversation_id)
        conversation = self._rows.conversations_by_id.get(conversation_id)
        return self.branch_to(None if conversation is None else conversation.tip)

    async def list_branch(self, message_id: MessageId) -> tuple[Message, ...]:
        check_id(message_id)
        return self.branch_to(message_id)

    async def list_siblings(self, message_id: MessageId) -> tuple[Message, ...]:
        message = await self.get(message_id)
        if message is None:
            return ()
        return tuple(
            other
            for other in self._rows.messages_by_id.values()
            if other.conversation_id == message.conversation_id
            and other.parent_id == message.parent_id
        )

    async def pin(self, message_id: MessageId, *, is_pinned: bool) -> bool:
        message = await self.get(message_id)
        if message is None or message.status is MessageStatus.STREAMING:
            return False
        metadata = {
            name: value
            for name, value in (message.metadata or {}).items()
            if name != PINNED
        }
        if is_pinned:
            metadata[PINNED] = "yes"
        self._rows.messages_by_id[message_id] = structs.replace(
            message, metadata=metadata or None
        )
        self._rows.changed()
        return True

    def newest_below(self, message_id: MessageId) -> Message | None:
        """The message at the end of the newest children; None if there is none."""
        check_id(message_id)
        newest_child = {
            message.parent_id: message.id
            for message in self._rows.messages_by_id.values()
        }
        while message_id in newest_child:
            message_id = newest_child[message_id]
        return self._rows.messages_by_id.get(message_id)

    def branch_to(self, message_id: MessageId | None) -> tuple[Message, ...]:
        branch: list[Message] = []
        while message_id is not None and message_id in self._rows.messages_by_id:
            message = self._rows.messages_by_id[message_id]
            branch.append(message)
            message_id = message.parent_id
        return tuple(reversed(branch))


class MemoryTurns:
    """Fulfils `TurnRepository`."""

    def __init__(self, rows: MemoryDatabase) -> None:
        self._rows = rows

    async def begin(self, turn: NewTurn) -> None:
        conversation = self._rows.conversations_by_id.get(turn.conversation_id)
        if conversation is None or conversation.deleted_at is not None:
            raise NotFoundFailure(f"There is no conversation {turn.conversation_id}.")
        if conversation.tip != turn.after:
            raise TipMovedFailure("Somebody else wrote into this conversation.")
        new = [turn.answer] if turn.prompt is None else [turn.prompt, turn.answer]
        for message in new:
            self._rows.messages_by_id[message.id] = message
        self._rows.conversations_by_id[conversation.id] = structs.replace(
            conversation,
            tip=turn.answer.id,
            message_count=conversation.message_count + len(new),
            preview=_preview(new[0]),
            last_message_at=max(conversation.last_message_at, turn.answer.created_at),
        )
        is_queued = turn.lease_id is None
        self._rows.open_turns[turn.answer.id] = OpenTurn(
            id=turn.id,
            owner_id=conversation.owner_id,
            conversation_id=conversation.id,
            answer_id=turn.answer.id,
            request=turn.request,
            status=TurnStatus.QUEUED if is_queued else TurnStatus.RUNNING,
            lease_id=turn.lease_id,
        )
        self._rows.changed()

    async def claim(self, lease_id: LeaseId) -> OpenTurn | None:
        self._end_stray()
        is_busy = {
            conversation.id
            for conversation in self._rows.conversations_by_id.values()
            if conversation.deleted_at is not None
        }
        for turn in self._rows.open_turns.values():
            if turn.status is TurnStatus.QUEUED and turn.conversation_id not in is_busy:
                claimed = structs.replace(
                    turn, status=TurnStatus.RUNNING, lease_id=lease_id
                )
                self._rows.open_turns[turn.answer_id] = claimed
                self._rows.changed()
                return claimed
            is_busy.add(turn.conversation_id)
        return None

    async def request_stop(self, answer_id: MessageId) -> bool:
        check_id(answer_id)
        turn = self._rows.open_turns.get(answer_id)
        if turn is None:
            return False
        self._rows.open_turns[answer_id] = structs.replace(turn, is_stop_requested=True)
        if turn.status is TurnStatus.QUEUED:
            await self.settle(self._rows.messages_by_id[answer_id].stopped((), None))
        self._rows.changed()
        return True

    async def settle(self, answer: Message) -> bool:
        is_new = self._is_streaming(answer.id)
        if is_new:
            self._store_end(clean_value(answer))
        self._end(answer.id)
        self._rows.changed()
        return is_new

    async def stop_all(self, conversation_id: ConversationId) -> None:
        """Stop what is asked in a conversation."""
        for turn in tuple(self._rows.open_turns.values()):
            if turn.conversation_id == conversation_id:
                await self.request_stop(turn.answer_id)

    def _store_end(self, answer: Message) -> None:
        self._rows.messages_by_id[answer.id] = answer
        self._rows.ledger.enter(answer)
        conversation = self._rows.conversations_by_id[answer.conversation_id]
        if answer.text and conversation.tip == answer.id:
            self._rows.conversations_by_id[conversation.id] = structs.replace(
                conversation, preview=_preview(answer)
            )

    def _end(self, answer_id: MessageId) -> None:
        self._rows.open_turns.pop(answer_id, None)
        self._rows.journal_by_id.pop(answer_id, None)
        self._rows.tool_calls.end_of_message(answer_id)

    def _end_stray(self) -> None:
        for answer_id in tuple(self._rows.open_turns):
            if not self._is_streaming(answer_id):
                self._end(answer_id)

    def _is_streaming(self, answer_id: MessageId) -> bool:
        answer = self._rows.messages_by_id.get(answer_id)
        return answer is not None and answer.status is MessageStatus.STREAMING

    async def list_open(self) -> tuple[OpenTurn, ...]:
        return self.open_turns()

    def open_turns(self) -> tuple[OpenTurn, ...]:
        """Those whose answer is there, oldest first."""
        return tuple(
            turn
            for turn in self._rows.open_turns.values()
            if turn.answer_id in self._rows.messages_by_id
        )


class MemoryJournal:
    """Fulfils `JournalRepository`."""

    def __init__(self, rows: MemoryDatabase) -> None:
        self._rows = rows

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        for message_id, events in batch.items():
            if self._is_running(message_id):
                self._rows.journal_by_id.setdefault(message_id, []).extend(events)
        self._rows.changed()

    async def fold(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        if self._is_running(message_id):
            self._rows.journal_by_id[message_id] = list(events)

    async def read(self, message_id: MessageId) -> tuple[StreamEvent, ...]:
        check_id(message_id)
        return tuple(self._rows.journal_by_id.get(message_id, ()))

    def _is_running(self, message_id: MessageId) -> bool:
        turn = self._rows.open_turns.get(message_id)
        return turn is not None and turn.status is TurnStatus.RUNNING


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


def _shelf(conversation: Conversation) -> Shelf:
    if conversation.deleted_at is not None:
        return Shelf.DELETED
    return Shelf.ARCHIVED if conversation.is_archived else Shelf.ACTIVE


def _preview(message: Message) -> str:
    return " ".join(message.text[: PREVIEW_CHARS * 4].split())[:PREVIEW_CHARS]
