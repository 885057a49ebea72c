"""Keeps a file of the present schema version, so that migrations from it stay tested.

    python scripts/keep_schema.py [FOLDER]

Run it once when a version of the schema is released, before the next one begins; it
writes `version-N.db` into `tests/database/schemas` and never replaces a file. It holds
what `tests/database/test_migrations.py` expects of every version.
"""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tina.database import Database
from tina.database.keeping.backups import make_copy
from tina.database.keeping.interruption import Stop
from tina.database.migrations import LATEST_VERSION
from tina.domain.chat import StopReason, Usage
from tina.domain.conversations import Conversation, NewConversation
from tina.domain.events import BlockKind, BlockStart, TextDelta
from tina.domain.failures import FailureRecord
from tina.domain.ids import LeaseId, MessageId, ToolCallId, TurnId
from tina.domain.messages import (
    Message,
    MessageStatus,
    ReasoningPart,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
)
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds

FOLDER = Path(__file__).parent.parent / "tests" / "database" / "schemas"
MODEL = "openai:gpt-x"
DEAD = LeaseId("e" * 32)
USAGE = Usage(input_tokens=12, output_tokens=9, cached_tokens=4)


class Writer:
    """Puts turns into a database, the same ones each time."""

    def __init__(self, path: Path) -> None:
        self.clock, self.ids = FakeClock(), FakeIds()
        self.database = Database(
            path, leases=path.parent, clock=self.clock, ids=self.ids
        )

    async def conversation(
        self, title: str, *, model: str | None = None, system: str | None = None
    ) -> Conversation:
        return await self.database.conversations.create(
            NewConversation(title=title, model=model, system=system)
        )

    async def begin(
        self,
        conversation: Conversation,
        prompt: str | None,
        *,
        after: MessageId | None = None,
        parent_id: MessageId | None = None,
    ) -> Message:
        """Begin a turn; its answer, which is streaming."""
        parent_id = parent_id or after
        asked = None
        if prompt is not None:
            asked = self._message(conversation, parent_id, Role.USER, prompt)
            parent_id = asked.id
        answer = self._message(conversation, parent_id, Role.ASSISTANT, "")
        await self.database.turns.begin(
            NewTurn(
                id=TurnId(self.ids.new()),
                conversation_id=conversation.id,
                after=after,
                prompt=asked,
                answer=answer,
                request=TurnRequest(model=MODEL),
                lease_id=DEAD,
            )
        )
        return answer

    async def settle(self, answer: Message) -> None:
        await self.database.turns.settle(answer)

    def _message(
        self,
        conversation: Conversation,
        parent_id: MessageId | None,
        role: Role,
        text: str,
    ) -> Message:
        self.clock.advance(1)
        is_prompt = role is Role.USER
        return Message(
            id=MessageId(self.ids.new()),
            conversation_id=conversation.id,
            parent_id=parent_id,
            role=role,
            status=MessageStatus.COMPLETE if is_prompt else MessageStatus.STREAMING,
            parts=(TextPart(text=text),) if text else (),
            created_at=self.clock.now(),
            model=None if is_prompt else MODEL,
        )


async def write_fjords(writer: Writer) -> None:
    """Reasoning, usage and replay; a failed answer, and another one in its place."""
    fjords = await writer.conversation("Fjords", model=MODEL, system="Be brief.")
    first = await writer.begin(fjords, "What is a fjord? Größe, naïve café, 東京")
    parts = (
        ReasoningPart(text="Let me see."),
        TextPart(text="A long, narrow inlet with steep sides."),
    )
    replay = Replay(provider="openai", payload='{"x":1}')
    await writer.settle(
        first.completed(parts, stop_reason=StopReason.STOP, usage=USAGE, replay=replay)
    )
    failed = await writer.begin(fjords, "Name three.", after=first.id)
    failure = FailureRecord(kind="truncated", message="It was cut.", retryable=True)
    await writer.settle(
        failed.failed((TextPart(text="Sogne"),), failure=failure, usage=None)
    )
    second = await writer.begin(
        fjords, None, after=failed.id, parent_id=failed.parent_id
    )
    named = (TextPart(text="Sognefjord, Geirangerfjord, Hardangerfjord."),)
    await writer.settle(
        second.completed(named, stop_reason=StopReason.STOP, usage=USAGE, replay=None)
    )


async def write_weather(writer: Writer) -> None:
    """A tool call, and an answer that was stopped."""
    weather = await writer.conversation("Weather")
    asked = await writer.begin(weather, "What is the weather?")
    call = ToolCallPart(
        call_id=ToolCallId("call_1"), tool="weather", arguments='{"place":"Bergen"}'
    )
    reason = StopReason.TOOL_CALLS
    await writer.settle(
        asked.completed((call,), stop_reason=reason, usage=None, replay=None)
    )
    stopped = await writer.begin(weather, "And tomorrow?", after=asked.id)
    await writer.settle(stopped.stopped((TextPart(text="Tomorrow it"),), None))


async def write_cut_off(writer: Writer) -> None:
    """An answer that a process was writing when it died."""
    cut_off = await writer.conversation("Cut off")
    answer = await writer.begin(cut_off, "Tell a story.")
    begun = [BlockStart("0", BlockKind.TEXT), TextDelta("0", "Once upon a ")]
    await writer.database.journal.append({answer.id: begun})
    await writer.database.journal.append({answer.id: [TextDelta("0", "time")]})


async def write(path: Path) -> None:
    writer = Writer(path)
    await writer.database.open()
    await write_fjords(writer)
    await write_weather(writer)
    await write_cut_off(writer)
    await writer.conversation("Empty")
    await writer.database.close()


def main(folder: Path) -> Path:
    """Write the file; where it is.

    Raises:
        InvalidInputFailure: the version is kept already.
    """
    target = folder / f"version-{LATEST_VERSION}.db"
    with TemporaryDirectory() as home:
        path = Path(home) / "tina.db"
        asyncio.run(write(path))
        make_copy(path, target, now=FakeClock().now(), stop=Stop())
    return target


if __name__ == "__main__":
    print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER))
