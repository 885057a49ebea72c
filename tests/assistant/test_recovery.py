"""What a dead process left behind is settled, once, and nothing else is touched."""

import anyio
import anyio.lowlevel
import pytest

from tina.assistant import Keeper, Ports
from tina.assistant import answer as answer_module
from tina.assistant.recovery import LOOK_INTERVAL_S
from tina.domain.chat import Usage
from tina.domain.conversations import NewConversation
from tina.domain.events import BlockKind, BlockStart, TextDelta
from tina.domain.failures import DamagedFailure, DiskFullFailure, StorageFailure
from tina.domain.ids import LeaseId, MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import MessageRepository
from tina.domain.turns import NewTurn, OpenTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.facts import FakeModelFacts
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryLeases, MemoryMessages, MemoryTurns
from tina.testing.provider import FakeProviders
from tina.testing.stores import MemoryStores

pytestmark = pytest.mark.anyio


class Shared:
    """The stores that several processes share."""

    def __init__(self) -> None:
        self.alive: set[LeaseId] = set()
        self.clock = FakeClock()
        self.stores = MemoryStores(clock=self.clock, ids=FakeIds(), alive=self.alive)
        self.messages: MessageRepository = self.stores.messages
        self.facts = FakeModelFacts()

    def leases(self) -> MemoryLeases:
        return MemoryLeases(ids=self.stores.ids, alive=self.alive)

    async def begin(self, lease_id: LeaseId | None) -> MessageId:
        conversation = await self.stores.conversations.create(NewConversation())
        prompt = Message(
            id=MessageId(self.stores.ids.new()),
            conversation_id=conversation.id,
            parent_id=None,
            role=Role.USER,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text="x" * 400),),
            created_at=self.stores.clock.now(),
        )
        answer = Message(
            id=MessageId(self.stores.ids.new()),
            conversation_id=conversation.id,
            parent_id=prompt.id,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=self.stores.clock.now(),
            model="scripted:parrot",
        )
        turn = NewTurn(
            id=TurnId(self.stores.ids.new()),
            conversation_id=conversation.id,
            after=None,
            prompt=prompt,
            answer=answer,
            request=TurnRequest(model="scripted:parrot"),
            lease_id=lease_id,
        )
        await self.stores.turns.begin(turn)
        return answer.id

    def ports(self, leases: MemoryLeases | None = None) -> Ports:
        stores = self.stores
        return Ports(
            conversations=stores.conversations,
            messages=self.messages,
            turns=stores.turns,
            journal=stores.journal,
            tool_calls=stores.tool_calls,
            grants=stores.grants,
            ledger=stores.ledger,
            live=stores.live,
            search=stores.search,
            leases=leases or self.leases(),
            providers=FakeProviders(),
            facts=self.facts,
            clock=stores.clock,
            ids=stores.ids,
        )

    async def recover(self) -> tuple[MessageId, ...]:
        return await Keeper(self.ports()).recover()

    async def get(self, message_id: MessageId) -> Message:
        message = await self.stores.messages.get(message_id)
        assert message is not None
        return message


async def test_what_the_dead_said_is_kept_as_interrupted() -> None:
    shared = Shared()
    shared.facts = FakeModelFacts(micros_per_token=2, is_loaded=False)
    dead = shared.leases()
    answer_id = await shared.begin(await dead.hold())
    await shared.stores.journal.append(
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

    answer = await shared.get(answer_id)
    assert settled == (answer_id,)
    assert answer.status is MessageStatus.INTERRUPTED
    assert answer.parts == (TextPart(text="Once upon"),)
    assert answer.usage == Usage(
        input_tokens=104, output_tokens=3, cost_micros=214, is_estimated=True
    )
    assert await shared.stores.ledger.spent_micros() == 214


async def test_the_living_are_left_alone() -> None:
    shared = Shared()
    living = shared.leases()
    answer_id = await shared.begin(await living.hold())

    assert await shared.recover() == ()

    answer = await shared.get(answer_id)
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

    settled = await Keeper(shared.ports(Late(ids=shared.stores.ids))).recover()

    assert settled == ()
    answer = await shared.get(answer_id)
    assert answer.status is MessageStatus.INTERRUPTED


async def test_a_turn_whose_answer_is_gone_is_passed_over() -> None:
    class Purged(MemoryMessages):
        """Between the look at its turn and the look at it."""

        async def get(self, message_id: MessageId) -> Message | None:
            return None

    shared = Shared()
    await shared.begin(LeaseId("dead"))
    shared.messages = Purged(shared.stores.rows)

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
            return await super().get(message_id)

    shared.messages = Damaged(shared.stores.rows)

    settled = await shared.recover()

    assert settled == (answer_id,)
    assert "answer_not_recovered" in caplog.text


async def test_a_queued_turn_is_nobodys_to_settle() -> None:
    shared = Shared()
    answer_id = await shared.begin(None)

    assert await shared.recover() == ()
    assert (await shared.get(answer_id)).status is MessageStatus.STREAMING


async def test_what_is_longer_than_tina_keeps_is_kept_up_to_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answer_module, "MAX_ANSWER_CHARS", 5)
    shared = Shared()
    answer_id = await shared.begin(LeaseId("dead"))
    await shared.stores.journal.append(
        {answer_id: [TextDelta("text", "Once "), TextDelta("text", "upon")]}
    )

    settled = await shared.recover()

    assert settled == (answer_id,)
    assert (await shared.get(answer_id)).text == "Once "


async def test_the_keeper_finds_the_dead_while_somebody_watches() -> None:
    shared = Shared()
    keeper = Keeper(shared.ports())
    answer_id = await shared.begin(LeaseId("dead"))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            await anyio.wait_all_tasks_blocked()
            assert (await shared.get(answer_id)).status is MessageStatus.STREAMING
            with keeper.keeping():
                while (await shared.get(answer_id)).status is MessageStatus.STREAMING:
                    await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert (await shared.get(answer_id)).status is MessageStatus.INTERRUPTED
    assert set(shared.clock.slept) == {LOOK_INTERVAL_S}


@pytest.mark.parametrize(
    ("failure", "tries"),
    [(DiskFullFailure("No room left."), 1), (StorageFailure("It is broken."), 3)],
)
async def test_what_cannot_be_settled_yet_is_shown_as_it_will_be(
    failure: StorageFailure, tries: int
) -> None:
    class Full(MemoryTurns):
        is_full = True
        tries = 0

        async def settle(self, answer: Message) -> bool:
            self.tries += 1
            if self.is_full:
                raise failure
            return await super().settle(answer)

    shared = Shared()
    answer_ids = [await shared.begin(LeaseId("dead")) for _ in range(3)]
    await shared.stores.journal.append({answer_ids[0]: [TextDelta("text", "Once ")]})
    shared.stores.turns = turns = Full(shared.stores.rows)
    keeper = Keeper(shared.ports())

    assert await keeper.recover() == ()

    assert turns.tries == tries
    stored = tuple([await shared.get(answer_id) for answer_id in answer_ids])
    assert {message.status for message in stored} == {MessageStatus.STREAMING}
    shown = keeper.as_left(stored)
    assert {message.status for message in shown} == {MessageStatus.INTERRUPTED}
    assert shown[0].text == "Once "

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            while turns.tries < 3 * tries:
                await anyio.lowlevel.checkpoint()
            turns.is_full = False
            while await turns.list_open():
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert tuple([await shared.get(answer_id) for answer_id in answer_ids]) == shown
    assert keeper.as_left(stored) == stored


async def test_the_keeper_lives_on_when_it_cannot_look(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing(MemoryTurns):
        refusals = 1

        async def list_open(self) -> tuple[OpenTurn, ...]:
            if self.refusals:
                self.refusals -= 1
                raise StorageFailure("It cannot be read.")
            return await super().list_open()

    shared = Shared()
    answer_id = await shared.begin(LeaseId("dead"))
    shared.stores.turns = Failing(shared.stores.rows)
    keeper = Keeper(shared.ports())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            with keeper.keeping():
                while (await shared.get(answer_id)).status is MessageStatus.STREAMING:
                    await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    assert "dead_not_found" in caplog.text


async def test_a_look_that_was_cut_is_taken_again_although_nobody_watches() -> None:
    """An opening that takes too long leaves it to what runs beside."""

    class Slow(MemoryTurns):
        is_slow = True

        async def list_open(self) -> tuple[OpenTurn, ...]:
            if self.is_slow:
                await anyio.sleep_forever()
            return await super().list_open()

    shared = Shared()
    answer_id = await shared.begin(LeaseId("dead"))
    shared.stores.turns = turns = Slow(shared.stores.rows)
    keeper = Keeper(shared.ports())

    with anyio.move_on_after(0) as opening:
        await keeper.recover()
    assert opening.cancelled_caught
    turns.is_slow = False

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(keeper.run)
            while (await shared.get(answer_id)).status is MessageStatus.STREAMING:
                await anyio.lowlevel.checkpoint()
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert shared.clock.slept == [LOOK_INTERVAL_S]
