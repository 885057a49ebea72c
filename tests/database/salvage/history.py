"""A history as people make it, written by the real database, and ways to hurt it."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

from tina.database import Database
from tina.domain.chat import StopReason, Usage
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import BlockKind, BlockStart, TextDelta
from tina.domain.failures import FailureRecord
from tina.domain.ids import LeaseId, MessageId, ToolCallId, TurnId
from tina.domain.messages import (
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
)
from tina.domain.tools import Decision, NewGrant, NewToolCall
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

CONVERSATIONS = 40
LENGTHS = (3, 3, 8, 8, 20, 20, 30, 40, 60, 90, 120, 300, 2500)
LEASE = LeaseId("f" * 32)
WORDS = ("fjord", "Größe", "naïve", "東京", "glacier", "harbour", "🐟", "rain")


class Image(NamedTuple):
    """The bytes of a database file, and of the log beside it."""

    file: bytes
    log: bytes = b""

    def write(self, path: Path) -> None:
        path.write_bytes(self.file)
        if self.log:
            path.with_name(f"{path.name}-wal").write_bytes(self.log)


class Author:
    """Writes conversations through the repositories, the same ones each time."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.ids = FakeClock(), FakeIds()
        self.draw = random.Random(20_261_123)
        self.path = folder / "tina.db"
        self.database = Database(
            self.path, leases=folder, clock=self.clock, ids=self.ids
        )

    async def write_conversation(self, number: int) -> None:
        conversation = await self.database.conversations.create(
            NewConversation(title=f"Tale {number}", system=self.text(20))
        )
        tip: MessageId | None = None
        for _ in range(self.draw.randint(1, 12)):
            answer = await self.begin(conversation, tip)
            await self.database.turns.settle(self.finish(answer))
            tip = answer.id
        if number % 3 == 0:
            await self.add_tools(conversation, tip)
        if number % 5 == 0:
            answer = await self.begin(conversation, tip)
            for piece in range(40):
                await self.database.journal.append(
                    {answer.id: (TextDelta("a", f"{piece} {self.text(60)}"),)}
                )

    async def begin(
        self, conversation: Conversation, after: MessageId | None
    ) -> Message:
        prompt = self.message(conversation, after, Role.USER, (self.part(),))
        answer = self.message(conversation, prompt.id, Role.ASSISTANT, ())
        await self.database.turns.begin(
            NewTurn(
                id=TurnId(self.ids.new()),
                conversation_id=conversation.id,
                after=after,
                prompt=prompt,
                answer=answer,
                request=TurnRequest(model="local:smollm2"),
                lease_id=LEASE,
            )
        )
        await self.database.journal.append(
            {answer.id: (BlockStart("a", BlockKind.TEXT),)}
        )
        return answer

    def finish(self, answer: Message) -> Message:
        usage = Usage(input_tokens=self.draw.randint(1, 9999), output_tokens=5)
        match self.draw.randrange(6):
            case 0:
                failure = FailureRecord(kind="server", message="It broke.")
                return answer.failed((self.part(),), failure=failure, usage=None)
            case 1:
                parts = (ReasoningPart(text=self.text(50)), self.part(), CALL)
                replay = Replay(provider="openai", payload=f'["{self.text(400)}"]')
            case _:
                parts, replay = (self.part(),), None
        return answer.completed(
            parts, stop_reason=StopReason.STOP, usage=usage, replay=replay
        )

    def message(
        self,
        conversation: Conversation,
        parent_id: MessageId | None,
        role: Role,
        parts: tuple[Part, ...],
    ) -> Message:
        self.clock.advance(1)
        return Message(
            id=MessageId(self.ids.new()),
            conversation_id=conversation.id,
            parent_id=parent_id,
            role=role,
            status=MessageStatus.COMPLETE if parts else MessageStatus.STREAMING,
            parts=parts,
            created_at=self.clock.now(),
            model="local:smollm2",
        )

    async def add_tools(
        self, conversation: Conversation, message_id: MessageId | None
    ) -> None:
        assert message_id is not None
        for place in range(3):
            await self.database.tool_calls.add(
                NewToolCall(
                    conversation_id=conversation.id,
                    message_id=message_id,
                    place=place,
                    call_id=ToolCallId(f"call-{place}"),
                    server="files",
                    tool="read",
                    tool_hash="0" * 64,
                    arguments='{"path": ' + self.text(100),  # cut, as models do
                )
            )
        await self.database.grants.add(
            NewGrant(
                decision=Decision.ALLOW,
                conversation_id=conversation.id,
                server="files",
                tool="read",
                config_hash="1" * 64,
                tool_hash="0" * 64,
            )
        )

    def part(self) -> TextPart:
        """Mostly short; now and then so long that it goes on on other pages."""
        return TextPart(text=self.text(self.draw.choice(LENGTHS)))

    def text(self, words: int) -> str:
        return " ".join(self.draw.choice(WORDS) for _ in range(words))


CALL = ToolCallPart(call_id=ToolCallId("c1"), tool="read", arguments='{"path": "a"}')


async def write_closed(folder: Path) -> Image:
    """A history with an index, and with pages that were freed by deleting."""
    author = Author(folder)
    await author.database.open()
    for number in range(CONVERSATIONS):
        await author.write_conversation(number)
    await author.database.close()
    connection = apsw.Connection(str(author.path))
    connection.execute(AGE)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return Image(author.path.read_bytes())


AGE = """
PRAGMA foreign_keys = ON;
INSERT INTO message_fts (rowid, text) SELECT rid, text FROM messages WHERE text <> '';
DELETE FROM search_backlog;
DELETE FROM conversations WHERE rid % 7 = 3;
INSERT INTO import_origins (owner_id, source, source_id, conversation_id, imported_at)
  SELECT 1, 'elsewhere', hex(id), id, 5 FROM conversations;
ANALYZE;
"""


async def write_open(folder: Path) -> Image:
    """A history whose second half stands in the log only, copied while it is open."""
    author = Author(folder)
    await author.database.open()
    for number in range(CONVERSATIONS // 2):
        await author.write_conversation(number)
    await author.database.close()
    author.database = Database(
        author.path, leases=folder, clock=author.clock, ids=author.ids
    )
    await author.database.open()
    for number in range(CONVERSATIONS // 2, CONVERSATIONS):
        await author.write_conversation(number)
    # An open file is read by hand only here, where nothing is written any more.
    log = author.path.with_name(f"{author.path.name}-wal").read_bytes()
    image = Image(author.path.read_bytes(), log)
    await author.database.close()
    return image


class Damage(NamedTuple):
    file: bytes
    hurt: tuple[range, ...]
    """The bytes that are not what they were."""


def damage(file: bytes, *, seed: int) -> Damage:
    """Hurt a file in one of the ways that disks and programs do."""
    draw = random.Random(seed)
    match seed % 5:
        case 0:
            length = draw.randrange(1, len(file))
            return Damage(file[:length], (range(length, len(file)),))
        case 1:
            return Damage(*_overwritten(file, [range(draw.choice((100, 4096)))], None))
        case 2:
            holes = [*_holes(file, draw, 1), range(100)]
            return Damage(*_overwritten(file, holes, None))
        case kind:
            return Damage(*_overwritten(file, _holes(file, draw, kind - 2), draw))


def _holes(file: bytes, draw: random.Random, count: int) -> Iterator[range]:
    for _ in range(count):
        length = draw.randint(1024, 64 * 1024)
        start = draw.randrange(len(file))
        yield range(start, min(start + length, len(file)))


def _overwritten(
    file: bytes, holes: Iterator[range] | list[range], draw: random.Random | None
) -> tuple[bytes, tuple[range, ...]]:
    """With chance's bytes where there is a `draw`, else with zeros."""
    hurt = bytearray(file)
    holes = list(holes)
    for hole in holes:
        hurt[hole.start : hole.stop] = (
            draw.randbytes(len(hole)) if draw else bytes(len(hole))
        )
    return bytes(hurt), tuple(holes)
