"""What watching costs, and how soon a watcher knows, against floors in the same run.

    python -m benchmarks.watching

Medians; what is watched is the list of 50 conversations, and times end when the new one
is in the watcher's hands.

- In the process, after the COMMIT: at most 1 ms. The floor is raw apsw's reading of the
  same rows in the same thread.
- In the process, with the write and its fsync. The floor is raw apsw in one thread: the
  same UPDATE, COMMIT and SELECT.
- From another process, with its write: at most 5 ms. The floor is raw apsw in two
  processes, a byte written to a file, and one thread that waits for it with inotify.
- 1,000 watchers of 1,000 conversations and 200 writes to one: no other is read again.
- 1,000 watchers of one list and one write: one reading.
- Idle: at most 0.2 % of a core, with those 1,000 watchers.
- A commit's CPU beside one without live queries; nothing is promised.

Exits 1 if a promise is not kept. Linux only.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager, nullcontext
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import anyio
import apsw

from tina.database import Database
from tina.database.daos import conversations
from tina.database.engine.sqlite import open_reader, open_writer
from tina.database.live.changes import ChangeFeed
from tina.database.live.doorbell import Doorbell, open_ear
from tina.database.mappers.conversations import to_page
from tina.domain.conversations import Conversation, ConversationChange, NewConversation
from tina.domain.events import TextDelta
from tina.domain.ids import ConversationId, MessageId
from tina.domain.queries import ListConversations, Query, ReadConversation
from tina.wiring.system import SystemClock, SystemIds

WRITES = 400
PAUSE_S = 0.003
ROWS = 50
CROWD = 1000
WRITES_TO_ONE = 200
SETTLE_S = 6.0  # until the log is moved into the file, when nobody writes
IDLE_S = 10.0
COMMITS = 2000
ROUNDS = 7

MOST_HERE_MS = 1.0
MOST_ELSEWHERE_MS = 5.0
MOST_IDLE = 0.002
MODULE = "benchmarks.watching"

_RENAME = """
UPDATE conversations SET title = :title WHERE owner_id = 1 AND id = :id
"""


def now_ms() -> float:
    """Of a clock that all processes share."""
    return time.monotonic() * 1000


@asynccontextmanager
async def opened(path: Path) -> AsyncGenerator[Database]:
    clock = SystemClock()
    database = Database(path, leases=path.parent, clock=clock, ids=SystemIds())
    await database.open()
    try:
        yield database
    finally:
        await database.close()


async def fill(database: Database, count: int) -> list[ConversationId]:
    made = [
        await database.conversations.create(NewConversation(title=str(now_ms())))
        for _ in range(count)
    ]
    return [conversation.id for conversation in made]


async def rename(database: Database, conversation_id: ConversationId) -> None:
    """Its new title says when the write was asked for."""
    change = ConversationChange(title=repr(now_ms()))
    await database.conversations.change(conversation_id, change)


def newest(found: tuple[Conversation, ...]) -> float:
    return max(float(conversation.title) for conversation in found)


class Watcher:
    """Notes when each new title came: (when it was asked for, when it was here)."""

    def __init__(self) -> None:
        self.noted: list[tuple[float, float]] = []
        self._changed = anyio.Event()

    async def watch(self, lists: AsyncGenerator[tuple[Conversation, ...]]) -> None:
        last = newest(await anext(lists))
        async for found in lists:
            now, stamp = now_ms(), newest(found)
            if stamp > last:
                last = stamp
                self.noted.append((stamp, now))
                self._changed.set()
            if len(self.noted) >= WRITES:
                return

    async def until(self, count: int) -> None:
        while len(self.noted) < count:
            self._changed = anyio.Event()
            await self._changed.wait()

    def ages_ms(self) -> list[float]:
        return [now - stamp for stamp, now in self.noted]


async def here(path: Path) -> tuple[list[float], list[float]]:
    """Ages with the write, and since its COMMIT alone."""
    watcher, committed_ms = Watcher(), list[float]()
    async with opened(path) as database:
        first, *_ = await fill(database, ROWS)
        lists = database.live.watch(ListConversations())
        async with aclosing(lists), anyio.create_task_group() as group:
            group.start_soon(watcher.watch, lists)
            await anyio.sleep(0.1)
            with stamping(committed_ms):
                for number in range(WRITES):
                    await anyio.sleep(PAUSE_S)
                    await rename(database, first)
                    await watcher.until(number + 1)
    pairs = zip(committed_ms, watcher.noted, strict=True)
    return watcher.ages_ms(), [now - committed for committed, (_, now) in pairs]


@contextmanager
def stamping(committed_ms: list[float]) -> Generator[None]:
    """Note when each COMMIT returned, in the writer's thread."""
    committing = ChangeFeed.committing

    @contextmanager
    def stamped(feed: ChangeFeed, connection: apsw.Connection) -> Generator[None]:
        with committing(feed, connection):
            yield
            committed_ms.append(now_ms())

    with replaced(stamped):
        yield


@contextmanager
def replaced(committing: Callable[..., Any]) -> Generator[None]:
    """What is put around each COMMIT meanwhile."""
    before = ChangeFeed.committing
    ChangeFeed.committing = committing  # type: ignore[method-assign]
    try:
        yield
    finally:
        ChangeFeed.committing = before  # type: ignore[method-assign]


async def elsewhere(path: Path) -> list[float]:
    watcher = Watcher()
    async with opened(path) as database:
        first, *_ = await fill(database, ROWS)
        with writing("writer", path, first):
            async with aclosing(database.live.watch(ListConversations())) as lists:
                await watcher.watch(lists)
    return watcher.ages_ms()


@contextmanager
def writing(how: str, path: Path, conversation_id: ConversationId) -> Generator[None]:
    """Another process that writes until it is told to end."""
    command = [sys.executable, "-m", MODULE, how, str(path), conversation_id]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield
        finally:
            process.terminate()


async def write_on(path: Path, conversation_id: ConversationId) -> None:
    async with opened(path) as database:
        while True:
            await rename(database, conversation_id)
            await anyio.sleep(PAUSE_S)


def raw_list(connection: apsw.Connection) -> None:
    conversations.page(connection, to_page(ListConversations()))


def raw_rename(connection: apsw.Connection, key: bytes) -> float:
    """When it was asked for."""
    stamp = now_ms()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_RENAME, {"title": repr(stamp), "id": key})
    connection.execute("COMMIT")
    return stamp


def raw_writer(path: Path) -> apsw.Connection:
    connection = open_writer(path)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def raw_here(
    path: Path, conversation_id: ConversationId
) -> tuple[list[float], list[float]]:
    """Milliseconds of the write with the reading, and of the reading alone."""
    connection, key = raw_writer(path), bytes.fromhex(conversation_id)
    ages_ms, readings_ms = list[float](), list[float]()
    for _ in range(WRITES):
        time.sleep(PAUSE_S)
        stamp = raw_rename(connection, key)
        committed = now_ms()
        raw_list(connection)
        readings_ms.append(now_ms() - committed)
        ages_ms.append(now_ms() - stamp)
    connection.close()
    return ages_ms, readings_ms


def raw_elsewhere(path: Path, conversation_id: ConversationId) -> list[float]:
    connection, ages_ms = open_reader(path), list[float]()
    key = {"id": bytes.fromhex(conversation_id)}
    ear = open_ear(path.with_name("raw-bell"), look_interval_s=None)
    with writing("raw", path, conversation_id):
        while len(ages_ms) < WRITES:
            ear.wait()
            raw_list(connection)
            now = now_ms()
            title = connection.execute(
                "SELECT title FROM conversations WHERE id = :id", key
            ).get
            ages_ms.append(now - float(title))
    ear.close()
    connection.close()
    return ages_ms


def raw_write_on(path: Path, conversation_id: ConversationId) -> None:
    connection, bell = raw_writer(path), Doorbell(path.with_name("raw-bell"))
    key = bytes.fromhex(conversation_id)
    while True:
        raw_rename(connection, key)
        bell.ring()
        time.sleep(PAUSE_S)


class Crowd:
    """Many watchers; `answers` counts what they all were given."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.answers = 0
        self._answered = anyio.Event()

    async def watch(self, query: Query[Any]) -> None:
        async with aclosing(self._database.live.watch(query)) as answers:
            async for _ in answers:
                self.answers += 1
                self._answered.set()

    async def until(self, answers: int) -> None:
        while self.answers < answers:
            self._answered = anyio.Event()
            await self._answered.wait()


async def crowds(path: Path) -> dict[str, float]:
    """Readings that were needed, and what the crowd costs while nothing happens."""
    figures: dict[str, float] = {}
    async with opened(path) as database, anyio.create_task_group() as group:
        ids, live = await fill(database, CROWD), database.live
        crowd = Crowd(database)
        for conversation_id in ids:
            query = ReadConversation(conversation_id=conversation_id)
            group.start_soon(crowd.watch, query)
        await crowd.until(CROWD)
        before = live.readings
        for number in range(WRITES_TO_ONE):
            await rename(database, ids[7])
            await crowd.until(CROWD + number + 1)
        read_again = live.readings - before
        await anyio.sleep(SETTLE_S)
        cpu_s = time.process_time()
        await anyio.sleep(IDLE_S)
        idle = (time.process_time() - cpu_s) / IDLE_S
        # A list that all of them watch, beside their conversations.
        of_one, before = Crowd(database), live.readings
        for _ in range(CROWD):
            group.start_soon(of_one.watch, ListConversations())
        await of_one.until(CROWD)
        first, start_ms = live.readings - before, now_ms()
        await rename(database, ids[-1])
        await of_one.until(2 * CROWD)
        last_ms = now_ms() - start_ms
        figures |= {
            "read again, of others": read_again - WRITES_TO_ONE,
            "readings for a list of 1,000 watchers": first,
            # One of them is of the conversation, which is watched too.
            "and after a write": live.readings - before - first - 1,
            "the last of 1,000 knows after, ms": last_ms,
            "idle, share of a core": idle,
        }
        group.cancel_scope.cancel()
    return figures


async def commits(path: Path) -> dict[str, float]:
    """Microseconds of CPU for a commit of one journal row, one at a time."""
    variants: dict[str, Callable[..., Any]] = {
        "without live queries": lambda *_: nullcontext(),
        "nobody watches": ChangeFeed.committing,
    }
    spent: dict[str, list[float]] = {name: [] for name in (*variants, "one watches")}
    async with opened(path) as database:
        for _ in range(ROUNDS):
            for name, variant in variants.items():
                with replaced(variant):
                    spent[name].append(await commit_many(database))
        async with aclosing(database.live.watch(ListConversations())) as lists:
            await anext(lists)
            for _ in range(ROUNDS):
                spent["one watches"].append(await commit_many(database))
    return {name: median(found) for name, found in spent.items()}


async def commit_many(database: Database) -> float:
    batch = {MessageId("0" * 32): [TextDelta("text", "a delta")]}
    cpu_s = time.process_time()
    for _ in range(COMMITS):
        await database.journal.append(batch)
    return (time.process_time() - cpu_s) / COMMITS * 1e6


def tell(name: str, ages_ms: list[float], floor_ms: list[float]) -> float:
    p50, p99 = median(ages_ms), quantiles(ages_ms, n=100)[-1]
    floor = median(floor_ms)
    print(f"| {name} | {p50:.2f} | {p99:.2f} | {floor:.2f} | {p50 / floor:.1f}x |")
    return p50


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tina.db"
        with_write, after_commit = anyio.run(here, path)
        first = anyio.run(one_of, path)
        floor_with_write, floor_after_commit = raw_here(path, first)
        ages_elsewhere = anyio.run(elsewhere, path)
        floor_elsewhere = raw_elsewhere(path, first)
        figures = anyio.run(crowds, path.with_name("crowd.db"))
        cpu_us = anyio.run(commits, path.with_name("commits.db"))
    print("| a write until a watcher knows, ms | p50 | p99 | floor | ratio |")
    print("|---|---:|---:|---:|---:|")
    tell("in the process, with the write", with_write, floor_with_write)
    here_ms = tell("in the process, after COMMIT", after_commit, floor_after_commit)
    elsewhere_ms = tell(
        "another process, with the write", ages_elsewhere, floor_elsewhere
    )
    for name, figure in figures.items():
        print(f"{name}: {figure:.5g}")
    for name, figure in cpu_us.items():
        print(f"CPU of a commit, {name}: {figure:.1f} us")
    return int(
        here_ms > MOST_HERE_MS
        or elsewhere_ms > MOST_ELSEWHERE_MS
        or figures["read again, of others"] > 0
        or figures["readings for a list of 1,000 watchers"] != 1
        or figures["and after a write"] != 1
        or figures["idle, share of a core"] > MOST_IDLE
    )


async def one_of(path: Path) -> ConversationId:
    async with opened(path) as database:
        return (await database.conversations.list(ListConversations()))[0].id


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["writer", file, conversation]:
            anyio.run(write_on, Path(file), ConversationId(conversation))
        case ["raw", file, conversation]:
            raw_write_on(Path(file), ConversationId(conversation))
        case _:
            sys.exit(main())
