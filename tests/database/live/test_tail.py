"""What an answer says in one process is followed in another, whole and in order."""

import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import apsw
import pytest

from tests.database.live.two_processes import Process, opened
from tina.database.daos import journal
from tina.database.live import tail as tail_module
from tina.domain.events import TextDelta
from tina.domain.messages import Message
from tina.domain.ports import JournalPiece
from tina.domain.queries import ListConversations

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(10):
        yield


@pytest.fixture
async def writer(tmp_path: Path) -> AsyncIterator[Process]:
    async with opened(tmp_path / "tina.db") as process:
        yield process


@pytest.fixture
async def reader(writer: Process) -> AsyncIterator[Process]:
    async with opened(writer.database.path) as process:
        yield process


class Said:
    """What a follower knows: the texts so far, and after each piece."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.history: list[list[str]] = []
        self.pieces = 0
        self.folds = 0

    def add(self, piece: JournalPiece) -> None:
        self.pieces += 1
        self.folds += piece.is_fold
        texts = [event.text for event in piece.events if isinstance(event, TextDelta)]
        self.texts = [*([] if piece.is_fold else self.texts), *texts]
        self.history.append(self.texts)

    async def until(self, pieces: AsyncGenerator[JournalPiece], last: str) -> None:
        """Follow until it ends with this text."""
        while not self.texts or self.texts[-1] != last:
            self.add(await anext(pieces))


def numbers(first: int, after_last: int) -> list[str]:
    return [str(number) for number in range(first, after_last)]


async def test_each_row_is_heard_in_the_other_process(
    writer: Process, reader: Process
) -> None:
    answer, said = await writer.begin(), Said()

    async with aclosing(reader.live.follow(answer.id)) as pieces:
        said.add(await anext(pieces))
        for text in numbers(0, 20):
            await writer.say(answer, text)
            said.add(await anext(pieces))
        await writer.settle(answer)
        ended = [piece async for piece in pieces]

    assert said.texts == numbers(0, 20)
    assert (said.folds, ended) == (1, [])


async def test_it_works_in_the_process_that_writes_too(writer: Process) -> None:
    answer, said = await writer.begin(), Said()

    async with aclosing(writer.live.follow(answer.id)) as pieces:
        said.add(await anext(pieces))
        await writer.say(answer, "Once")
        said.add(await anext(pieces))

    assert said.texts == ["Once"]


async def test_a_late_follower_hears_what_was_said_before(
    writer: Process, reader: Process
) -> None:
    answer, early, late = await writer.begin(), Said(), Said()

    async with aclosing(reader.live.follow(answer.id)) as first:
        await writer.say(answer, *numbers(0, 10))
        await early.until(first, "9")
        async with aclosing(reader.live.follow(answer.id)) as second:
            await writer.say(answer, *numbers(10, 20))
            await late.until(second, "19")
            await early.until(first, "19")

    assert early.texts == late.texts == numbers(0, 20)


async def test_nothing_is_heard_twice_by_who_comes_between(
    writer: Process, reader: Process
) -> None:
    answer, early, late = await writer.begin(), Said(), Said()

    async with (
        aclosing(reader.live.follow(answer.id)) as first,
        aclosing(reader.live.follow(answer.id)) as second,
    ):
        early.add(await anext(first))
        await writer.say(answer, *numbers(0, 10))
        late.add(await anext(second))  # what the first has yet to read
        await early.until(first, "9")
        await writer.say(answer, "10")
        await early.until(first, "10")
        await late.until(second, "10")

    assert early.texts == late.texts == numbers(0, 11)


class Held:
    """Keeps the first answer of a question to the journal back until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
        self._ask = getattr(journal, question)
        self._is_first = True
        self._is_reached, self._may_go_on = threading.Event(), threading.Event()
        monkeypatch.setattr(journal, question, self)

    def __call__(self, connection: apsw.Connection, **arguments: int) -> Any:
        answer = self._ask(connection, **arguments)
        if answer and self._is_first:
            self._is_first = False
            self._is_reached.set()
            self._may_go_on.wait(5)
        return answer

    async def wait(self) -> None:
        await anyio.to_thread.run_sync(self._is_reached.wait, 5)

    def let_go(self) -> None:
        self._may_go_on.set()


async def test_a_beginning_older_than_anothers_misses_nothing(
    writer: Process, reader: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, slow, quick = await writer.begin(), Said(), Said()
    held = Held(monkeypatch, "end")

    async with (
        aclosing(reader.live.follow(answer.id)) as first,
        aclosing(reader.live.follow(answer.id)) as second,
        anyio.create_task_group() as group,
    ):
        group.start_soon(slow.until, first, "4")
        await held.wait()
        await writer.say(answer, *numbers(0, 4))
        quick.add(await anext(second))
        held.let_go()
        await writer.say(answer, "4")
        await quick.until(second, "4")

    assert slow.texts == quick.texts == numbers(0, 5)


async def test_a_beginning_older_than_the_end_ends(
    writer: Process, reader: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, slow, quick = await writer.begin(), Said(), Said()
    held = Held(monkeypatch, "end")

    async def follow_to_the_end(
        said: Said, pieces: AsyncGenerator[JournalPiece]
    ) -> None:
        async for piece in pieces:
            said.add(piece)

    async with (
        aclosing(reader.live.follow(answer.id)) as first,
        aclosing(reader.live.follow(answer.id)) as second,
        anyio.create_task_group() as group,
    ):
        group.start_soon(follow_to_the_end, slow, first)
        await held.wait()
        quick.add(await anext(second))
        await writer.settle(answer)
        await follow_to_the_end(quick, second)
        held.let_go()

    assert slow.texts == quick.texts == []
    assert (slow.pieces, quick.pieces) == (1, 1)


async def test_a_ring_during_a_reading_is_read_again(
    writer: Process, reader: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, said, held = await writer.begin(), Said(), Held(monkeypatch, "after")

    async def follow(pieces: AsyncGenerator[JournalPiece]) -> None:
        await said.until(pieces, "b")

    async with (
        aclosing(reader.live.follow(answer.id)) as pieces,
        aclosing(reader.live.watch(ListConversations())) as lists,
    ):
        said.add(await anext(pieces))
        await anext(lists)
        async with anyio.create_task_group() as group:
            group.start_soon(follow, pieces)
            await writer.say(answer, "a")
            await held.wait()
            await writer.say(answer, "b")
            await writer.create("one that is seen after the ring was heard")
            await anext(lists)
            held.let_go()

    assert said.texts == ["a", "b"]


async def test_what_waits_for_a_slow_follower_comes_as_one_piece(
    writer: Process, reader: Process
) -> None:
    answer, said = await writer.begin(), Said()

    async with aclosing(reader.live.follow(answer.id)) as pieces:
        said.add(await anext(pieces))
        await writer.say(answer, *numbers(0, 50))
        await said.until(pieces, "49")

    assert said.texts == numbers(0, 50)
    assert said.pieces < 50


async def follow_one_while_the_other_reads(
    writer: Process, reader: Process, answers: tuple[Message, Message]
) -> Said:
    """The first follower takes nothing while the second hears 50 rows of both."""
    slow_said, quick_said = Said(), Said()
    async with (
        aclosing(reader.live.follow(answers[0].id)) as slow,
        aclosing(reader.live.follow(answers[1].id)) as quick,
    ):
        slow_said.add(await anext(slow))
        quick_said.add(await anext(quick))
        for text in numbers(0, 50):
            await writer.say(answers[0], text)
            await writer.say(answers[1], text)
            await quick_said.until(quick, text)
        await slow_said.until(slow, "49")
    assert quick_said.texts == numbers(0, 50)
    return slow_said


async def test_what_waits_too_long_is_dropped_and_said_again(
    writer: Process, reader: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "MAX_WAITING_ROWS", 3)
    answers = await writer.begin(), await writer.begin()

    said = await follow_one_while_the_other_reads(writer, reader, answers)

    assert said.texts == numbers(0, 50)
    assert (said.pieces, said.folds) == (2, 2)


async def test_one_reading_serves_all_who_follow(
    writer: Process, reader: Process
) -> None:
    answers = await writer.begin(), await writer.begin()

    said = await follow_one_while_the_other_reads(writer, reader, answers)

    assert said.texts == numbers(0, 50)
    assert said.pieces == 2  # all that waited came at once
    assert reader.live.tail.readings <= 101  # rings: the beginning, and each row


async def test_more_rows_than_one_reading_takes_are_all_given(
    writer: Process, reader: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "ROWS_A_READING", 3)
    answer, said = await writer.begin(), Said()

    async with aclosing(reader.live.follow(answer.id)) as pieces:
        said.add(await anext(pieces))
        async with anyio.create_task_group() as group:
            # At once, so that they are one group: one commit, and one ring.
            for text in numbers(0, 20):
                group.start_soon(writer.say, answer, text)
        await said.until(pieces, "19")

    assert said.texts == numbers(0, 20)


async def test_followers_that_wait_at_once_share_each_reading(
    writer: Process, reader: Process
) -> None:
    answer, crowd = await writer.begin(), [Said() for _ in range(50)]

    async def follow(said: Said) -> None:
        async with aclosing(reader.live.follow(answer.id)) as pieces:
            async for piece in pieces:
                said.add(piece)

    async with anyio.create_task_group() as group:
        for said in crowd:
            group.start_soon(follow, said)
        while not all(said.pieces for said in crowd):
            await anyio.lowlevel.checkpoint()
        await writer.say(answer, *numbers(0, 20))
        while any(len(said.texts) < 20 for said in crowd):
            await anyio.lowlevel.checkpoint()
        await writer.settle(answer)

    assert [said.texts for said in crowd] == [numbers(0, 20)] * 50
    assert reader.live.tail.readings <= 22  # rings: the beginning, each row, the end


async def test_an_answer_is_followed_through_a_fold(
    writer: Process, reader: Process
) -> None:
    answer, said = await writer.begin(), Said()

    async with aclosing(reader.live.follow(answer.id)) as pieces:
        said.add(await anext(pieces))
        await writer.say(answer, "a", "b")
        fold = [TextDelta("text", "A"), TextDelta("text", "B")]
        await writer.database.journal.fold(answer.id, fold)
        await writer.say(answer, "c")
        await said.until(pieces, "c")

    assert said.texts == ["A", "B", "c"]


async def test_a_row_that_cannot_be_read_leaves_no_gap(
    writer: Process, reader: Process
) -> None:
    answer, other = await writer.begin(), await writer.begin()
    said, came_late, heard = Said(), Said(), Said()

    def add_nonsense(connection: apsw.Connection) -> None:
        entries = [(bytes.fromhex(answer.id), "nonsense")]
        journal.append(connection, owner_id=1, entries=entries)

    async with (
        aclosing(reader.live.follow(answer.id)) as early,
        aclosing(reader.live.follow(answer.id)) as late,
        aclosing(reader.live.follow(other.id)) as marks,
    ):
        said.add(await anext(early))
        heard.add(await anext(marks))
        await writer.say(answer, "a")
        await said.until(early, "a")
        await writer.write_raw(add_nonsense)
        came_late.add(await anext(late))
        async with anyio.create_task_group() as group:
            group.start_soon(said.until, early, "again")
            group.start_soon(came_late.until, late, "again")
            await writer.say(answer, "lost")
            # One reading serves all: with the other answer's row, that is given out.
            await writer.say(other, "read")
            await heard.until(marks, "read")
            await anyio.wait_all_tasks_blocked()
            fold = [TextDelta("text", "again")]
            await writer.database.journal.fold(answer.id, fold)

    assert said.history == [[], ["a"], ["again"]]
    assert came_late.history == [["a"], ["again"]]


async def test_who_stops_following_leaves_nothing_behind(
    writer: Process, reader: Process
) -> None:
    answer, said = await writer.begin(), Said()

    async with aclosing(reader.live.follow(answer.id)) as stays:
        said.add(await anext(stays))
        async with aclosing(reader.live.follow(answer.id)) as leaves:
            await anext(leaves)
        await writer.say(answer, "a")
        said.add(await anext(stays))

    assert said.texts == ["a"]
    assert reader.live.tail.followed == 0


async def test_a_reader_that_is_cancelled_takes_no_follower_along(
    writer: Process, reader: Process
) -> None:
    answer, said = await writer.begin(), Said()

    async def follow_all() -> None:
        async with aclosing(reader.live.follow(answer.id)) as pieces:
            async for _ in pieces:
                pass

    async with aclosing(reader.live.follow(answer.id)) as pieces:
        said.add(await anext(pieces))
        for text in numbers(0, 20):
            async with anyio.create_task_group() as group:
                group.start_soon(follow_all)
                await writer.say(answer, text)
                group.cancel_scope.cancel()
        await said.until(pieces, "19")

    assert said.texts == numbers(0, 20)
