"""One file opened twice: by who watches, and by who writes elsewhere.

Both live in this process, but know of each other only through the file and its bell.
The slow look is switched off.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw

from tina.database import Database
from tina.domain.conversations import Conversation, ConversationChange, NewConversation
from tina.domain.events import TextDelta
from tina.domain.ids import ConversationId, LeaseId, MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.wiring.system import SystemIds

LEASE = LeaseId("f" * 32)


class Process:
    """A database with what the tests do to it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.live = database.live
        self._ids = SystemIds()

    async def create(self, title: str = "Fjords") -> Conversation:
        return await self.database.conversations.create(NewConversation(title=title))

    async def rename(self, conversation_id: ConversationId, title: str) -> None:
        change = ConversationChange(title=title)
        await self.database.conversations.change(conversation_id, change)

    async def begin(self) -> Message:
        """An answer that is being written, in a conversation of its own."""
        conversation = await self.create()
        answer = Message(
            id=MessageId(self._ids.new()),
            conversation_id=conversation.id,
            parent_id=None,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=conversation.created_at,
        )
        turn = NewTurn(
            id=TurnId(self._ids.new()),
            conversation_id=conversation.id,
            after=None,
            prompt=None,
            answer=answer,
            request=TurnRequest(model="scripted:parrot"),
            lease_id=LEASE,
        )
        await self.database.turns.begin(turn)
        return answer

    async def say(self, answer: Message, *texts: str) -> None:
        """One row of the journal, and one commit, for each text."""
        for text in texts:
            await self.database.journal.append({answer.id: [TextDelta("text", text)]})

    async def write_raw(self, work: Callable[[apsw.Connection], None]) -> None:
        """Write what no repository would."""
        await self.database._engine.write(work)  # pyright: ignore[reportPrivateUsage]

    async def settle(self, answer: Message) -> None:
        await self.database.turns.settle(answer.stopped((), None))


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[Process]:
    database = Database(
        path,
        leases=path.parent,
        clock=FakeClock(),
        ids=SystemIds(),
        look_interval_s=None,
    )
    await database.open()
    try:
        yield Process(database)
    finally:
        await database.close()
