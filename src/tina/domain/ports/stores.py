"""Everything that is kept: repositories, live queries, search, leases."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar

from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
)
from tina.domain.events import StreamEvent
from tina.domain.ids import (
    ConversationId,
    GrantId,
    LeaseId,
    MessageId,
    ToolRunId,
)
from tina.domain.messages import Message
from tina.domain.queries import ListConversations, Query
from tina.domain.search import SearchQuery, SearchResult
from tina.domain.tools import (
    Decision,
    Grant,
    NewGrant,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
    ToolOutcome,
)
from tina.domain.turns import NewTurn, OpenTurn

T = TypeVar("T")


class ConversationRepository(Protocol):
    async def create(self, conversation: NewConversation) -> Conversation:
        """Store it durably."""
        ...

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        """The conversation, also one that is deleted but not purged yet."""
        ...

    async def find(self, *, prefix: str) -> tuple[Conversation, ...]:
        """Conversations whose id begins with `prefix` (hex), at most two."""
        ...

    async def list(self, query: ListConversations) -> tuple[Conversation, ...]: ...

    async def change(
        self, conversation_id: ConversationId, change: ConversationChange
    ) -> Conversation:
        """Change what is not UNSET, durably; the conversation as it is then.

        Whoever deletes it stops what is asked there: queued turns are settled, running
        ones are asked to stop.

        Raises:
            NotFoundFailure: there is no such conversation, or no such message in it.
        """
        ...

    async def fork(
        self, message_id: MessageId, conversation: NewConversation
    ) -> Conversation:
        """Copy the branch that ends with the message into a new conversation.

        The copy of an answer that is still being written is interrupted, and empty.

        Raises:
            NotFoundFailure: there is no such message; nothing was stored.
        """
        ...


class MessageRepository(Protocol):
    async def get(self, message_id: MessageId) -> Message | None: ...

    async def list(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        """The active branch, oldest first; empty if there is no such conversation."""
        ...

    async def list_branch(self, message_id: MessageId) -> tuple[Message, ...]:
        """The branch that ends with the message, oldest first; empty if none."""
        ...

    async def list_siblings(self, message_id: MessageId) -> tuple[Message, ...]:
        """Messages with the same parent, itself among them, oldest first."""
        ...

    async def pin(self, message_id: MessageId, *, is_pinned: bool) -> bool:
        """Let it go with every request, however old it is, or no longer; durable.

        Returns:
            False if there is no such message, or it is still being written.
        """
        ...


class TurnRepository(Protocol):
    """The life of the turns of one owner; each write is one transaction."""

    async def begin(self, turn: NewTurn) -> None:
        """Store prompt, empty answer and turn durably, and move the tip.

        Raises:
            NotFoundFailure: there is no such conversation; nothing was stored.
            TipMovedFailure: its tip is not `turn.after` any more; nothing was stored.
        """
        ...

    async def claim(self, lease_id: LeaseId) -> OpenTurn | None:
        """Take the next queued turn for the process with this lease.

        The oldest turn comes first; a conversation with a turn that is not done has to
        wait, and one that is deleted is passed over. A turn that nobody can run (its
        request cannot be read) is settled as failed.
        """
        ...

    async def request_stop(self, answer_id: MessageId) -> bool:
        """Ask whoever runs the turn of this answer to stop; durable.

        A turn that nobody has claimed is stopped at once.

        Returns:
            False if its turn is done, or there is none.
        """
        ...

    async def settle(self, answer: Message) -> bool:
        """Store how an answer ended, durably, with its usage, and clear its journal.

        Its turn is done, and so are the tool calls of the answer: what was not run has
        failed, of what runs it is unknown whether it happened.

        Returns:
            False if it was settled before, or is gone (then it stays as it is).
        """
        ...

    async def list_open(self) -> tuple[OpenTurn, ...]:
        """Turns that are not done and can be read, oldest first."""
        ...


class JournalRepository(Protocol):
    """What running answers said, until they are settled."""

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        """Add what was said; durable against death, not power loss."""
        ...

    async def fold(self, message_id: MessageId, events: Sequence[StreamEvent]) -> None:
        """Put these events in the place of all that the message said before.

        A message that is settled stays as it is.
        """
        ...

    async def read(self, message_id: MessageId) -> tuple[StreamEvent, ...]:
        """What was said so far, in order."""
        ...


class ToolCallRepository(Protocol):
    """Tool calls as rows: each is stored before it is asked about, or run."""

    async def add(self, call: NewToolCall) -> ToolCall:
        """Store it durably.

        Raises:
            NotFoundFailure: there is no such conversation.
        """
        ...

    async def get(self, run_id: ToolRunId) -> ToolCall | None: ...

    async def list(self, message_id: MessageId) -> tuple[ToolCall, ...]:
        """The calls of one message, in their order."""
        ...

    async def decide(self, run_id: ToolRunId, decision: Decision) -> bool:
        """Answer a call that waits, durably; False if it does not wait any more."""
        ...

    async def start(self, run_id: ToolRunId) -> bool:
        """Mark an approved call as running, durably; False if it is not approved.

        Whoever gets True runs it, and nobody else ever does.
        """
        ...

    async def settle(
        self, run_id: ToolRunId, status: ToolCallStatus, outcome: ToolOutcome | None
    ) -> bool:
        """Store how a call ended, durably; False if it had ended before."""
        ...


class GrantRepository(Protocol):
    """Standing decisions about tools."""

    async def add(self, grant: NewGrant) -> Grant:
        """Store it durably.

        Raises:
            NotFoundFailure: there is no such conversation.
        """
        ...

    async def list(self, *, server: str, tool: str) -> tuple[Grant, ...]:
        """All decisions about one tool, newest first, expired ones too."""
        ...

    async def remove(self, grant_id: GrantId) -> bool:
        """Forget it; False if there is none."""
        ...


class Ledger(Protocol):
    """What answers cost, also those whose conversation was purged."""

    async def enter_cost(self, answer_id: MessageId, cost_micros: int) -> None:
        """Store durably what an answer cost that was settled without it.

        An answer that has a cost keeps it; one that is not entered stays so.
        """
        ...

    async def spent_micros(
        self,
        *,
        conversation_id: ConversationId | None = None,
        since: datetime | None = None,
    ) -> int:
        """The sum in millionths of a US dollar; what has no price counts nothing.

        Args:
            conversation_id: only of this one.
            since: only what ended then or later.
        """
        ...


class JournalPiece(NamedTuple):
    """What a running answer said; `is_fold` means that it replaces all before it."""

    events: tuple[StreamEvent, ...]
    is_fold: bool


class LiveQueries(Protocol):
    """Queries that answer again when what they read has changed, in any process.

    Pull-based: a watcher that is slow gets the newest answer, nothing queues for it.
    Equal answers are skipped. Consume under `aclosing`.
    """

    def watch(
        self, query: Query[T], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[T]:
        """The answer now, and again whenever it is another one.

        Args:
            min_interval_s: the least time between two answers, to gather bursts.

        Raises:
            StorageFailure: it could not be read.
        """
        ...

    def watch_many(
        self, queries: Sequence[Query[Any]], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[tuple[Any, ...]]:
        """The answers of several queries, always read in one snapshot."""
        ...

    def follow(self, message_id: MessageId) -> AsyncGenerator[JournalPiece]:
        """What a running answer has said and says, until it is settled.

        Its end, and what was said last, are in the message then.
        """
        ...


class Search(Protocol):
    async def search(self, query: SearchQuery) -> SearchResult:
        """Messages that contain all the words.

        Raises:
            InvalidInputFailure: there are no words, or too many.
        """
        ...


class Leases(Protocol):
    """Proof of life: a lock that the operating system releases with its process."""

    async def hold(self) -> LeaseId:
        """This process' lease; taken at the first call, kept until `close`."""
        ...

    async def is_held(self, lease_id: LeaseId) -> bool:
        """Whether some living process, this one included, holds it."""
        ...

    async def close(self) -> None: ...
