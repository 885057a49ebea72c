"""Live queries on the database in memory."""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, TypeVar

import anyio

from tina.domain.ids import MessageId, check_id
from tina.domain.messages import MessageStatus
from tina.domain.ports import Clock, JournalPiece
from tina.domain.queries import (
    ConversationView,
    ListConversations,
    ListOpenTurns,
    ListWaitingCalls,
    Query,
    ReadConversation,
    ReadMessage,
)
from tina.domain.tools import ToolCall
from tina.domain.turns import OpenTurn
from tina.testing.memory import MemoryDatabase

T = TypeVar("T")


class MemoryLive:
    """Fulfils `LiveQueries`: after each change everything watched is looked at again.

    Args:
        waiting: the tool calls that wait, oldest first.
    """

    def __init__(
        self,
        rows: MemoryDatabase,
        *,
        waiting: Callable[[], tuple[ToolCall, ...]],
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._waiting = waiting
        self._clock = clock
        self._changed = anyio.Event()
        rows.on_change.append(self._wake)

    def watch(
        self, query: Query[T], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[T]:
        _check_ids(query)
        return self._watch(lambda: self._answer(query), min_interval_s)

    def watch_many(
        self, queries: Sequence[Query[Any]], *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[tuple[Any, ...]]:
        for query in queries:
            _check_ids(query)
        return self._watch(
            lambda: tuple(self._answer(query) for query in queries), min_interval_s
        )

    async def follow(self, message_id: MessageId) -> AsyncGenerator[JournalPiece]:
        check_id(message_id)
        async for said in self._watch(lambda: self._said(message_id), 0.0):
            if said is None:
                return
            yield JournalPiece(said, is_fold=True)

    async def _watch(
        self, answer: Callable[[], Any], min_interval_s: float
    ) -> AsyncGenerator[Any]:
        seen: object = object()
        while True:
            changed = self._changed
            value = answer()
            if value == seen:
                await changed.wait()
                continue
            seen = value
            yield value
            if min_interval_s > 0:
                await self._clock.sleep(min_interval_s)

    def _answer(self, query: Query[Any]) -> Any:
        match query:
            case ListConversations():
                return self._rows.conversations.page(query)
            case ReadConversation():
                return self._view(query)
            case ReadMessage(message_id=message_id):
                return self._rows.messages_by_id.get(message_id)
            case ListWaitingCalls():
                return self._waiting()
            case _:
                return self._open_turns(query)

    def _view(self, query: ReadConversation) -> ConversationView | None:
        found = self._rows.conversations_by_id.get(query.conversation_id)
        if found is None:
            return None
        branch = self._rows.messages.branch_to(found.tip)
        return ConversationView(conversation=found, messages=branch)

    def _open_turns(self, query: Query[Any]) -> tuple[OpenTurn, ...]:
        if not isinstance(query, ListOpenTurns):
            raise TypeError(f"{type(query).__name__} is a query that nobody can read")
        return tuple(
            turn
            for turn in self._rows.turns.open_turns()
            if turn.owner_id == query.owner_id
        )

    def _said(self, message_id: MessageId) -> Any:
        """What a running answer has said; None once it is settled."""
        message = self._rows.messages_by_id.get(message_id)
        if message is None or message.status is not MessageStatus.STREAMING:
            return None
        return tuple(self._rows.journal_by_id.get(message_id, ()))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _check_ids(query: Query[Any]) -> None:
    if isinstance(query, ReadConversation | ReadMessage):
        check_id(query.conversation_id)
