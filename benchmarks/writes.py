"""What storing costs, against raw apsw in the same threads.

    python benchmarks/writes.py

CPU time of the process, all threads, medians of interleaved rounds:

- a durable write while 200 tasks write at once, against a bare queue, one thread and
  one commit per group, with the same SQL and triggers (at most 1.5 times);
- reading a conversation of 500 messages through the repository, against a bare queue
  and one thread that fetches the rows of the same SQL (at most 1.6 times); beside it,
  against the same rows fetched without a thread;
- 10,000 deltas a second of 200 answers, stored minus not (at most 6 % of a core).

Exits 1 if one of them costs more.
"""

import asyncio
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import anyio
import apsw

from tina.assistant.answer import Answer
from tina.assistant.journal import Journal
from tina.database import Database
from tina.database.daos import messages as messages_dao
from tina.database.engine.engine import Engine
from tina.database.engine.sqlite import open_reader, open_writer
from tina.domain.conversations import NewConversation
from tina.domain.events import TextDelta
from tina.domain.ids import ConversationId, MessageId, TurnId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.turns import NewTurn, TurnRequest
from tina.wiring.system import SystemClock, SystemIds

Rows: TypeAlias = list[tuple[Any, ...]]

WRITERS = 200
WRITES_EACH = 25
ROUNDS = 7
MOST_FOR_WRITES = 1.5

MESSAGES = 500
LOADS = 10
LOAD_ROUNDS = 101
MOST_FOR_LOADS = 1.6

ANSWERS = 200
DELTAS_PER_S = 50
DELTA = "a delta of some fifty bytes, as models send them. "
STREAM_S = 4.0
MOST_CORE_SHARE = 0.06

TEXT = "What a message says, some seven hundred bytes of it. " * 13

_INSERT = """
INSERT INTO messages (
  owner_id, id, conversation_id, seq, parent_id, role, status, text, created_at
) VALUES (
  1, :id, :conversation_id, :seq, NULL, 'user', 'complete', :text, :now
)
"""

_UPDATE = """
UPDATE conversations SET
  tip_id = :id, message_count = message_count + 1, preview = :preview,
  last_message_at = :now
WHERE owner_id = 1 AND id = :conversation_id
"""


@dataclass(frozen=True)
class Write:
    """A message and its conversation's counters, as rows."""

    conversation_id: bytes
    message_id: bytes
    seq: int

    def __call__(self, connection: apsw.Connection) -> None:
        bindings = {
            "id": self.message_id,
            "conversation_id": self.conversation_id,
            "seq": self.seq,
            "text": TEXT,
            "preview": TEXT[:120],
            "now": self.seq,
        }
        connection.execute(_INSERT, bindings)
        connection.execute(_UPDATE, bindings)


class Floor:
    """A queue, a thread, a commit for all that waits; nothing else."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def write(self, work: Callable[[apsw.Connection], None]) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._jobs.put((work, future))
        await future

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = open_writer(self._path)
        connection.execute("PRAGMA synchronous = FULL")
        while (job := self._jobs.get()) is not None:
            group = [job]
            while not self._jobs.empty() and len(group) < 512:
                group.append(self._jobs.get())
            connection.execute("BEGIN IMMEDIATE")
            for work, _ in group:
                work(connection)
            connection.execute("COMMIT")
            self._loop.call_soon_threadsafe(_settle, group)
        connection.close()


def _settle(group: list[tuple[object, "asyncio.Future[None]"]]) -> None:
    for _, future in group:
        future.set_result(None)


def make_ids(count: int) -> list[bytes]:
    ids = SystemIds()
    return [bytes.fromhex(ids.new()) for _ in range(count)]


async def cpu_per_write(
    write: Callable[[Write], Awaitable[None]],
    conversations: list[bytes],
    *,
    first_seq: int,
) -> float:
    """Microseconds."""
    messages = make_ids(WRITERS * WRITES_EACH)

    async def write_many(conversation_id: bytes, place: int) -> None:
        for number in range(WRITES_EACH):
            message_id = messages[place * WRITES_EACH + number]
            await write(Write(conversation_id, message_id, first_seq + number))

    begun = time.process_time()
    async with anyio.create_task_group() as group:
        for place, conversation_id in enumerate(conversations):
            group.start_soon(write_many, conversation_id, place)
    return (time.process_time() - begun) / len(messages) * 1e6


async def prepare(path: Path) -> list[bytes]:
    """A database with one conversation for each writer."""
    database = Database(path, leases=path.parent, clock=SystemClock(), ids=SystemIds())
    await database.open()
    made = [
        await database.conversations.create(NewConversation(title=""))
        for _ in range(WRITERS)
    ]
    await database.close()
    return [bytes.fromhex(conversation.id) for conversation in made]


def drop_triggers(path: Path) -> None:
    connection = open_writer(path)
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    for (name,) in list(names):
        connection.execute(f"DROP TRIGGER {name}")
    connection.close()


async def compare_writes(folder: Path) -> float:
    """The ratio of Tina's CPU for a write to the floor's."""
    paths = {name: folder / f"{name}.db" for name in ("tina", "raw", "raw, bare")}
    conversations = {name: await prepare(path) for name, path in paths.items()}
    drop_triggers(paths["raw, bare"])
    engine = Engine(paths["tina"], monotonic=time.monotonic)
    await engine.open()
    floors = {name: Floor(paths[name]) for name in ("raw", "raw, bare")}
    writers: dict[str, Callable[[Write], Awaitable[None]]] = {
        "tina": engine.write,
        "raw": floors["raw"].write,
        "raw, bare": floors["raw, bare"].write,
    }
    costs: dict[str, list[float]] = {name: [] for name in writers}
    for number in range(ROUNDS):
        for name, write in writers.items():
            cost = await cpu_per_write(
                write, conversations[name], first_seq=1 + number * WRITES_EACH
            )
            costs[name].append(cost)
    await engine.close()
    for floor in floors.values():
        floor.close()
    return show("durable write, 200 writers, us", costs)


async def make_long_conversation(database: Database) -> ConversationId:
    made = await database.conversations.create(NewConversation(title="long"))
    ids, clock, tip = SystemIds(), SystemClock(), None
    for _ in range(MESSAGES // 2):
        prompt = Message(
            id=MessageId(ids.new()),
            conversation_id=made.id,
            parent_id=tip,
            role=Role.USER,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text=TEXT),),
            created_at=clock.now(),
        )
        answer = Message(
            id=MessageId(ids.new()),
            conversation_id=made.id,
            parent_id=prompt.id,
            role=Role.ASSISTANT,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text=TEXT),),
            created_at=clock.now(),
            model="openai:some-model",
        )
        await database.turns.begin(
            NewTurn(
                id=TurnId(ids.new()),
                conversation_id=made.id,
                after=tip,
                prompt=prompt,
                answer=answer,
                request=TurnRequest(model="openai:some-model"),
                lease_id=None,
            )
        )
        tip = answer.id
    return made.id


class LoadFloor:
    """A queue, a thread that fetches rows, and the way back; nothing else."""

    def __init__(self, path: Path, sql: str, bindings: Mapping[str, object]) -> None:
        self._path = path
        self._sql = sql
        self._bindings = bindings
        self._reads: queue.SimpleQueue[asyncio.Future[Rows] | None] = (
            queue.SimpleQueue()
        )
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def read(self) -> Rows:
        future: asyncio.Future[Rows] = self._loop.create_future()
        self._reads.put(future)
        return await future

    def close(self) -> None:
        self._reads.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = open_reader(self._path)
        while (future := self._reads.get()) is not None:
            rows = connection.execute(self._sql, self._bindings).fetchall()
            self._loop.call_soon_threadsafe(future.set_result, rows)
        connection.close()


async def cpu_per_load(load: Callable[[], Awaitable[Sequence[object]]]) -> float:
    """Microseconds."""
    begun = time.process_time()
    for _ in range(LOADS):
        loaded = await load()
        assert len(loaded) == MESSAGES
    return (time.process_time() - begun) / LOADS * 1e6


async def compare_loads(folder: Path) -> float:
    """The ratio of Tina's CPU for a conversation of 500 messages to the rows' own."""
    path = folder / "loads.db"
    database = Database(path, leases=folder, clock=SystemClock(), ids=SystemIds())
    await database.open()
    conversation_id = await make_long_conversation(database)
    connection = open_reader(path)
    sql: str = vars(messages_dao)["_OF_CONVERSATION"]
    bindings = {"owner_id": 1, "conversation_id": bytes.fromhex(conversation_id)}
    floor = LoadFloor(path, sql, bindings)

    async def fetch_here() -> Rows:
        return connection.execute(sql, bindings).fetchall()

    loads: dict[str, Callable[[], Awaitable[Sequence[object]]]] = {
        "tina": partial(database.messages.list, conversation_id),
        "raw": floor.read,
        "raw, no thread": fetch_here,
    }
    costs: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(LOAD_ROUNDS):
        for name, load in loads.items():
            costs[name].append(await cpu_per_load(load))
    floor.close()
    connection.close()
    await database.close()
    return show("conversation of 500 messages, us", costs)


def show(title: str, costs: dict[str, list[float]]) -> float:
    """Print the medians, and the ratio of Tina's to each; return that to `raw`."""
    own = costs["tina"]
    print(f"{title:34} tina {median(own):8.1f}")
    ratios: dict[str, float] = {}
    for name in list(costs)[1:]:
        floor = costs[name]
        ratios[name] = median(a / b for a, b in zip(own, floor, strict=True))
        print(f"{'':34} {name} {median(floor):8.1f}  ratio {ratios[name]:.2f}")
    return ratios["raw"]


class Nowhere:
    """Fulfils `JournalRepository` and keeps nothing."""

    async def append(self, batch: object) -> None: ...

    async def fold(self, message_id: object, events: object) -> None: ...

    async def read(self, message_id: object) -> tuple[()]:
        return ()


async def cpu_share_of_streams(journal: Journal, ids: list[MessageId]) -> float:
    """CPU seconds per second while every answer gets its deltas, as they are paced."""
    clock = SystemClock()
    answers = {message_id: Answer() for message_id in ids}
    for message_id, answer in answers.items():
        journal.begin(message_id, answer)
    events = [TextDelta("text", DELTA)]
    used = passed = 0.0
    async with anyio.create_task_group() as group:
        group.start_soon(journal.run)
        begun_s, begun = clock.monotonic(), time.process_time()
        for tick in range(round(STREAM_S * DELTAS_PER_S)):
            for message_id, answer in answers.items():
                answer.feed(events)
                journal.add(message_id, events)
            due_s = begun_s + (tick + 1) / DELTAS_PER_S
            await clock.sleep(max(0.0, due_s - clock.monotonic()))
        used, passed = time.process_time() - begun, clock.monotonic() - begun_s
        group.cancel_scope.cancel()
    for message_id in ids:
        journal.forget(message_id)
    return used / passed


async def measure_streams(folder: Path) -> float:
    """The share of one core that storing 10,000 deltas a second takes."""
    clock = SystemClock()
    database = Database(folder / "s.db", leases=folder, clock=clock, ids=SystemIds())
    await database.open()
    ids = [MessageId(SystemIds().new()) for _ in range(ANSWERS)]
    shares: list[float] = []
    for _ in range(3):
        without = await cpu_share_of_streams(Journal(Nowhere(), clock=clock), ids)
        stored = await cpu_share_of_streams(Journal(database.journal, clock=clock), ids)
        shares.append(stored - without)
        print(f"  streams: {stored:.1%} of a core stored, {without:.1%} not stored")
    await database.close()
    return median(shares)


async def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writes = await compare_writes(folder)
        loads = await compare_loads(folder)
        share = await measure_streams(folder)
    print(f"{'10,000 deltas/s, share of a core':34} {share:.1%}")
    is_good = (
        writes <= MOST_FOR_WRITES
        and loads <= MOST_FOR_LOADS
        and share <= MOST_CORE_SHARE
    )
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(anyio.run(main))
