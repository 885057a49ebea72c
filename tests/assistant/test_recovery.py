"""What a dead process left behind is settled, once, and nothing else is touched."""

import pytest

from tina.assistant import recover
from tina.domain.conversations import NewConversation
from tina.domain.events import BlockKind, BlockStart, TextDelta
from tina.domain.failures import DamagedFailure
from tina.domain.ids import LeaseId, MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.turns import NewTurn
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import (
    MemoryConversations,
    MemoryLeases,
    MemoryMessages,
    MemoryTurns,
)

pytestmark = pytest.mark.anyio


class Shared:
    """The stores that several processes share."""

    def __init__(self) -> None:
        self.clock, self.ids = FakeClock(), FakeIds()
        self.conversations = MemoryConversations(clock=self.clock, ids=self.ids)
        self.messages = MemoryMessages(self.conversations)
        self.turns = MemoryTurns(self.conversations, self.messages)
        self.alive: set[LeaseId] = set()

    def leases(self) -> MemoryLeases:
        return MemoryLeases(ids=self.ids, alive=self.alive)

    async def begin(self, lease_id: LeaseId) -> MessageId:
        conversation = await self.conversations.create(NewConversation())
        answer = Message(
            id=MessageId(self.ids.new()),
            conversation_id=conversation.id,
            parent_id=None,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=self.clock.now(),
        )
        turn = NewTurn(
            id=TurnId(self.ids.new()),
            conversation_id=conversation.id,
            after=None,
            prompt=None,
            answer=answer,
            lease_id=lease_id,
        )
        await self.turns.begin(turn)
        return answer.id

    async def recover(self) -> tuple[MessageId, ...]:
        return await recover(
            turns=self.turns, messages=self.messages, leases=self.leases()
        )


async def test_what_the_dead_said_is_kept_as_interrupted() -> None:
    shared = Shared()
    dead = shared.leases()
    answer_id = await shared.begin(await dead.hold())
    await shared.turns.append(
        {
            answer_id: [
                BlockStart("text", BlockKind.TEXT),
                TextDelta("text", "Once "),
                TextDelta("text", "upon"),
            ]
        }
    )
    await dead.close()

    settled = await shared.recover()

    answer = await shared.messages.get(answer_id)
    assert settled == (answer_id,)
    assert answer is not None
    assert answer.status is MessageStatus.INTERRUPTED
    assert answer.parts == (TextPart(text="Once upon"),)


async def test_the_living_are_left_alone() -> None:
    shared = Shared()
    living = shared.leases()
    answer_id = await shared.begin(await living.hold())

    assert await shared.recover() == ()

    answer = await shared.messages.get(answer_id)
    assert answer is not None
    assert answer.status is MessageStatus.STREAMING


async def test_a_second_recovery_finds_nothing() -> None:
    shared = Shared()
    await shared.begin(LeaseId("dead"))
    await shared.recover()

    assert await shared.recover() == ()


async def test_who_comes_second_settles_nothing() -> None:
    shared = Shared()
    answer_id = await shared.begin(LeaseId("dead"))

    class Late(MemoryLeases):
        async def is_held(self, lease_id: LeaseId) -> bool:
            await shared.recover()
            return False

    settled = await recover(
        turns=shared.turns, messages=shared.messages, leases=Late(ids=shared.ids)
    )

    assert settled == ()
    answer = await shared.messages.get(answer_id)
    assert answer is not None
    assert answer.status is MessageStatus.INTERRUPTED


async def test_a_turn_whose_answer_is_gone_is_passed_over() -> None:
    shared = Shared()
    answer_id = await shared.begin(LeaseId("dead"))
    del shared.messages.by_id[answer_id]

    assert await shared.recover() == ()


async def test_an_answer_that_cannot_be_settled_does_not_keep_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Tina is opened all the same: a full disk must not hide what was said before."""
    shared = Shared()
    damaged_id = await shared.begin(LeaseId("dead"))
    answer_id = await shared.begin(LeaseId("dead"))

    class Damaged(MemoryMessages):
        async def get(self, message_id: MessageId) -> Message | None:
            if message_id == damaged_id:
                raise DamagedFailure("It cannot be read.")
            return await shared.messages.get(message_id)

    settled = await recover(
        turns=shared.turns,
        messages=Damaged(shared.conversations),
        leases=shared.leases(),
    )

    assert settled == (answer_id,)
    assert "answer_not_recovered" in caplog.text
