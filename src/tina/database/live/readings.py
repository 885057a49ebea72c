"""How each query is read, and which topics can change its answer."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import apsw

from tina.database.daos import conversations, messages, tool_calls, turns
from tina.database.live.changes import Topic
from tina.database.mappers.conversations import to_conversation, to_page
from tina.database.mappers.messages import to_message
from tina.database.mappers.tools import to_tool_call
from tina.database.mappers.values import id_to_bytes
from tina.database.repositories.messages import active_branch
from tina.database.repositories.turns import readable_turns
from tina.domain.queries import (
    ConversationView,
    ListConversations,
    ListOpenTurns,
    ListWaitingCalls,
    Query,
    ReadConversation,
    ReadMessage,
)


class Reading(NamedTuple):
    """`read` gives rows to an answer in a thread, on one snapshot."""

    topics: frozenset[Topic]
    read: Callable[[apsw.Connection], Any]


def reading_of(query: Query[Any]) -> Reading:
    """What it takes to answer a query.

    Raises:
        TypeError: nobody wrote down how to read it.
    """
    match query:
        case ListConversations():
            return _reading(partial(_list, query=query), Topic("conversations", None))
        case ReadConversation(conversation_id=conversation_id):
            key = id_to_bytes(conversation_id)
            return _reading(
                partial(_view, query=query),
                Topic("conversations", key),
                Topic("messages", key),
            )
        case ReadMessage(conversation_id=conversation_id):
            key = id_to_bytes(conversation_id)
            return _reading(partial(_message, query=query), Topic("messages", key))
        case ListWaitingCalls():
            return _reading(partial(_waiting, query=query), Topic("tool_calls", None))
        case ListOpenTurns():
            return _reading(partial(_open_turns, query=query), Topic("turns", None))
        case _:
            raise TypeError(f"{type(query).__name__} is a query that nobody can read")


def together(readings: tuple[Reading, ...]) -> Reading:
    """Several queries, read in one snapshot."""

    def read(connection: apsw.Connection) -> tuple[Any, ...]:
        return tuple(reading.read(connection) for reading in readings)

    topics = (topic for reading in readings for topic in reading.topics)
    return Reading(frozenset(topics), read)


def _reading(read: Callable[[apsw.Connection], Any], *topics: Topic) -> Reading:
    return Reading(frozenset(topics), read)


def _list(connection: apsw.Connection, query: ListConversations) -> Any:
    return tuple(map(to_conversation, conversations.page(connection, to_page(query))))


def _view(
    connection: apsw.Connection, query: ReadConversation
) -> ConversationView | None:
    key = id_to_bytes(query.conversation_id)
    row = conversations.get(connection, owner_id=query.owner_id, row_id=key)
    if row is None:
        return None
    branch = active_branch(connection, owner_id=query.owner_id, conversation_id=key)
    return ConversationView(conversation=to_conversation(row), messages=branch)


def _message(connection: apsw.Connection, query: ReadMessage) -> Any:
    row = messages.get(
        connection, owner_id=query.owner_id, row_id=id_to_bytes(query.message_id)
    )
    return None if row is None else to_message(row)


def _waiting(connection: apsw.Connection, query: ListWaitingCalls) -> Any:
    rows = tool_calls.waiting(connection, owner_id=query.owner_id)
    return tuple(map(to_tool_call, rows))


def _open_turns(connection: apsw.Connection, query: ListOpenTurns) -> Any:
    rows = turns.open_turns(connection, owner_id=query.owner_id)
    return tuple(readable_turns(rows))
