"""Tools and imports in the file: two databases on it, a purge, damage, plans."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import apsw
import pytest

from tina.database import Database
from tina.database.daos import tool_calls as dao
from tina.database.engine.sqlite import open_writer
from tina.domain.chat import Usage
from tina.domain.conversations import Conversation, NewConversation, Origin
from tina.domain.failures import DamagedFailure, NotFoundFailure
from tina.domain.ids import (
    LAPTOP_OWNER,
    ConversationId,
    LeaseId,
    MessageId,
    ToolCallId,
    TurnId,
)
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.tools import (
    Decision,
    NewGrant,
    NewToolCall,
    ToolCall,
    ToolCallStatus,
)
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

pytestmark = pytest.mark.anyio

CALLS = 12
TASKS = 16


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path)
    yield database
    await database.close()


@pytest.fixture
async def other(database: Database, tmp_path: Path) -> AsyncIterator[Database]:
    """As another process has it: its own connections on the same file."""
    other = await open_database(tmp_path)
    yield other
    await other.close()


async def open_database(folder: Path) -> Database:
    database = Database(
        folder / "tina.db", leases=folder, clock=FakeClock(), ids=FakeIds()
    )
    await database.open()
    return database


async def add_call(
    database: Database, conversation: Conversation, number: int = 0
) -> ToolCall:
    return await database.tool_calls.add(
        NewToolCall(
            conversation_id=conversation.id,
            message_id=MessageId(f"{number:032x}"),
            place=0,
            call_id=ToolCallId("call_1"),
            server="files",
            tool="read",
            tool_hash="a1",
            arguments="{}",
        )
    )


async def race(attempts: list[Callable[[], Awaitable[bool]]]) -> list[bool]:
    """What each of them gave, all begun together, in their order."""
    results = [False] * len(attempts)

    async def attempt(place: int) -> None:
        results[place] = await attempts[place]()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for place in range(len(attempts)):
                group.start_soon(attempt, place)
    return results


@pytest.mark.requirement("database:tool-calls:once")
async def test_a_call_is_started_once_by_whoever_asks(
    database: Database, other: Database
) -> None:
    conversation = await database.conversations.create(NewConversation())
    calls = [await add_call(database, conversation, number) for number in range(CALLS)]
    for call in calls:
        await database.tool_calls.decide(call.id, Decision.ALLOW)

    results = await race(
        [
            partial(house.tool_calls.start, call.id)
            for call in calls
            for house in (database, other)
            for _ in range(TASKS)
        ]
    )

    each = len(results) // CALLS
    started = [sum(results[place * each :][:each]) for place in range(CALLS)]
    assert started == [1] * CALLS


@pytest.mark.requirement("database:tool-calls:once")
async def test_one_of_two_people_decides(database: Database, other: Database) -> None:
    conversation = await database.conversations.create(NewConversation())

    for number in range(CALLS):
        call = await add_call(database, conversation, number)
        is_allowed, is_denied = await race(
            [
                partial(database.tool_calls.decide, call.id, Decision.ALLOW),
                partial(other.tool_calls.decide, call.id, Decision.DENY),
            ]
        )

        stored = await other.tool_calls.get(call.id)
        assert stored is not None
        assert is_allowed is not is_denied
        assert (stored.status is ToolCallStatus.APPROVED) is is_allowed
        assert (stored.status is ToolCallStatus.DENIED) is is_denied


async def test_calls_that_wait_are_listed_oldest_first(database: Database) -> None:
    conversation = await database.conversations.create(NewConversation())
    first, decided, last = [
        await add_call(database, conversation, number) for number in (3, 2, 1)
    ]
    await database.tool_calls.decide(decided.id, Decision.DENY)

    with opened(database) as connection:
        rows = dao.waiting(connection, owner_id=LAPTOP_OWNER)
        of_others = dao.waiting(connection, owner_id=2)

    assert [row.id.hex() for row in rows] == [first.id, last.id]
    assert of_others == []


async def test_what_waits_is_found_without_looking_at_what_does_not(
    database: Database,
) -> None:
    read: list[str] = []

    with opened(database) as connection:
        connection.exec_trace = lambda _, statement, __: read.append(statement) or True
        dao.waiting(connection, owner_id=LAPTOP_OWNER)
        connection.exec_trace = None
        steps = connection.execute(
            "EXPLAIN QUERY PLAN " + read[0], {"owner_id": LAPTOP_OWNER}
        )
        plan = [step[3] for step in steps]

    assert plan == ["SEARCH tool_calls USING INDEX tool_calls_waiting (owner_id=?)"]


@pytest.mark.requirement("database:purge:takes-tools")
async def test_a_purge_takes_calls_grants_and_imports_but_not_the_ledger(
    database: Database,
) -> None:
    purged = await database.conversations.create(NewConversation())
    kept = await database.conversations.create(NewConversation())
    calls = [
        await add_call(database, conversation, number)
        for number, conversation in enumerate((purged, kept))
    ]
    for conversation in (purged, kept):
        await database.grants.add(new_grant(conversation.id))
    everywhere = await database.grants.add(new_grant(None))
    origin = Origin(source="chatgpt", source_id="x-1")
    await database.import_origins.add(origin, purged.id)
    await spend(database, purged)

    run(database, "DELETE FROM conversations WHERE id = unhex(?)", purged.id)

    listed = await database.grants.list(server="files", tool="read")
    assert await database.tool_calls.get(calls[0].id) is None
    assert await database.tool_calls.get(calls[1].id) == calls[1]
    assert [grant.conversation_id for grant in listed] == [None, kept.id]
    assert listed[0] == everywhere
    assert await database.import_origins.find(origin) is None
    assert run(database, "SELECT hex(conversation_id), input_tokens FROM usage") == [
        (purged.id.upper(), 3)
    ]
    assert run(
        database,
        "SELECT count(*) FROM change_log WHERE topic = 'tool_calls' AND key = unhex(?)",
        purged.id,
    ) == [(2,)], "added and removed: whoever watches hears of both"
    assert await database.check() == ()


def new_grant(conversation_id: ConversationId | None) -> NewGrant:
    return NewGrant(
        decision=Decision.ALLOW,
        conversation_id=conversation_id,
        server="files",
        tool="read",
        config_hash="c1",
        tool_hash="a1",
    )


async def spend(database: Database, conversation: Conversation) -> None:
    """An answer with usage."""
    answer = Message(
        id=MessageId("ab" * 16),
        conversation_id=conversation.id,
        parent_id=None,
        role=Role.ASSISTANT,
        status=MessageStatus.STREAMING,
        parts=(),
        created_at=FakeClock().now(),
    )
    await database.turns.begin(
        NewTurn(
            id=TurnId("cd" * 16),
            conversation_id=conversation.id,
            after=None,
            prompt=None,
            answer=answer,
            request=TurnRequest(model="local:smollm2"),
            lease_id=LeaseId("ef" * 16),
        )
    )
    await database.turns.settle(answer.stopped((), Usage(input_tokens=3)))


@contextmanager
def opened(database: Database) -> Generator[apsw.Connection]:
    """The file as another program of Tina's has it."""
    connection = open_writer(database.path)
    try:
        yield connection
    finally:
        connection.close()


def run(database: Database, statement: str, *values: str) -> list[object]:
    with opened(database) as connection:
        return list(connection.execute(statement, values))


async def test_a_call_that_was_damaged_in_the_file_is_named(
    database: Database,
) -> None:
    conversation = await database.conversations.create(NewConversation())
    call = await add_call(database, conversation)

    run(database, "UPDATE tool_calls SET status = 'ghost'")

    with pytest.raises(DamagedFailure, match=call.id):
        await database.tool_calls.get(call.id)


async def test_an_import_is_found_again(database: Database) -> None:
    first, second = [
        await database.conversations.create(NewConversation()) for _ in range(2)
    ]
    origin = Origin(source="chatgpt", source_id="x-1")

    added = [
        await database.import_origins.add(origin, conversation.id)
        for conversation in (first, second)
    ]

    assert added == [True, False]
    assert await database.import_origins.find(origin) == first.id
    for elsewhere in (
        Origin(source="claude", source_id="x-1"),
        Origin(source="chatgpt", source_id="x-2"),
    ):
        assert await database.import_origins.find(elsewhere) is None


async def test_an_import_into_no_conversation_is_not_noted(database: Database) -> None:
    origin = Origin(source="chatgpt", source_id="x-1")

    with pytest.raises(NotFoundFailure, match="0" * 32):
        await database.import_origins.add(origin, ConversationId("0" * 32))

    assert await database.import_origins.find(origin) is None
