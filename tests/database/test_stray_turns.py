"""Turns that nobody can end, rows of somebody else, and the journal they leave."""

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from tina.database import Database
from tina.database.engine.sqlite import open_writer
from tina.database.keeping.checking import find_problems
from tina.database.keeping.interruption import Stop
from tina.database.keeping.repair import repair
from tina.database.repositories.turns import DatabaseTurns
from tina.domain.conversations import (
    Conversation,
    ConversationChange,
    NewConversation,
)
from tina.domain.events import TextDelta
from tina.domain.ids import LeaseId, MessageId, OwnerId, ToolCallId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.queries import ListOpenTurns
from tina.domain.tools import NewToolCall, ToolCallStatus
from tina.domain.turns import NewTurn, TurnRequest, TurnStatus
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio

LEASE = LeaseId("f" * 32)
OTHER_OWNER = OwnerId(2)
UNREADABLE = ["nonsense", '{"model": 1}', '{"model": "a:b", "options": {"seed": 1e40}}']

GONE = "DELETE FROM messages WHERE id = unhex(?)"
ENDED = "UPDATE messages SET status = 'complete' WHERE id = unhex(?)"


class House:
    """A database, and what writes into its file past the repositories."""

    def __init__(self, database: Database, clock: FakeClock, ids: FakeIds) -> None:
        self.database = database
        self.clock = clock
        self.ids = ids

    async def conversation(self) -> Conversation:
        return await self.database.conversations.create(NewConversation())

    async def begin(
        self, conversation: Conversation, *, lease_id: LeaseId | None = None
    ) -> Message:
        turn = self.new_turn(
            conversation,
            after=await self.database.messages.list(conversation.id),
            lease_id=lease_id,
        )
        await self.database.turns.begin(turn)
        return turn.answer

    def new_turn(
        self,
        conversation: Conversation,
        *,
        after: tuple[Message, ...] = (),
        lease_id: LeaseId | None = None,
    ) -> NewTurn:
        parent_id = after[-1].id if after else None
        return NewTurn(
            id=TurnId(self.ids.new()),
            conversation_id=conversation.id,
            after=parent_id,
            prompt=None,
            answer=Message(
                id=MessageId(self.ids.new()),
                conversation_id=conversation.id,
                parent_id=parent_id,
                role=Role.ASSISTANT,
                status=MessageStatus.STREAMING,
                parts=(),
                created_at=self.clock.now(),
                model="scripted:parrot",
            ),
            request=TurnRequest(model="scripted:parrot"),
            lease_id=lease_id,
        )

    async def open_answers(self) -> list[MessageId]:
        return [turn.answer_id for turn in await self.database.turns.list_open()]

    def run(self, statement: str, *values: str) -> list[object]:
        with closing(open_writer(self.database.path)) as connection:
            return list(connection.execute(statement, values))

    def break_request(self, answer: Message, request: str) -> None:
        self.run(
            "UPDATE turns SET request = ? WHERE answer_id = unhex(?)",
            request,
            answer.id,
        )

    def problems(self) -> tuple[str, ...]:
        return find_problems(self.database.path, stop=Stop())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock, ids = FakeClock(), FakeIds()
    database = Database(tmp_path / "tina.db", leases=tmp_path, clock=clock, ids=ids)
    await database.open()
    with anyio.fail_after(10):
        yield House(database, clock, ids)
    await database.close()


@pytest.mark.requirement("turn:end:never-in-the-way")
@pytest.mark.parametrize("request_", UNREADABLE)
async def test_a_turn_that_cannot_be_read_hides_no_other(
    house: House, request_: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = await house.begin(await house.conversation())
    whole = await house.begin(await house.conversation())
    house.break_request(broken, request_)

    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await house.open_answers() == [whole.id]
    async with aclosing(house.database.live.watch(ListOpenTurns())) as watched:
        (turn,) = await anext(watched)

    assert turn.answer_id == whole.id
    said = [(record.__dict__["turn_id"],) for record in caplog.records]
    assert said == house.run(
        "SELECT lower(hex(id)) FROM turns WHERE answer_id = unhex(?)", broken.id
    ), "once"


@pytest.mark.parametrize("request_", UNREADABLE)
async def test_a_queued_turn_that_cannot_be_read_fails_and_the_next_is_claimed(
    house: House, request_: str
) -> None:
    conversation = await house.conversation()
    broken = await house.begin(conversation)
    call = await house.database.tool_calls.add(call_of(broken))
    behind_it = await house.begin(conversation)
    house.break_request(broken, request_)

    claimed = await house.database.turns.claim(LEASE)

    failed = await house.database.messages.get(broken.id)
    ended = await house.database.tool_calls.get(call.id)
    assert claimed is not None
    assert claimed.answer_id == behind_it.id
    assert failed is not None
    assert failed.failure is not None
    assert (failed.status, failed.failure.kind) == (MessageStatus.FAILED, "damaged")
    assert failed.model == "scripted:parrot"
    assert ended is not None
    assert ended.status is ToolCallStatus.FAILED
    assert house.problems() == ()


def call_of(answer: Message) -> NewToolCall:
    return NewToolCall(
        conversation_id=answer.conversation_id,
        message_id=answer.id,
        place=0,
        call_id=ToolCallId("call_1"),
        server="files",
        tool="read",
        tool_hash="a1",
        arguments="{}",
    )


@pytest.mark.requirement("turn:end:never-in-the-way")
@pytest.mark.parametrize("lease_id", [None, LEASE])
@pytest.mark.parametrize("damage", [GONE, ENDED])
async def test_a_turn_without_an_answer_to_write_keeps_nobody_waiting(
    house: House, damage: str, lease_id: LeaseId | None
) -> None:
    conversation = await house.conversation()
    stray = await house.begin(conversation, lease_id=lease_id)
    behind_it = await house.begin(conversation)
    call = await house.database.tool_calls.add(call_of(stray))
    house.run(damage, stray.id)

    claimed = await house.database.turns.claim(LEASE)

    ended = await house.database.tool_calls.get(call.id)
    assert claimed is not None
    assert claimed.answer_id == behind_it.id
    assert await house.open_answers() == [behind_it.id]
    assert ended is not None
    assert ended.status is ToolCallStatus.FAILED


@pytest.mark.parametrize("damage", [GONE, ENDED])
async def test_whoever_settles_what_has_ended_ends_its_turn(
    house: House, damage: str
) -> None:
    stray = await house.begin(await house.conversation(), lease_id=LEASE)
    await house.database.journal.append({stray.id: [TextDelta("text", "Ice")]})
    house.run(damage, stray.id)

    was_settled = await house.database.turns.settle(stray.interrupted((), None))

    assert not was_settled
    assert house.run("SELECT status FROM turns") == [(TurnStatus.DONE,)]
    assert house.run("SELECT count(*) FROM journal") == [(0,)]


async def test_a_queued_turn_whose_answer_is_gone_can_be_stopped(house: House) -> None:
    stray = await house.begin(await house.conversation())
    house.run(GONE, stray.id)

    was_asked = await house.database.turns.request_stop(stray.id)

    assert was_asked
    assert house.run("SELECT status FROM turns") == [(TurnStatus.DONE,)]


async def test_what_was_queued_in_a_deleted_conversation_waits_until_it_is_back(
    house: House,
) -> None:
    """An older Tina deleted it, and left the turn as it was."""
    conversation = await house.conversation()
    answer = await house.begin(conversation)
    house.run("UPDATE conversations SET deleted_at = 1")

    while_deleted = await house.database.turns.claim(LEASE)
    await house.database.conversations.change(
        conversation.id, ConversationChange(deleted_at=None)
    )
    claimed = await house.database.turns.claim(LEASE)

    assert while_deleted is None
    assert claimed is not None
    assert claimed.answer_id == answer.id


async def test_a_turn_whose_answer_is_gone_is_not_listed(house: House) -> None:
    stray = await house.begin(await house.conversation(), lease_id=LEASE)
    whole = await house.begin(await house.conversation(), lease_id=LEASE)
    house.run(GONE, stray.id)

    assert await house.open_answers() == [whole.id]


async def test_an_unreadable_answer_does_not_stop_a_deletion(house: House) -> None:
    conversation = await house.conversation()
    broken = await house.begin(conversation)
    house.run(
        "UPDATE messages SET metadata = 'nonsense' WHERE id = unhex(?)", broken.id
    )

    await house.database.conversations.change(
        conversation.id, ConversationChange(deleted_at=house.clock.now())
    )

    assert await house.open_answers() == []


@pytest.mark.parametrize(
    ("damage", "found", "mended"),
    [
        (
            "UPDATE turns SET request = 'nonsense' WHERE answer_id = unhex(?)",
            ("turns that nobody can end: 1",),
            (
                "turns ended that nobody could end: 1",
                "answers marked as interrupted that nobody wrote any more: 1",
            ),
        ),
        (
            ENDED,
            ("turns that nobody can end: 1",),
            ("turns ended that nobody could end: 1",),
        ),
        (
            "UPDATE turns SET answer_id = zeroblob(16) WHERE answer_id = unhex(?)",
            (
                "turns that nobody can end: 1",
                "unfinished answers that nobody writes: 1",
            ),
            (
                "turns ended that nobody could end: 1",
                "answers marked as interrupted that nobody wrote any more: 1",
            ),
        ),
        (
            "UPDATE turns SET status = 'done' WHERE answer_id = unhex(?)",
            ("unfinished answers that nobody writes: 1",),
            ("answers marked as interrupted that nobody wrote any more: 1",),
        ),
    ],
)
async def test_what_nobody_can_end_is_found_and_ended(
    house: House, damage: str, found: tuple[str, ...], mended: tuple[str, ...]
) -> None:
    conversation = await house.conversation()
    stray = await house.begin(conversation, lease_id=LEASE)
    whole = await house.begin(conversation)
    house.run(damage, stray.id)
    problems = house.problems()
    await house.database.close()

    report = repair(house.database.path, now=house.clock.now(), stop=Stop())

    assert problems == found
    assert report.mended == mended
    assert house.problems() == ()
    assert house.run("SELECT hex(answer_id) FROM turns WHERE status <> 'done'") == [
        (whole.id.upper(),)
    ]
    assert house.run("SELECT hex(id) FROM messages WHERE status = 'streaming'") == [
        (whole.id.upper(),)
    ]


async def test_turns_of_another_owner_are_neither_listed_nor_claimed(
    house: House,
) -> None:
    engine = house.database._engine  # pyright: ignore[reportPrivateUsage]
    others = DatabaseTurns(engine, clock=house.clock, owner_id=OTHER_OWNER)
    theirs = house.new_turn(
        await house.database.conversations.create(NewConversation(owner_id=OTHER_OWNER))
    )
    await others.begin(theirs)
    ours = await house.begin(await house.conversation())

    listed = await house.open_answers()
    claimed = await house.database.turns.claim(LEASE)
    nothing = await house.database.turns.claim(LEASE)

    assert listed == [ours.id]
    assert claimed is not None
    assert claimed.answer_id == ours.id
    assert nothing is None
    for owner_id, answer in ((OTHER_OWNER, theirs.answer), (OwnerId(1), ours)):
        query = ListOpenTurns(owner_id=owner_id)
        async with aclosing(house.database.live.watch(query)) as watched:
            (turn,) = await anext(watched)
        assert turn.answer_id == answer.id
    (turn,) = await others.list_open()
    assert (turn.answer_id, turn.status) == (theirs.answer.id, TurnStatus.QUEUED)


async def test_a_purge_takes_what_its_answers_were_saying(house: House) -> None:
    conversation = await house.conversation()
    answer = await house.begin(conversation, lease_id=LEASE)
    await house.database.journal.append({answer.id: [TextDelta("text", "Ice")]})
    await house.database.conversations.change(
        conversation.id, ConversationChange(deleted_at=house.clock.now())
    )

    await house.database.upkeep.purge(house.clock.now() + timedelta(seconds=1))
    after_the_purge = house.run("SELECT count(*) FROM journal")
    await house.database.journal.append({answer.id: [TextDelta("text", "Late")]})
    was_settled = await house.database.turns.settle(
        answer.stopped((TextPart(text="Ice"),), None)
    )

    assert after_the_purge == [(0,)]
    assert not was_settled
    assert house.run("SELECT count(*) FROM journal") == [(0,)]
