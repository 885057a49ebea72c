"""One suite for every ledger."""

from datetime import timedelta

import pytest
from msgspec import structs

from tests.contracts.conftest import Kept
from tina.domain.chat import StopReason, Usage
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.ids import MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.turns import NewTurn, TurnRequest

pytestmark = pytest.mark.anyio


async def answer(
    kept: Kept, conversation: Conversation, usage: Usage | None
) -> Message:
    """An answer that was given in a conversation."""
    stored = await kept.stores.conversations.get(conversation.id)
    assert stored is not None
    new = Message(
        id=MessageId(kept.ids.new()),
        conversation_id=conversation.id,
        parent_id=stored.tip,
        role=Role.ASSISTANT,
        status=MessageStatus.STREAMING,
        parts=(),
        created_at=kept.clock.now(),
        model="openai:m",
    )
    turn = NewTurn(
        id=TurnId(kept.ids.new()),
        conversation_id=conversation.id,
        after=stored.tip,
        prompt=None,
        answer=new,
        request=TurnRequest(model="openai:m"),
        lease_id=await kept.stores.leases.hold(),
    )
    await kept.stores.turns.begin(turn)
    ended = new.completed(
        (TextPart(text="Yes."),),
        stop_reason=StopReason.STOP,
        usage=usage,
        replay=None,
    )
    await kept.stores.turns.settle(ended)
    return ended


async def test_nothing_was_spent_before_anything_was_asked(kept: Kept) -> None:
    assert await kept.stores.ledger.spent_micros() == 0


async def test_costs_add_up_by_conversation_and_by_time(kept: Kept) -> None:
    conversations = kept.stores.conversations
    first = await conversations.create(NewConversation(title="First"))
    second = await conversations.create(NewConversation(title="Second"))
    await answer(kept, first, Usage(cost_micros=1_000))
    await kept.clock.sleep(timedelta(days=1).total_seconds())
    noon = kept.clock.now()
    await answer(kept, first, Usage(cost_micros=20))
    await answer(kept, second, Usage(cost_micros=300))

    ledger = kept.stores.ledger
    assert await ledger.spent_micros() == 1_320
    assert await ledger.spent_micros(since=noon) == 320
    assert await ledger.spent_micros(conversation_id=first.id) == 1_020
    assert await ledger.spent_micros(conversation_id=first.id, since=noon) == 20


async def test_what_has_no_price_counts_nothing(kept: Kept) -> None:
    conversation = await kept.stores.conversations.create(NewConversation())
    await answer(kept, conversation, Usage(input_tokens=10))
    await answer(kept, conversation, None)

    assert await kept.stores.ledger.spent_micros() == 0


async def test_a_cost_that_comes_later_is_entered_once(kept: Kept) -> None:
    conversation = await kept.stores.conversations.create(NewConversation())
    ended = await answer(kept, conversation, Usage(input_tokens=10))
    silent = await answer(kept, conversation, None)
    ledger = kept.stores.ledger

    for cost_micros in (7, 700):
        await ledger.enter_cost(ended.id, cost_micros)
        await ledger.enter_cost(silent.id, cost_micros)
        await ledger.enter_cost(MessageId("f" * 32), cost_micros)

    stored = await kept.stores.messages.get(ended.id)
    assert stored is not None
    assert stored.usage == Usage(input_tokens=10, cost_micros=7)
    assert await ledger.spent_micros() == 7
    assert await kept.stores.messages.get(silent.id) == silent


async def test_an_answer_counts_once(kept: Kept) -> None:
    conversation = await kept.stores.conversations.create(NewConversation())
    ended = await answer(kept, conversation, Usage(cost_micros=7))
    await kept.stores.turns.settle(
        structs.replace(ended, usage=Usage(cost_micros=70_000))
    )

    assert await kept.stores.ledger.spent_micros() == 7
