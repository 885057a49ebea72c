"""Anything in any order, from two processes and through crashes, against a model.

The model is the database in memory: dictionaries. Each step is done to both, and both
must answer the same. A second database on the same file stands for another process. A
crash leaves what a killed process leaves: the files as they lie on the disk, without
anybody closing them.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import UNSET, structs

from tina.database import Database
from tina.database.engine.sqlite import open_reader
from tina.domain.chat import StopReason, Usage
from tina.domain.conversations import (
    ConversationChange,
    NewConversation,
    Origin,
    Shelf,
)
from tina.domain.events import (
    BlockKind,
    BlockStart,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import Failure, FailureRecord
from tina.domain.ids import (
    ConversationId,
    LeaseId,
    MessageId,
    ToolCallId,
    ToolRunId,
    TurnId,
    uuid7,
)
from tina.domain.messages import (
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
)
from tina.domain.ports import (
    ConversationRepository,
    JournalRepository,
    MessageRepository,
    ToolCallRepository,
    TurnRepository,
)
from tina.domain.queries import ListConversations
from tina.domain.tools import Decision, NewToolCall, ToolCallStatus, ToolOutcome
from tina.domain.turns import NewTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.memory import MemoryDatabase

EXAMPLES = 120
STEPS = 50
MOST_DEATHS = 3
"""In one run: each costs as much as a hundred other steps."""
NOTHING = "0" * 32
LEASES = [LeaseId(digit * 32) for digit in "abc"]

T = TypeVar("T")


class Repositories(Protocol):
    @property
    def conversations(self) -> ConversationRepository: ...
    @property
    def messages(self) -> MessageRepository: ...
    @property
    def turns(self) -> TurnRepository: ...
    @property
    def journal(self) -> JournalRepository: ...
    @property
    def tool_calls(self) -> ToolCallRepository: ...


class StepIds:
    """Ids that are the same for the model and the database in each step."""

    def __init__(self) -> None:
        self._step = 0
        self._made = 0

    def begin(self, step: int) -> None:
        self._step, self._made = step, 0

    def new(self) -> str:
        self._made += 1
        return uuid7(now_ms=self._step, random_bits=self._made)


PICKS = st.integers(0, 24)
RARELY = 13
TEXTS = st.text(
    st.sampled_from("ab \n\t'\"%_*æ€🧊\u2028\ufffd") | st.characters(codec="utf-8"),
    max_size=12,
).map(lambda text: text.replace("\0", "")) | st.just(" " * 600 + "late words")
METADATA = st.none() | st.dictionaries(TEXTS, TEXTS, max_size=2)
PARTS = st.lists(
    st.builds(TextPart, text=TEXTS)
    | st.builds(ReasoningPart, text=TEXTS)
    | st.builds(
        ToolCallPart, call_id=TEXTS.map(ToolCallId), tool=TEXTS, arguments=TEXTS
    )
    | st.builds(ImagePart, media_type=st.just("image/png"), data=st.binary(max_size=8)),
    max_size=3,
).map(tuple)
USAGES = st.none() | st.builds(
    Usage, input_tokens=st.none() | st.integers(0, 9), output_tokens=st.integers(0, 9)
)
EVENTS = st.lists(
    st.builds(TextDelta, key=st.just("t"), text=TEXTS)
    | st.builds(ToolArgumentsDelta, key=st.just("c"), fragment=TEXTS)
    | st.builds(BlockStart, key=st.just("t"), kind=st.sampled_from(BlockKind))
    | st.builds(UsageUpdate, usage=st.builds(Usage, input_tokens=st.integers(0, 9))),
    max_size=3,
).map(tuple)
NEW_CONVERSATIONS = st.builds(
    NewConversation,
    title=TEXTS,
    model=st.none() | TEXTS,
    system=st.none() | TEXTS,
    origin=st.none() | st.builds(Origin, source=TEXTS, source_id=TEXTS),
    metadata=METADATA,
)


class Ending(Protocol):
    def __call__(self, answer: Message) -> Message: ...


def ending(
    status: MessageStatus, parts: tuple[Part, ...], usage: Usage | None
) -> Ending:
    """How an answer ends."""
    failure = FailureRecord(kind="server", message="It broke.", status=500)
    replay = Replay(provider="openai", payload="{}")
    match status:
        case MessageStatus.COMPLETE:
            return lambda answer: answer.completed(
                parts, stop_reason=StopReason.STOP, usage=usage, replay=replay
            )
        case MessageStatus.STOPPED:
            return lambda answer: answer.stopped(parts, usage)
        case MessageStatus.FAILED:
            return lambda answer: answer.failed(parts, failure=failure, usage=usage)
        case _:
            return lambda answer: answer.interrupted(parts, usage)


ENDINGS = st.builds(
    ending,
    st.sampled_from([s for s in MessageStatus if s is not MessageStatus.STREAMING]),
    PARTS,
    USAGES,
)


def pick(ids: Iterable[str], number: int) -> str:
    """One of them; now and then, and if there is none, an id that nothing has."""
    choices = list(ids)
    if not choices or number == RARELY:
        return NOTHING
    return choices[number % len(choices)]


async def outcome_of(call: Awaitable[T]) -> T | type[Failure]:
    try:
        return await call
    except Failure as failure:
        return type(failure)


def has_open_turns(machine: "DatabaseMachine") -> bool:
    return bool(machine.model.open_turns)


def has_calls(machine: "DatabaseMachine") -> bool:
    return bool(machine.model.tool_calls.by_id)


class DatabaseMachine(RuleBasedStateMachine):
    def __init__(self, folder: Path, runner: asyncio.Runner) -> None:
        super().__init__()
        self.runner = runner
        self.clock = FakeClock()
        self.steps = 0
        self.own_ids = count(1 << 20)
        self.model_ids, self.ids = StepIds(), StepIds()
        self.model = MemoryDatabase(clock=self.clock, ids=self.model_ids)
        self.folder = folder
        self.lives = 0
        self.houses: list[Database] = []
        self.open_house()

    # What every rule stands on.

    @property
    def file(self) -> Path:
        return self.folder / f"life-{self.lives}" / "tina.db"

    def open_house(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        house = Database(
            self.file, leases=self.file.parent, clock=self.clock, ids=self.ids
        )
        self.runner.run(house.open())
        self.houses.append(house)

    def house(self, number: int) -> Database:
        return self.houses[number % len(self.houses)]

    def begin_step(self) -> None:
        self.steps += 1
        self.model_ids.begin(self.steps)
        self.ids.begin(self.steps)

    def on_both(
        self, number: int, call: Callable[[Repositories], Awaitable[T]]
    ) -> T | type[Failure]:
        """Do it to the model and to a database; both must answer the same."""
        self.begin_step()
        expected = self.runner.run(outcome_of(call(self.model)))
        found = self.runner.run(outcome_of(call(self.house(number))))

        assert found == expected
        return found

    def conversation_id(self, number: int) -> ConversationId:
        return ConversationId(pick(self.model.conversations_by_id, number))

    def message_id(self, number: int) -> MessageId:
        return MessageId(pick(self.model.messages_by_id, number))

    def answer_id(self, number: int) -> MessageId:
        """Of any message; those that a turn writes are likelier."""
        ids = (*self.model.open_turns, *self.model.messages_by_id)
        return MessageId(pick(ids, number))

    def new_id(self) -> str:
        """One that no store makes: they count from one in each step."""
        return uuid7(now_ms=self.steps, random_bits=next(self.own_ids))

    @initialize(news=st.tuples(NEW_CONVERSATIONS, NEW_CONVERSATIONS))
    def begin(self, news: tuple[NewConversation, NewConversation]) -> None:
        """So that every rule finds something."""
        for which, new in enumerate(news):
            self.store(new, number=0)
            turn = self.turn(which, "Why?", LEASES[which])
            self.begin_turn(turn, number=0)

    # Time, processes, death.

    @rule(milliseconds=st.sampled_from([-60_000, -1, 1, 1000]))
    def time_passes(self, milliseconds: int) -> None:
        """Backwards too, as the clocks of machines do."""
        self.clock.advance(milliseconds / 1000)

    @precondition(lambda self: len(self.houses) < 2)
    @rule()
    def another_process_comes(self) -> None:
        self.open_house()

    @rule(number=PICKS)
    def a_process_goes(self, number: int) -> None:
        house = self.houses.pop(number % len(self.houses))
        self.runner.run(house.close())
        if not self.houses:
            self.open_house()
            self.compare_everything()

    @precondition(lambda self: self.lives < MOST_DEATHS)
    @rule()
    def every_process_is_killed(self) -> None:
        dead = self.file
        self.lives += 1
        self.file.parent.mkdir()
        # By another process: opening the files here would drop SQLite's own locks.
        left = [dead.with_name(dead.name + end) for end in ("", "-wal", "-shm")]
        subprocess.run(["cp", *left, self.file.parent], check=True)
        self.close_all()
        shutil.rmtree(dead.parent)
        self.open_house()
        self.compare_everything()

    # Conversations.

    @rule(new=NEW_CONVERSATIONS, number=PICKS)
    def create(self, new: NewConversation, number: int) -> None:
        self.store(new, number)

    @rule(
        which=PICKS,
        branch=st.none() | PICKS,
        change=st.fixed_dictionaries(
            {},
            optional={
                "title": TEXTS,
                "model": st.none() | TEXTS,
                "system": st.none() | TEXTS,
                "is_pinned": st.booleans(),
                "is_archived": st.booleans(),
                "metadata": METADATA,
            },
        ),
        deletes=st.sampled_from([UNSET, None, "now"]),
        number=PICKS,
    )
    def change(
        self,
        which: int,
        branch: int | None,
        change: dict[str, Any],
        deletes: Any,
        number: int,
    ) -> None:
        changes = ConversationChange(
            branch=UNSET if branch is None else self.message_id(branch),
            deleted_at=self.clock.now() if deletes == "now" else deletes,
            **change,
        )
        conversation_id = self.conversation_id(which)
        self.on_both(
            number, lambda on: on.conversations.change(conversation_id, changes)
        )

    @rule(at=PICKS, new=NEW_CONVERSATIONS, number=PICKS)
    def fork(self, at: int, new: NewConversation, number: int) -> None:
        message_id = self.message_id(at)
        self.on_both(number, lambda on: on.conversations.fork(message_id, new))

    @rule(
        shelf=st.sampled_from(Shelf),
        limit=st.none() | st.integers(1, 3),
        after=st.none() | PICKS,
        number=PICKS,
    )
    def list_a_page(
        self, shelf: Shelf, limit: int | None, after: int | None, number: int
    ) -> None:
        last = None
        if after is not None:
            last = self.model.conversations_by_id.get(self.conversation_id(after))
        query = ListConversations(
            shelf=shelf, limit=limit, after=None if last is None else last.mark
        )
        self.on_both(number, lambda on: on.conversations.list(query))

    @rule(which=PICKS, digits=st.integers(0, 32), number=PICKS)
    def find(self, which: int, digits: int, number: int) -> None:
        prefix = self.conversation_id(which)[:digits]
        self.on_both(number, lambda on: on.conversations.find(prefix=prefix))

    # Turns.

    @rule(
        which=PICKS,
        text=st.none() | TEXTS,
        lease=st.none() | st.sampled_from(LEASES),
        is_late=st.booleans(),
        number=PICKS,
    )
    def ask(
        self,
        which: int,
        text: str | None,
        lease: LeaseId | None,
        *,
        is_late: bool,
        number: int,
    ) -> None:
        self.begin_step()
        turn = self.turn(which, text, lease)
        if is_late:
            turn = structs.replace(turn, after=MessageId(NOTHING))
        self.begin_turn(turn, number)

    def store(self, new: NewConversation, number: int) -> None:
        self.on_both(number, lambda on: on.conversations.create(new))

    def begin_turn(self, turn: NewTurn, number: int) -> None:
        self.on_both(number, lambda on: on.turns.begin(turn))

    def turn(self, which: int, text: str | None, lease: LeaseId | None) -> NewTurn:
        conversation_id = self.conversation_id(which)
        conversation = self.model.conversations_by_id.get(conversation_id)
        tip = None if conversation is None else conversation.tip
        asked = None
        if text is not None:
            asked = self.message(conversation_id, tip, Role.USER, text)
        answer = self.message(
            conversation_id, tip if asked is None else asked.id, Role.ASSISTANT, None
        )
        return NewTurn(
            id=TurnId(self.new_id()),
            conversation_id=conversation_id,
            after=tip,
            prompt=asked,
            answer=answer,
            request=TurnRequest(model="local:smollm2"),
            lease_id=lease,
        )

    def message(
        self,
        conversation_id: ConversationId,
        parent_id: MessageId | None,
        role: Role,
        text: str | None,
    ) -> Message:
        return Message(
            id=MessageId(self.new_id()),
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            status=MessageStatus.STREAMING if text is None else MessageStatus.COMPLETE,
            parts=() if text is None else (TextPart(text=text),),
            created_at=self.clock.now(),
            model="local:smollm2" if text is None else None,
        )

    @precondition(has_open_turns)
    @rule(lease=st.sampled_from(LEASES), number=PICKS)
    def claim(self, lease: LeaseId, number: int) -> None:
        self.on_both(number, lambda on: on.turns.claim(lease))

    @precondition(has_open_turns)
    @rule(which=PICKS, number=PICKS)
    def request_stop(self, which: int, number: int) -> None:
        answer_id = self.answer_id(which)
        self.on_both(number, lambda on: on.turns.request_stop(answer_id))

    @precondition(has_open_turns)
    @rule(which=PICKS, end=ENDINGS, number=PICKS)
    def settle(self, which: int, end: Ending, number: int) -> None:
        answer = self.model.messages_by_id.get(self.answer_id(which))
        if answer is not None:
            settled = end(answer)
            self.on_both(number, lambda on: on.turns.settle(settled))

    @precondition(has_open_turns)
    @rule(which=PICKS, ends=st.tuples(ENDINGS, ENDINGS))
    def settle_at_once(self, which: int, ends: tuple[Ending, Ending]) -> None:
        open_turns = list(self.model.open_turns)
        answer = self.model.messages_by_id[open_turns[which % len(open_turns)]]
        settled = [end(answer) for end in ends]

        async def race() -> list[bool]:
            return await asyncio.gather(
                *(
                    house.turns.settle(one)
                    for house, one in zip(self.houses * 2, settled, strict=False)
                )
            )

        won = self.runner.run(race())

        assert sum(won) == 1
        assert self.runner.run(self.model.turns.settle(settled[won.index(True)]))
        self.compare_everything()

    # The journal.

    @precondition(has_open_turns)
    @rule(batch=st.lists(st.tuples(PICKS, EVENTS), max_size=3), number=PICKS)
    def append(
        self, batch: list[tuple[int, tuple[StreamEvent, ...]]], number: int
    ) -> None:
        said: Mapping[MessageId, tuple[StreamEvent, ...]] = {
            self.answer_id(which): events for which, events in batch
        }
        self.on_both(number, lambda on: on.journal.append(said))

    @precondition(has_open_turns)
    @rule(which=PICKS, events=EVENTS, number=PICKS)
    def fold(self, which: int, events: tuple[StreamEvent, ...], number: int) -> None:
        answer_id = self.answer_id(which)
        self.on_both(number, lambda on: on.journal.fold(answer_id, events))

    # Tool calls.

    @rule(
        which=PICKS,
        place=st.integers(0, 3),
        status=st.sampled_from([ToolCallStatus.WAITING, ToolCallStatus.APPROVED]),
        text=TEXTS,
        number=PICKS,
    )
    def add_call(
        self, which: int, place: int, status: ToolCallStatus, text: str, number: int
    ) -> None:
        message_id = self.message_id(which)
        message = self.model.messages_by_id.get(message_id)
        call = NewToolCall(
            conversation_id=(
                ConversationId(NOTHING) if message is None else message.conversation_id
            ),
            message_id=message_id,
            place=place,
            call_id=ToolCallId(text),
            server=text,
            tool=text,
            tool_hash="a1",
            arguments=text,
            status=status,
        )
        self.on_both(number, lambda on: on.tool_calls.add(call))

    def run_id(self, number: int) -> ToolRunId:
        return ToolRunId(pick(self.model.tool_calls.by_id, number))

    @precondition(has_calls)
    @rule(which=PICKS, decision=st.sampled_from(Decision), number=PICKS)
    def decide(self, which: int, decision: Decision, number: int) -> None:
        run_id = self.run_id(which)
        self.on_both(number, lambda on: on.tool_calls.decide(run_id, decision))

    @precondition(has_calls)
    @rule(which=PICKS, number=PICKS)
    def start_call(self, which: int, number: int) -> None:
        run_id = self.run_id(which)
        self.on_both(number, lambda on: on.tool_calls.start(run_id))

    @precondition(has_calls)
    @rule(
        which=PICKS,
        status=st.sampled_from([status for status in ToolCallStatus if status.is_over]),
        outcome=st.none()
        | st.builds(ToolOutcome, content=TEXTS, is_error=st.booleans()),
        number=PICKS,
    )
    def settle_call(
        self,
        which: int,
        status: ToolCallStatus,
        outcome: ToolOutcome | None,
        number: int,
    ) -> None:
        run_id = self.run_id(which)
        self.on_both(number, lambda on: on.tool_calls.settle(run_id, status, outcome))

    # What must hold at any time.

    @rule(number=PICKS)
    def compare_everything(self, number: int = 0) -> None:
        expected = self.runner.run(everything(self.model, self.model))
        found = self.runner.run(everything(self.house(number), self.model))

        different = {
            asked: (found[asked], told)
            for asked, told in expected.items()
            if found[asked] != told
        }
        assert different == {}

    def teardown(self) -> None:
        try:
            self.compare_everything()
            problems = self.runner.run(self.houses[0].check())
            assert problems == ()
            assert broken_promises(self.file) == []
        finally:
            self.close_all()
            shutil.rmtree(self.folder)  # hundreds of runs, megabytes each

    def close_all(self) -> None:
        while self.houses:
            self.runner.run(self.houses.pop().close())


async def everything(on: Repositories, model: MemoryDatabase) -> dict[str, Any]:
    """All that can be read of what the model knows."""
    found: dict[str, Any] = {"open turns": await on.turns.list_open()}
    for shelf in Shelf:
        query = ListConversations(shelf=shelf, limit=None)
        found[f"shelf {shelf}"] = await on.conversations.list(query)
    for conversation_id in (*model.conversations_by_id, ConversationId(NOTHING)):
        found[f"conversation {conversation_id}"] = (
            await on.conversations.get(conversation_id),
            await on.messages.list(conversation_id),
        )
    for message_id in (*model.messages_by_id, MessageId(NOTHING)):
        found[f"message {message_id}"] = await on.messages.get(message_id)
        found[f"place of {message_id}"] = (
            await on.messages.list_branch(message_id),
            await on.messages.list_siblings(message_id),
        )
        found[f"journal of {message_id}"] = await on.journal.read(message_id)
        found[f"calls of {message_id}"] = await on.tool_calls.list(message_id)
    return found


BROKEN = {
    "a count that is not the number of messages": """
        SELECT hex(id) FROM conversations AS c WHERE message_count <> (
          SELECT count(*) FROM messages AS m WHERE m.conversation_id = c.id)""",
    "a tip that is no message of its conversation": """
        SELECT hex(id) FROM conversations AS c WHERE tip_id IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM messages AS m WHERE m.conversation_id = c.id AND m.id = tip_id)
        """,
    "a parent in another conversation": """
        SELECT hex(id) FROM messages AS m WHERE parent_id IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM messages AS p
          WHERE p.conversation_id = m.conversation_id AND p.id = m.parent_id)""",
    "a streaming message that no turn writes": """
        SELECT hex(id) FROM messages AS m WHERE status = 'streaming' AND NOT EXISTS (
          SELECT 1 FROM turns AS t WHERE t.answer_id = m.id AND t.status <> 'done')""",
    "an open turn whose answer has ended": """
        SELECT hex(t.id) FROM turns AS t JOIN messages AS m ON m.id = t.answer_id
        WHERE t.status <> 'done' AND m.status <> 'streaming'""",
    "a settled answer that is missing in the ledger": """
        SELECT hex(m.id) FROM messages AS m
        JOIN turns AS t ON t.answer_id = m.id
        WHERE m.usage IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM usage AS u WHERE u.message_id = m.id)""",
    "a text that search will not find": """
        SELECT hex(id) FROM messages AS m WHERE text <> '' AND NOT EXISTS (
          SELECT 1 FROM search_backlog AS b WHERE b.rid = m.rid) AND NOT EXISTS (
          SELECT 1 FROM message_fts_docsize AS d WHERE d.id = m.rid)""",
}


def broken_promises(file: Path) -> list[tuple[str, object]]:
    """What no reader would notice: what the tables promise to each other."""
    connection = open_reader(file)
    try:
        return [
            (promise, row[0])
            for promise, statement in BROKEN.items()
            for row in connection.execute(statement)
        ]
    finally:
        connection.close()


@pytest.mark.requirement("database:repositories:as-modelled")
def test_what_is_done_in_any_order_reads_back_as_it_was_done(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        numbers = count()

        class Machine(DatabaseMachine):
            def __init__(self) -> None:
                super().__init__(tmp_path / str(next(numbers)), runner)

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                report_multiple_bugs=False,
                phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
                suppress_health_check=[
                    HealthCheck.too_slow,
                    HealthCheck.data_too_large,
                ],
            ),
        )
