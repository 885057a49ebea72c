"""Conversations, as programs and faces use them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime

from tina.assistant.recovery import Keeper
from tina.domain.chat import parse_model_ref
from tina.domain.conversations import (
    FALLBACK,
    FORK,
    Conversation,
    ConversationChange,
    ConversationMark,
    NewConversation,
    Origin,
    Shelf,
)
from tina.domain.failures import InvalidInputFailure, NotFoundFailure
from tina.domain.ids import ConversationId, MessageId, parse_id
from tina.domain.messages import Message, MessageStatus
from tina.domain.ports import (
    Clock,
    ConversationRepository,
    LiveQueries,
    MessageRepository,
)
from tina.domain.queries import (
    PAGE_SIZE,
    ConversationView,
    ListConversations,
    ReadConversation,
)

TITLE_CHARS = 80
MIN_PREFIX_CHARS = 4
_AFTER_THE_PINNED = ConversationMark(
    is_pinned=True,
    last_message_at=datetime(1970, 1, 1, tzinfo=UTC),
    id=ConversationId("0" * 32),
)


class Conversations:
    """Create, find, list, watch, change, fork and delete conversations."""

    def __init__(
        self,
        conversations: ConversationRepository,
        messages: MessageRepository,
        *,
        live: LiveQueries,
        keeper: Keeper,
        clock: Clock,
    ) -> None:
        self._conversations = conversations
        self._messages = messages
        self._live = live
        self._keeper = keeper
        self._clock = clock

    async def create(
        self,
        title: str = "",
        *,
        model: str | None = None,
        system: str | None = None,
        fallback: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> Conversation:
        """Store a new, empty conversation.

        Args:
            model: `provider:model` that answers here unless a turn names another.
            system: what every request begins with.
            fallback: the models to ask, in order, if that one says nothing.
            metadata: a program's own; Tina keeps it and looks only at `fallback`.

        Raises:
            InvalidInputFailure: something is longer than Tina keeps.
        """
        return await self._conversations.create(
            NewConversation(
                title=title_of(title),
                model=model,
                system=system,
                metadata=_with_fallback(metadata, fallback),
            )
        )

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        """The conversation, also one that is deleted but not purged yet."""
        return await self._conversations.get(conversation_id)

    async def find(self, text: str) -> Conversation | None:
        """The conversation whose id a person typed: whole, or how it begins.

        Raises:
            InvalidInputFailure: more than one id begins like that, or may: so few
                characters are not looked up.
        """
        whole = parse_id(text)
        if whole is not None:
            return await self.get(ConversationId(whole))
        prefix = text.strip().replace("-", "").lower()
        if not prefix or parse_id(prefix.ljust(32, "0")) is None:
            return None
        if len(prefix) < MIN_PREFIX_CHARS:
            raise InvalidInputFailure(
                f"{text!r} is too short; type at least {MIN_PREFIX_CHARS} characters "
                "of the id."
            )
        found = await self._conversations.find(prefix=prefix)
        if len(found) > 1:
            raise InvalidInputFailure(
                f"Several conversations begin with {text!r}; type more of the id."
            )
        return found[0] if found else None

    async def list(
        self,
        *,
        limit: int | None = PAGE_SIZE,
        shelf: Shelf = Shelf.ACTIVE,
        after: ConversationMark | None = None,
    ) -> tuple[Conversation, ...]:
        """A page of conversations: pinned ones first, then newest first.

        Args:
            limit: how many at most; None means all.
            after: the `mark` of the last conversation of the page before.

        Raises:
            InvalidInputFailure: the limit is below 1 or above `MAX_PAGE_SIZE`.
        """
        return await self._conversations.list(
            ListConversations(shelf=shelf, limit=limit, after=after)
        )

    async def newest(self) -> Conversation | None:
        """The conversation where something was said last, wherever it is pinned."""
        first = await self.list(limit=1)
        unpinned = await self.list(limit=1, after=_AFTER_THE_PINNED)
        return max(
            (*first, *unpinned),
            key=lambda found: (found.last_message_at, found.id),
            default=None,
        )

    async def messages(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        """The active branch, oldest first; empty if there is no such conversation."""
        return self._keeper.as_left(await self._messages.list(conversation_id))

    async def siblings(self, message_id: MessageId) -> tuple[Message, ...]:
        """The versions of a message: those with the same parent, oldest first."""
        return await self._messages.list_siblings(message_id)

    def watch(
        self,
        *,
        limit: int | None = PAGE_SIZE,
        shelf: Shelf = Shelf.ACTIVE,
        min_interval_s: float = 0.0,
    ) -> AsyncGenerator[tuple[Conversation, ...]]:
        """The first page now, and again whenever it changes, in whatever process.

        Consume it under `aclosing`. Whoever is slow gets the newest.
        """
        query = ListConversations(shelf=shelf, limit=limit)
        return self._live.watch(query, min_interval_s=min_interval_s)

    def watch_one(
        self, conversation_id: ConversationId, *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[ConversationView | None]:
        """A conversation with its active branch now, and again whenever it changes.

        A message that still grows is shown as it was stored: `App.watch_message`
        shows its growth.
        """
        query = ReadConversation(conversation_id=conversation_id)
        return self._live.watch(query, min_interval_s=min_interval_s)

    async def rename(self, conversation_id: ConversationId, title: str) -> Conversation:
        """Give it another title.

        Raises:
            NotFoundFailure: there is no such conversation.
        """
        return await self._conversations.change(
            conversation_id, ConversationChange(title=title_of(title))
        )

    async def pin_message(
        self, message_id: MessageId, *, is_pinned: bool = True
    ) -> None:
        """Let a message go with every request, however old it is, or no longer.

        Raises:
            NotFoundFailure: there is no such message, or it is still being written.
        """
        if not await self._messages.pin(message_id, is_pinned=is_pinned):
            raise NotFoundFailure(
                f"There is no message {message_id} that could be pinned. "
                "`tina show --ids` lists them; one that is still being written can be "
                "pinned when it is done."
            )

    async def pin(
        self, conversation_id: ConversationId, *, is_pinned: bool = True
    ) -> Conversation:
        """Keep it at the top of its list, or no longer."""
        return await self._conversations.change(
            conversation_id, ConversationChange(is_pinned=is_pinned)
        )

    async def archive(
        self, conversation_id: ConversationId, *, is_archived: bool = True
    ) -> Conversation:
        """Put it out of the way, or back."""
        return await self._conversations.change(
            conversation_id, ConversationChange(is_archived=is_archived)
        )

    async def delete(self, conversation_id: ConversationId) -> Conversation:
        """Delete it; `undelete` takes that back until it is purged, 30 days later.

        What is asked there, or waits to be asked, is stopped.
        """
        return await self._conversations.change(
            conversation_id, ConversationChange(deleted_at=self._clock.now())
        )

    async def undelete(self, conversation_id: ConversationId) -> Conversation:
        """Take a deletion back."""
        return await self._conversations.change(
            conversation_id, ConversationChange(deleted_at=None)
        )

    async def choose(self, message_id: MessageId) -> Conversation:
        """Make the branch that goes through this message the active one.

        Raises:
            NotFoundFailure: there is no such message.
        """
        message = await self._message(message_id)
        return await self._conversations.change(
            message.conversation_id, ConversationChange(branch=message_id)
        )

    async def fork(
        self, message_id: MessageId, *, title: str | None = None
    ) -> Conversation:
        """Copy the branch that ends with this message into a new conversation.

        Raises:
            NotFoundFailure: there is no such message.
            InvalidInputFailure: the message is still being written.
        """
        message = await self._message(message_id)
        if message.status is MessageStatus.STREAMING:
            raise InvalidInputFailure(
                "This answer is still being written. Wait for it, or stop it first."
            )
        old = await self._conversations.get(message.conversation_id)
        if old is None:
            raise NotFoundFailure(f"There is no conversation with {message_id}.")
        return await self._conversations.fork(
            message_id,
            NewConversation(
                title=old.title if title is None else title_of(title),
                model=old.model,
                system=old.system,
                origin=Origin(source=FORK, source_id=message_id),
                metadata=old.metadata,
                owner_id=old.owner_id,
            ),
        )

    async def _message(self, message_id: MessageId) -> Message:
        message = await self._messages.get(message_id)
        if message is None:
            raise NotFoundFailure(
                f"There is no message {message_id}. `tina show --json` lists them."
            )
        return message


def _with_fallback(
    metadata: Mapping[str, str] | None, fallback: Sequence[str]
) -> Mapping[str, str] | None:
    """The metadata with the models in it.

    Raises:
        InvalidInputFailure: one of them is no model's name.
    """
    if not fallback:
        return metadata
    named = [str(parse_model_ref(model)) for model in fallback]
    return {**(metadata or {}), FALLBACK: ", ".join(named)}


def title_of(text: str) -> str:
    """A title from the first words of a text: one line, cut at a word."""
    line = " ".join(text[: TITLE_CHARS * 4].split())
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[:TITLE_CHARS].rsplit(" ", 1)[0]
    return f"{cut}…"
