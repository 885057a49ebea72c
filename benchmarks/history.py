"""What years of talking cost: lists, conversations and searches in a large database.

    python -m benchmarks.history [--small] [--keep FOLDER]

Makes 10,000 conversations with 1,000,000 messages (`benchmarks/_history.py`), indexes
them as a search does, and measures, interleaved with the floor: the bare statement on
a bare connection. Promised: a list of 50 in 1 ms, a conversation of 500 messages in
5 ms, the newest 20 messages with a word in 10 ms, the best 20 in 50 ms (medians), and
a start that does not care how much there is. Takes some minutes and 3 GB.

`--small` makes a thirtieth of it. `--keep` makes the file in a folder, and finds it
there the next time; otherwise it lies in a temporary one.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from benchmarks._history import History, make_history
from tina.database import Database
from tina.database.engine.sqlite import open_reader
from tina.domain.ids import ConversationId
from tina.domain.queries import ListConversations
from tina.domain.search import SearchOrder, SearchQuery
from tina.storage.paths import find_paths
from tina.wiring.system import SystemClock, SystemIds

ROUNDS = 30
STARTS = 21
MOST_SLOWER_START = 1.15

_LIST = """
SELECT id, title, model, system, tip_id, message_count, preview, created_at,
  last_message_at
FROM conversations INDEXED BY conversations_listed
WHERE owner_id = 1 AND is_archived = 0 AND deleted_at IS NULL
ORDER BY is_pinned DESC, last_message_at DESC, id DESC LIMIT 50
"""
_OPEN = """
SELECT id, seq, parent_id, role, status, text, parts, model, stop_reason, usage,
  failure, replay, metadata, created_at
FROM messages WHERE owner_id = 1 AND conversation_id = :id ORDER BY seq
"""
_NEWEST = """
SELECT messages.id, title, snippet(message_fts, 0, '<', '>', '', 24)
FROM message_fts
CROSS JOIN messages ON messages.rid = message_fts.rowid
CROSS JOIN conversations ON conversations.owner_id = messages.owner_id
  AND conversations.id = messages.conversation_id
WHERE message_fts MATCH :words ORDER BY message_fts.rowid DESC LIMIT 20
"""
_BEST = """
SELECT rid FROM (
  SELECT rowid AS rid, bm25(message_fts) AS rank FROM message_fts
  WHERE message_fts MATCH :words ORDER BY rowid DESC LIMIT 500
) ORDER BY rank LIMIT 20
"""
_WITHIN = """
SELECT messages.id, snippet(message_fts, 0, '<', '>', '', 24)
FROM messages CROSS JOIN message_fts ON message_fts.rowid = messages.rid
WHERE messages.owner_id = 1 AND conversation_id = :id AND message_fts MATCH :words
ORDER BY seq DESC LIMIT 20
"""


class Case(NamedTuple):
    name: str
    promised_ms: float | None
    own: Callable[[], Awaitable[object]]
    floor: tuple[str, dict[str, object]] | None


class Figures(NamedTuple):
    name: str
    own_ms: list[float]
    floor_ms: list[float]
    promised_ms: float | None

    @property
    def is_kept(self) -> bool:
        promised = self.promised_ms
        return promised is None or statistics.median(self.own_ms) <= promised


async def make(home: Path, *, conversations: int, messages: int) -> History:
    """The file in that folder, made if it is not there."""
    paths = find_paths(home)
    kept = home / "history.json"
    if kept.exists():
        return msgspec.json.decode(kept.read_bytes(), type=History)
    database = await opened(home)
    await database.close()
    begun = time.perf_counter()
    history = make_history(
        paths.database, conversations=conversations, messages=messages
    )
    print(
        f"{messages:,} messages with {history.text_bytes / 1e6:,.0f} MB of text "
        f"made in {time.perf_counter() - begun:.0f} s"
    )
    await index(home, messages)
    kept.write_bytes(msgspec.json.encode(history))
    return history


async def index(home: Path, messages: int) -> None:
    """As whoever searches first after an upgrade does."""
    database = await opened(home)
    begun, spent = time.perf_counter(), time.process_time()
    searches = 1
    while not (await database.search.search(SearchQuery(words="-"))).is_whole:
        searches += 1
    await database.close()
    cpu_us = (time.process_time() - spent) / messages * 1e6
    print(
        f"indexed by {searches} searches in {time.perf_counter() - begun:.0f} s, "
        f"{cpu_us:.0f} us CPU a message; "
        f"{find_paths(home).database.stat().st_size / 1e6:,.0f} MB\n"
    )


async def opened(home: Path) -> Database:
    paths = find_paths(home)
    paths.leases.mkdir(parents=True, exist_ok=True)
    database = Database(
        paths.database, leases=paths.leases, clock=SystemClock(), ids=SystemIds()
    )
    await database.open()
    return database


def cases(database: Database, history: History) -> list[Case]:
    long_id = ConversationId(history.long_conversation)
    found = [
        Case(
            "list of 50",
            1.0,
            lambda: database.conversations.list(ListConversations()),
            (_LIST, {}),
        ),
        Case(
            "open 500 messages",
            5.0,
            lambda: database.messages.list(long_id),
            (_OPEN, {"id": bytes.fromhex(long_id)}),
        ),
    ]
    for rank in (0, 10, 100, 1_000, 10_000):
        found += searches(database, history.words[rank], rank, long_id)
    two = f"{history.words[10]} {history.words[1_000]}"
    found += [
        Case("two words, newest 20", 10.0, searching(database, two), None),
        Case("two words, best 20", 50.0, searching(database, two, best=True), None),
        Case("a filter that rejects all", None, rejecting(database, history), None),
    ]
    return found


def searches(
    database: Database, word: str, rank: int, long_id: ConversationId
) -> list[Case]:
    words: dict[str, object] = {"words": f'"{word}"'}
    within = {**words, "id": bytes.fromhex(long_id)}
    return [
        Case(
            f"word {rank:,}, newest 20",
            10.0,
            searching(database, word),
            (_NEWEST, words),
        ),
        Case(
            f"word {rank:,}, best 20",
            50.0,
            searching(database, word, best=True),
            (_BEST, words),
        ),
        Case(
            f"word {rank:,}, in one of 500",
            None,
            searching(database, word, within=long_id),
            (_WITHIN, within),
        ),
    ]


def searching(
    database: Database,
    words: str,
    *,
    best: bool = False,
    within: ConversationId | None = None,
) -> Callable[[], Awaitable[object]]:
    query = SearchQuery(
        words=words,
        order=SearchOrder.BEST if best else SearchOrder.NEWEST,
        conversation_id=within,
    )
    return lambda: database.search.search(query)


def rejecting(database: Database, history: History) -> Callable[[], Awaitable[object]]:
    query = SearchQuery(words=history.words[0], model="no:such")
    return lambda: database.search.search(query)


async def measure(home: Path, history: History, rounds: int) -> list[Figures]:
    database = await opened(home)
    connection = open_reader(find_paths(home).database)
    measured = cases(database, history)
    figures = [Figures(case.name, [], [], case.promised_ms) for case in measured]
    try:
        for _ in range(rounds):
            for case, figure in zip(measured, figures, strict=True):
                begun = time.perf_counter()
                await case.own()
                figure.own_ms.append((time.perf_counter() - begun) * 1e3)
                if case.floor is not None:
                    figure.floor_ms.append(bare_ms(connection, *case.floor))
    finally:
        connection.close()
        await database.close()
    return figures


def bare_ms(
    connection: apsw.Connection, statement: str, bindings: dict[str, object]
) -> float:
    begun = time.perf_counter()
    list(connection.execute(statement, bindings))
    return (time.perf_counter() - begun) * 1e3


def start_ms(home: Path) -> float:
    """CPU milliseconds of `tina log -n 1`, whole process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tina", "log", "-n", "1"],
        env={**os.environ, "TINA_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return (usage.ru_utime + usage.ru_stime) * 1e3


def starts(home: Path, runs: int) -> Figures:
    """`tina log -n 1` on the large database; the floor is an empty one."""
    figures = Figures("tina log -n 1, CPU; floor: nothing stored", [], [], None)
    with tempfile.TemporaryDirectory(prefix="tina-") as empty:
        for folder in (home, Path(empty)):
            start_ms(folder)
        for _ in range(runs):
            figures.own_ms.append(start_ms(home))
            figures.floor_ms.append(start_ms(Path(empty)))
    return figures


def report(figures: list[Figures]) -> None:
    print("| | median ms | p95 | floor ms | ratio | promised |")
    print("|---|---:|---:|---:|---:|---:|")
    for figure in figures:
        median = statistics.median(figure.own_ms)
        p95 = statistics.quantiles(figure.own_ms, n=20)[-1]
        promised = "" if figure.promised_ms is None else f"{figure.promised_ms:g}"
        told = "| |"
        if figure.floor_ms:
            floor = statistics.median(figure.floor_ms)
            told = f"| {floor:.2f} | {median / floor:.2f}x |"
        print(f"| {figure.name} | {median:.2f} | {p95:.2f} {told} {promised} |")


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.history")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    conversations, messages = (300, 30_000) if options.small else (10_000, 1_000_000)
    with tempfile.TemporaryDirectory(prefix="tina-") as folder:
        home: Path = options.keep or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        history = asyncio.run(
            make(home, conversations=conversations, messages=messages)
        )
        figures = asyncio.run(measure(home, history, ROUNDS))
        start = starts(home, STARTS)
    report([*figures, start])
    slower = statistics.median(start.own_ms) / statistics.median(start.floor_ms)
    is_kept = all(figure.is_kept for figure in figures)
    return 0 if is_kept and slower <= MOST_SLOWER_START else 1


if __name__ == "__main__":
    sys.exit(main())
