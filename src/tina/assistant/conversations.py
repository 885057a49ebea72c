"""Conversations, as programs and faces use them."""

from tina.domain.conversations import Conversation, NewConversation
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import LAPTOP_OWNER, ConversationId, parse_id
from tina.domain.messages import Message
from tina.domain.ports import ConversationRepository, MessageRepository
from tina.domain.text import clean_text

TITLE_CHARS = 80
MIN_PREFIX_CHARS = 4


class Conversations:
    """Create, get, find and list conversations, and read their messages."""

    def __init__(
        self, conversations: ConversationRepository, messages: MessageRepository
    ) -> None:
        self._conversations = conversations
        self._messages = messages

    async def create(
        self,
        title: str = "",
        *,
        model: str | None = None,
        system: str | None = None,
    ) -> Conversation:
        """Store a new, empty conversation.

        Args:
            model: `provider:model` that answers here unless a turn names another.
            system: what every request begins with.
        """
        return await self._conversations.create(
            NewConversation(
                title=title_of(clean_text(title)),
                model=None if model is None else clean_text(model),
                system=None if system is None else clean_text(system),
            )
        )

    async def get(self, conversation_id: ConversationId) -> Conversation | None:
        return await self._conversations.get(conversation_id)

    async def find(self, text: str) -> Conversation | None:
        """The conversation whose id a person typed: whole, or how it begins.

        Raises:
            InvalidInputFailure: more than one id begins like that.
        """
        whole = parse_id(text)
        if whole is not None:
            return await self.get(ConversationId(whole))
        prefix = text.strip().replace("-", "").lower()
        if len(prefix) < MIN_PREFIX_CHARS or parse_id(prefix.ljust(32, "0")) is None:
            return None
        found = await self._conversations.find(prefix=prefix)
        if len(found) > 1:
            raise InvalidInputFailure(
                f"Several conversations begin with {text!r}; type more of the id."
            )
        return found[0] if found else None

    async def list(self, *, limit: int | None = 50) -> tuple[Conversation, ...]:
        """The newest `limit` conversations, newest first; None means all."""
        return await self._conversations.list(limit=limit, owner_id=LAPTOP_OWNER)

    async def messages(self, conversation_id: ConversationId) -> tuple[Message, ...]:
        """The active branch, oldest first; empty if there is no such conversation."""
        return await self._messages.list(conversation_id)


def title_of(text: str) -> str:
    """A title from the first words of a text: one line, cut at a word."""
    line = " ".join(text[: TITLE_CHARS * 4].split())
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[:TITLE_CHARS].rsplit(" ", 1)[0]
    return f"{cut}…"
