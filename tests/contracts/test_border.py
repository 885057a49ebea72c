"""What people and programs hand over, at the border: one suite for both stores."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from msgspec import structs

from tests.contracts.conftest import Kept
from tina.database import Database
from tina.domain.chat import ChatOptions
from tina.domain.conversations import (
    ConversationChange,
    NewConversation,
    Origin,
)
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import (
    ConversationId,
    GrantId,
    LeaseId,
    MessageId,
    ToolCallId,
    ToolRunId,
    TurnId,
)
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.queries import ListConversations, ReadConversation, ReadMessage
from tina.domain.search import SearchQuery
from tina.domain.tools import (
    Decision,
    NewGrant,
    NewToolCall,
    ToolCallStatus,
    ToolOutcome,
)
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio

DIRTY, CLEAN = "a\0b\udc80", "ab\ufffd"
LEASE = LeaseId("f" * 32)

Stores: TypeAlias = Database | MemoryStores


@pytest.fixture
def stores(kept: Kept) -> Stores:
    return kept.stores


CALLS: list[Callable[[Stores, Any], Awaitable[object]]] = [
    lambda on, no_id: on.conversations.get(no_id),
    lambda on, no_id: on.conversations.find(prefix=no_id),
    lambda on, no_id: on.conversations.change(no_id, ConversationChange(title="x")),
    lambda on, no_id: on.conversations.fork(no_id, NewConversation()),
    lambda on, no_id: on.messages.get(no_id),
    lambda on, no_id: on.messages.list(no_id),
    lambda on, no_id: on.messages.list_branch(no_id),
    lambda on, no_id: on.messages.list_siblings(no_id),
    lambda on, no_id: on.turns.request_stop(no_id),
    lambda on, no_id: on.journal.read(no_id),
    lambda on, no_id: anext(on.live.follow(no_id)),
    lambda on, no_id: anext(on.live.watch(ReadConversation(conversation_id=no_id))),
    lambda on, no_id: anext(
        on.live.watch_many([ReadMessage(message_id=no_id, conversation_id=no_id)])
    ),
    lambda on, no_id: on.tool_calls.get(ToolRunId(no_id)),
    lambda on, no_id: on.tool_calls.list(no_id),
    lambda on, no_id: on.tool_calls.decide(ToolRunId(no_id), Decision.ALLOW),
    lambda on, no_id: on.tool_calls.start(ToolRunId(no_id)),
    lambda on, no_id: on.tool_calls.settle(
        ToolRunId(no_id), ToolCallStatus.FAILED, None
    ),
    lambda on, no_id: on.tool_calls.add(
        structs.replace(new_call(no_id), message_id=MessageId("0" * 32))
    ),
    lambda on, no_id: on.grants.remove(GrantId(no_id)),
    lambda on, no_id: on.grants.add(new_grant("files", conversation_id=no_id)),
    lambda on, no_id: on.search.search(SearchQuery(words="ice", conversation_id=no_id)),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: str(CALLS.index(call)))
@pytest.mark.parametrize("no_id", ["zz", "A" * 32, "0" * 33, "\udc80"])
async def test_what_is_no_id_is_refused(
    stores: Stores, call: Callable[[Stores, Any], Awaitable[object]], no_id: str
) -> None:
    with pytest.raises(InvalidInputFailure, match="is no id"):
        await call(stores, no_id)


async def test_a_branch_that_is_no_id_is_refused(stores: Stores) -> None:
    created = await stores.conversations.create(NewConversation())

    with pytest.raises(InvalidInputFailure, match="is no id"):
        await stores.conversations.change(
            created.id, ConversationChange(branch=MessageId("zz"))
        )


def new_call(conversation_id: ConversationId, text: str = "read") -> NewToolCall:
    return NewToolCall(
        conversation_id=conversation_id,
        message_id=MessageId("1" * 32),
        place=0,
        call_id=ToolCallId(text),
        server=text,
        tool=text,
        tool_hash=text,
        arguments=text,
    )


def new_grant(text: str, conversation_id: ConversationId | None = None) -> NewGrant:
    return NewGrant(
        decision=Decision.ALLOW,
        conversation_id=conversation_id,
        server=text,
        tool=text,
        config_hash=text,
        tool_hash=text,
    )


async def test_a_conversation_is_stored_with_text_that_can_be_held(
    stores: Stores,
) -> None:
    new = NewConversation(
        title=DIRTY,
        model=DIRTY,
        system=DIRTY,
        origin=Origin(source=DIRTY, source_id=DIRTY),
        metadata={DIRTY: DIRTY},
    )

    created = await stores.conversations.create(new)
    changed = await stores.conversations.change(
        created.id, ConversationChange(title=DIRTY * 2, metadata={"x": DIRTY})
    )

    assert (created.title, created.model, created.system) == (CLEAN, CLEAN, CLEAN)
    assert created.origin == Origin(source=CLEAN, source_id=CLEAN)
    assert created.metadata == {CLEAN: CLEAN}
    assert (changed.title, changed.metadata) == (CLEAN * 2, {"x": CLEAN})
    assert await stores.conversations.list(ListConversations()) == (changed,)


async def test_calls_and_grants_are_stored_with_text_that_can_be_held(
    stores: Stores,
) -> None:
    conversation = await stores.conversations.create(NewConversation())

    call = await stores.tool_calls.add(new_call(conversation.id, DIRTY))
    await stores.tool_calls.settle(
        call.id, ToolCallStatus.FAILED, ToolOutcome(content=DIRTY)
    )
    grant = await stores.grants.add(new_grant(DIRTY))

    ended = await stores.tool_calls.get(call.id)
    assert ended is not None
    assert ended.outcome == ToolOutcome(content=CLEAN)
    assert (call.call_id, call.server, call.arguments) == (CLEAN, CLEAN, CLEAN)
    assert (grant.server, grant.tool, grant.config_hash) == (CLEAN, CLEAN, CLEAN)
    for text in (DIRTY, CLEAN):
        assert await stores.grants.list(server=text, tool=text) == (grant,)


async def test_a_turn_is_stored_with_text_that_can_be_held(stores: Stores) -> None:
    conversation = await stores.conversations.create(NewConversation())
    prompt = message_in(conversation.id, "2", DIRTY)
    answer = structs.replace(
        message_in(conversation.id, "3", ""),
        parent_id=prompt.id,
        status=MessageStatus.STREAMING,
        model=DIRTY,
    )
    options = ChatOptions(stop=(DIRTY, "END"))
    turn = NewTurn(
        id=TurnId("4" * 32),
        conversation_id=conversation.id,
        after=None,
        prompt=prompt,
        answer=answer,
        request=TurnRequest(model=DIRTY, options=options),
        lease_id=LEASE,
    )

    await stores.turns.begin(turn)
    (open_turn,) = await stores.turns.list_open()
    await stores.turns.settle(answer.stopped((TextPart(text=DIRTY),), None))

    asked, answered = await stores.messages.list(conversation.id)
    assert open_turn.request == TurnRequest(
        model=CLEAN, options=ChatOptions(stop=(CLEAN, "END"))
    )
    assert (asked.text, answered.text, answered.model) == (CLEAN, CLEAN, CLEAN)


def message_in(conversation_id: ConversationId, digit: str, text: str) -> Message:
    return Message(
        id=MessageId(digit * 32),
        conversation_id=conversation_id,
        parent_id=None,
        role=Role.USER,
        status=MessageStatus.COMPLETE,
        parts=(TextPart(text=text),) if text else (),
        created_at=FakeClock().now(),
    )


async def test_a_search_may_ask_for_any_text(stores: Stores) -> None:
    query = SearchQuery(words=f"ice {DIRTY}", model=DIRTY)

    found = await stores.search.search(query)

    assert found.hits == ()
