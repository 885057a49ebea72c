"""Search in memory: small, real, and held to the same contract."""

import re
import unicodedata
from collections.abc import Iterator, Mapping

from tina.domain.conversations import Conversation
from tina.domain.ids import ConversationId, MessageId, check_id
from tina.domain.messages import Message
from tina.domain.search import (
    SearchHit,
    SearchOrder,
    SearchQuery,
    SearchResult,
    Span,
    check_search,
)

_WORD = re.compile(r"[^\W_]+")


class MemorySearch:
    """Fulfils `Search`: looks through all messages, the last added first.

    A snippet is the whole text; the best match is the one that says the words most.
    """

    def __init__(
        self,
        conversations: Mapping[ConversationId, Conversation],
        messages: Mapping[MessageId, Message],
    ) -> None:
        self._conversations = conversations
        self._messages = messages

    async def search(self, query: SearchQuery) -> SearchResult:
        if query.conversation_id is not None:
            check_id(query.conversation_id)
        phrases = [phrase for term in check_search(query) if (phrase := _words(term))]
        hits = [
            self._hit(message, matches)
            for message in reversed(tuple(self._messages.values()))
            if self._is_wanted(message, query)
            and (matches := _matches(message.text, phrases))
        ]
        if query.order is SearchOrder.BEST:
            hits.sort(key=lambda hit: len(hit.matches), reverse=True)
        return SearchResult(hits=tuple(hits[: query.limit]), is_whole=True)

    def _is_wanted(self, message: Message, query: SearchQuery) -> bool:
        conversation = self._conversations[message.conversation_id]
        return (
            conversation.owner_id == query.owner_id
            and conversation.deleted_at is None
            and query.conversation_id in {None, conversation.id}
            and query.role in {None, message.role}
            and query.model in {None, message.model}
            and (query.since is None or message.created_at >= query.since)
            and (query.until is None or message.created_at < query.until)
        )

    def _hit(self, message: Message, matches: tuple[Span, ...]) -> SearchHit:
        return SearchHit(
            conversation_id=message.conversation_id,
            message_id=message.id,
            title=self._conversations[message.conversation_id].title,
            role=message.role,
            model=message.model,
            created_at=message.created_at,
            snippet=message.text,
            matches=matches,
        )


def _matches(text: str, phrases: list[list[str]]) -> tuple[Span, ...]:
    """Where the phrases are; empty if one of them is missing."""
    found = [tuple(_places(text, phrase)) for phrase in phrases]
    return tuple(sorted(place for places in found for place in places)) * all(found)


def _places(text: str, phrase: list[str]) -> Iterator[Span]:
    words = list(_WORD.finditer(text))
    for first, last in zip(words, words[len(phrase) - 1 :], strict=False):
        if _words(text[first.start() : last.end()]) == phrase:
            yield Span(first.start(), last.end())


def _words(text: str) -> list[str]:
    """Its words in lower case, without accents."""
    bare = "".join(
        char
        for char in unicodedata.normalize("NFD", text)
        if not unicodedata.combining(char)
    )
    return [word.lower() for word in _WORD.findall(bare)]
