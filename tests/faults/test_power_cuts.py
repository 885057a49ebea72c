"""The power is cut, again and again, and each time the next opening finds all it must.

What was acknowledged as durable is there. Of what running answers said at most the last
second is missing, and what is there is what was stored up to some moment: no gap, no
later step without an earlier one, nothing that was stored before is changed. Each life
begins on the disk that the last cut has left.
"""

import itertools
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anyio
import apsw
import pytest

from tests.faults.power import Files, RecordedDisk
from tests.faults.story import REOPEN, Author, Everything, Step, read_everything
from tests.faults.vfs import disk_beneath
from tina.database import Database
from tina.database.engine import checkpointer
from tina.domain.ids import ConversationId
from tina.domain.messages import Message, MessageStatus
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

CUTS = 100
PARTS = 5
"""Run side by side."""
LIVES = 4
"""In one folder, one after the other."""
STEPS = 30
ROWS = 40
SEED = 20_261_123
MOST_LOST_S = 1.0
GIVE_UP_S = 30.0
THREAD_PAGES, WRITER_PAGES = 12, 40
"""So small that the log is moved and begun anew several times in a life."""


class Done(NamedTuple):
    """One step: the disk's events before it and until it was acknowledged."""

    is_durable: bool
    at_s: float
    begun: int
    acknowledged: int
    state: Everything
    """What was read afterwards."""


def life(author: Author, draw: random.Random, before: Everything) -> Iterator[Step]:
    """Settle what the cut left, then do anything in any order."""
    for message in itertools.chain(*before.messages):
        if message.status is MessageStatus.STREAMING:
            yield author.settle(message, "What was left of it.")
    conversation_id, step = author.create(f"Life {author.ids.step}")
    yield step
    running: list[Message] = []
    choices, words = draw.choice([(TALKING, 5), (BUSY, 300)])
    for choice in draw.choices(choices, k=STEPS):
        if choice == "begin":
            answer, step = author.begin(conversation_id, "Why? " * 200)
            running.append(answer)
            yield step
        elif choice in SILENT or running:
            yield next_step(author, draw, choice, conversation_id, running, words)


def next_step(
    author: Author,
    draw: random.Random,
    choice: str,
    conversation_id: ConversationId,
    running: list[Message],
    words: int,
) -> Step:
    match choice:
        case "settle":
            return author.settle(running.pop(0), "Because. " * draw.randint(1, 900))
        case "fold":
            return author.fold(running[-1])
        case "rename":
            return author.rename(conversation_id, f"Title {author.ids.step}")
        case "reopen":
            return REOPEN
        case _:
            return author.append(*running, words=draw.randint(1, words))


SILENT = ("rename", "reopen")
"""Choices that need no running answer."""
TALKING = ["append"] * 40 + ["begin"] * 2 + ["settle", "fold"]
BUSY = ["append"] * 6 + ["begin", "settle", "fold", "rename", "reopen"]


class House:
    """A database that lives from cut to cut."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._draw = random.Random(seed)
        self._clock = FakeClock()
        self._author = Author(self._clock)
        self._lives = 0
        self.files: Files = {}

    async def live_and_die(self) -> None:
        before, _ = await self._look()
        disk, done = await self._live(before)
        at = self._moment(disk, done)
        self.files = disk.cut(at, self._draw)
        found, problems = await self._look()

        assert problems == ()
        states = [before, *(step.state for step in done)]
        acknowledged = [step for step in done if step.acknowledged <= at]
        begun = [step for step in done if step.begun <= at]
        stored = [count for count in range(len(begun) + 1) if states[count] == found]
        assert stored, "what is there was never stored like this"
        lost = acknowledged[stored[-1] :]
        assert not any(step.is_durable for step in lost)
        assert not lost or lost[-1].at_s - lost[0].at_s < MOST_LOST_S

    def _moment(self, disk: RecordedDisk, done: list[Done]) -> int:
        """Any; but seldom in an opening, which is much of what a disk does here."""
        if self._draw.random() < 0.2:
            return self._draw.randint(0, len(disk.events))
        step = self._draw.choice(done)
        return self._draw.randint(step.begun, step.acknowledged)

    async def _look(self) -> tuple[Everything, tuple[str, ...]]:
        """What the next opening finds."""
        database = self._move_in()
        await database.open()
        found, problems = await read_everything(database), await database.check()
        await database.close()
        return found, problems

    async def _live(self, before: Everything) -> tuple[RecordedDisk, list[Done]]:
        database, disk = self._move_in(), RecordedDisk(self.files)
        done: list[Done] = []
        with disk_beneath(disk):
            await database.open()
            for step in life(self._author, self._draw, before):
                self._clock.advance(self._draw.choice([0.01, 0.1, 0.3, 0.4, 1.5]))
                begun = len(disk.events)
                if step is REOPEN:
                    await database.close()
                    database = self._database()
                    await database.open()
                else:
                    await step.act(database)
                acknowledged = len(disk.events)
                done.append(
                    Done(
                        step.is_durable and step is not REOPEN,
                        self._clock.monotonic(),
                        begun,
                        acknowledged,
                        await read_everything(database),
                    )
                )
            await database.close()
        return disk, done

    def _move_in(self) -> Database:
        """Put the files into a new folder: no process has ever seen them there."""
        self._lives += 1
        self._place.mkdir()
        for name, content in self.files.items():
            (self._place / name).write_bytes(content)
        return self._database()

    @property
    def _place(self) -> Path:
        return self._folder / f"life-{self._lives}"

    def _database(self) -> Database:
        return Database(
            self._place / "tina.db",
            leases=self._place,
            clock=self._clock,
            ids=self._author.ids,
        )


@pytest.mark.requirement("disk:power-cut:durable")
@pytest.mark.parametrize("part", range(PARTS))
async def test_a_power_cut_takes_nothing_durable_and_a_second_of_the_rest(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer, "WAL_PAGES", THREAD_PAGES)
    monkeypatch.setattr(checkpointer, "FLOOD_PAGES", WRITER_PAGES)
    for number in range(CUTS // PARTS // LIVES):
        folder = tmp_path / f"house-{number}"
        folder.mkdir()
        house = House(folder, SEED + part * CUTS + number)
        for _ in range(LIVES):
            with anyio.fail_after(GIVE_UP_S):
                await house.live_and_die()


@pytest.mark.parametrize(("synchronous", "is_lossy"), [("OFF", True), ("FULL", False)])
def test_the_disk_of_these_tests_loses_what_was_not_synced(
    synchronous: str, tmp_path: Path, *, is_lossy: bool
) -> None:
    """Else they would prove nothing."""
    disk = RecordedDisk({})
    with disk_beneath(disk):
        connection = apsw.Connection(str(tmp_path / "whole.db"))
        connection.pragma("journal_mode", "WAL")
        connection.pragma("synchronous", synchronous)
        connection.execute("CREATE TABLE t (x)")
        for _ in range(ROWS):
            connection.execute("INSERT INTO t VALUES (zeroblob(900))")
        end = len(disk.events)
        connection.close()

    left = [
        rows_of(disk.cut(end, random.Random(seed)), tmp_path / str(seed))
        for seed in range(ROWS)
    ]

    assert any(rows < ROWS for rows in left) is is_lossy


def rows_of(files: Files, folder: Path) -> int:
    """How many rows SQLite finds; none where there is no table, or no database."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    connection = apsw.Connection(str(folder / "whole.db"))
    try:
        return int(connection.execute("SELECT count(*) FROM t").get)
    except apsw.Error:
        return 0
    finally:
        connection.close()
