"""Questions that can be asked once or watched. Equal questions are read once.

A query is data: it can be a key, and a watcher in any process can hold it.
"""

from typing import Generic, TypeVar

import msgspec

from tina.domain.conversations import Conversation, ConversationMark, Shelf
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId
from tina.domain.messages import Message
from tina.domain.tools import ToolCall
from tina.domain.turns import OpenTurn

T = TypeVar("T")

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


class Query(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A question with an answer of type T, about the rows of one owner."""

    owner_id: OwnerId = LAPTOP_OWNER


class ListConversations(Query[tuple[Conversation, ...]], frozen=True, kw_only=True):
    """One page of a shelf: pinned ones first, then newest first.

    `after` is the mark of the last conversation of the page before; `limit` None means
    all.

    Raises:
        InvalidInputFailure: the limit is below 1 or above `MAX_PAGE_SIZE`.
    """

    shelf: Shelf = Shelf.ACTIVE
    limit: int | None = PAGE_SIZE
    after: ConversationMark | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not 1 <= self.limit <= MAX_PAGE_SIZE:
            raise InvalidInputFailure(
                f"A page shows from 1 to {MAX_PAGE_SIZE} conversations, not "
                f"{self.limit}. Ask for fewer, or for all of them (`tina log -n 0`)."
            )


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation and the messages of its active branch, oldest first."""

    conversation: Conversation
    messages: tuple[Message, ...]


class ReadConversation(Query[ConversationView | None], frozen=True, kw_only=True):
    """One conversation with its active branch; None if there is none."""

    conversation_id: ConversationId


class ReadMessage(Query[Message | None], frozen=True, kw_only=True):
    """One message as it is stored: while it streams, without what the journal holds."""

    message_id: MessageId
    conversation_id: ConversationId


class ListWaitingCalls(Query[tuple[ToolCall, ...]], frozen=True, kw_only=True):
    """Tool calls that wait for a person, oldest first."""


class ListOpenTurns(Query[tuple[OpenTurn, ...]], frozen=True, kw_only=True):
    """Turns that are queued or running, oldest first."""
