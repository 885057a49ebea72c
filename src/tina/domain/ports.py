"""What the use cases need from the world. Adapters fulfil it, `wiring` brings it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import StreamEvent
from tina.domain.ids import ConversationId, LeaseId, MessageId, OwnerId
from tina.domain.messages import Message
from tina.domain.secret import Secret
from tina.domain.turns import NewTurn, UnsettledTurn


class Clock(Protocol):
    """Time. `now` is aware UTC; `monotonic` counts seconds from anywhere."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class IdFactory(Protocol):
    def new(self) -> str:
        """A new id (`domain.ids`), greater than every one made before it."""
        ...


class ConversationRepository(Protocol):
    async def create(self, conversation: NewConversation) -> Conversation:
        """Store it durably."""
        ...

    async def get(self, conversation_id: ConversationId) -> Conversation | None: ...

    async def list(
        self, *, limit: int | None, owner_id: OwnerId
    ) -> tuple[Conversation, ...]:
        """The newest `limit` conversations, newest first; None means all."""
        ...

    async def find(self, *, prefix: str) -> tuple[Conversation, ...]:
        """Conversations whose id begins with `prefix` (hex), at most two."""
        ...


class MessageRepository(Protocol):
    async def get(self, message_id: MessageId) -> Message | None: ...

    async def list(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        """The active branch, oldest first; empty if there is no such conversation."""
        ...


class TurnRepository(Protocol):
    """The life of a turn in the database; each write is one transaction."""

    async def begin(self, turn: NewTurn) -> None:
        """Store prompt, empty answer and turn durably, and move the tip.

        Raises:
            NotFoundFailure: there is no such conversation; nothing was stored.
            TipMovedFailure: its tip is not `turn.after` any more; nothing was stored.
        """
        ...

    async def append(self, batch: Mapping[MessageId, Sequence[StreamEvent]]) -> None:
        """Add what was said to the journal; durable against death, not power loss."""
        ...

    async def settle(self, answer: Message) -> bool:
        """Store how an answer ended, durably, and clear its journal.

        Returns:
            False if it was settled before (then nothing is changed).
        """
        ...

    async def list_unsettled(self) -> tuple[UnsettledTurn, ...]:
        """Every turn without an end, oldest first, with the lease that holds it."""
        ...

    async def read_journal(self, message_id: MessageId) -> tuple[StreamEvent, ...]:
        """What was said so far, in order."""
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


class Provider(Protocol):
    """One way to talk to models."""

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncGenerator[Sequence[StreamEvent], None]]:
        """Open the answer; what arrives together is yielded together.

        Leaving the context cancels the request.

        Raises:
            ProviderFailure: on entering or while iterating; after it nothing follows.
            NoKeyFailure, ModelUnavailableFailure: on entering.
        """
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """What it offers now.

        Raises:
            ProviderFailure: it could not be asked.
        """
        ...

    async def close(self) -> None: ...


class Providers(Protocol):
    def get(self, name: str) -> Provider:
        """The provider of that name.

        Raises:
            ModelNotFoundFailure: there is none; the message lists those there are.
        """
        ...

    def names(self) -> tuple[str, ...]: ...


class SecretStore(Protocol):
    async def find(self, name: str) -> Secret | None:
        """The key of that name (`openai`, `anthropic`), if there is one."""
        ...
