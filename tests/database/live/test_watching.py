"""Who watches is told, costs its own reading only, and leaves nothing behind."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import apsw
import pytest

from tests.database.live.two_processes import Process, opened
from tina.database.daos import change_log
from tina.database.live import changes as changes_module
from tina.database.live import watching as watching_module
from tina.domain.conversations import Conversation, ConversationChange, Shelf
from tina.domain.failures import BusyFailure, ClosedFailure, Failure, StorageFailure
from tina.domain.ids import ConversationId
from tina.domain.queries import (
    ConversationView,
    ListConversations,
    ListOpenTurns,
    ReadConversation,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(60):
        yield


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Process]:
    async with opened(tmp_path / "tina.db") as process:
        yield process


@pytest.fixture
async def elsewhere(here: Process) -> AsyncIterator[Process]:
    async with opened(here.database.path) as process:
        yield process


def title_of(view: ConversationView | None) -> str:
    assert view is not None
    return view.conversation.title


class Crowd:
    """Watchers, each in a task; `seen` holds the newest title of each."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.seen: dict[int, str] = {}
        self.answers = 0
        self._changed = anyio.Event()

    async def watch(self, watcher: int, conversation_id: ConversationId) -> None:
        query = ReadConversation(conversation_id=conversation_id)
        async with aclosing(self._process.live.watch(query)) as views:
            async for view in views:
                self.seen[watcher] = title_of(view)
                self.answers += 1
                self._changed.set()
                self._changed = anyio.Event()

    async def until(self, expected: dict[int, str]) -> None:
        while self.seen != expected:
            await self._changed.wait()


@pytest.mark.requirement("live:watch:own-rows")
async def test_a_change_costs_no_reading_elsewhere(here: Process) -> None:
    ids = [(await here.create("before")).id for _ in range(1000)]
    crowd = Crowd(here)

    async with anyio.create_task_group() as group:
        for number, conversation_id in enumerate(ids):
            group.start_soon(crowd.watch, number, conversation_id)
        await crowd.until(dict.fromkeys(range(1000), "before"))
        assert (here.live.readings, crowd.answers) == (1000, 1000)
        for number in range(200):
            await here.rename(ids[7], f"{number}")
            await crowd.until(dict.fromkeys(range(1000), "before") | {7: f"{number}"})
        group.cancel_scope.cancel()

    # Each write was seen before the next, so number 7 was read once for each.
    assert (here.live.readings, crowd.answers) == (1200, 1200)


@pytest.mark.requirement("live:watch:shared")
async def test_a_thousand_watchers_of_one_query_cost_one_reading(
    here: Process,
) -> None:
    conversation = await here.create("before")
    crowd = Crowd(here)

    async with anyio.create_task_group() as group:
        for number in range(1000):
            group.start_soon(crowd.watch, number, conversation.id)
        await crowd.until(dict.fromkeys(range(1000), "before"))
        assert here.live.readings == 1
        await here.rename(conversation.id, "after")
        await crowd.until(dict.fromkeys(range(1000), "after"))
        group.cancel_scope.cancel()

    assert (here.live.readings, crowd.answers) == (2, 2000)


async def test_another_process_is_heard_without_the_slow_look(
    here: Process, elsewhere: Process
) -> None:
    conversation = await here.create("before")
    query = ReadConversation(conversation_id=conversation.id)

    async with aclosing(here.live.watch(query)) as views:
        titles = [title_of(await anext(views))]
        for title in ("one", "two", "three"):
            await elsewhere.rename(conversation.id, title)
            titles.append(title_of(await anext(views)))

    assert titles == ["before", "one", "two", "three"]


async def test_a_change_is_known_before_its_writer_is_told(here: Process) -> None:
    conversation = await here.create("before")
    query = ReadConversation(conversation_id=conversation.id)

    async with aclosing(here.live.watch(query)) as views:
        await anext(views)
        for number in range(100):
            await here.rename(conversation.id, f"{number}")
            assert title_of(await anext(views)) == f"{number}"


async def test_the_last_watcher_takes_all_of_it_along(here: Process) -> None:
    conversation = await here.create()
    query = ReadConversation(conversation_id=conversation.id)

    async with aclosing(here.live.watch(query)) as one:
        async with aclosing(here.live.watch(query)) as other:
            await anext(one)
            await anext(other)
            watched_by_both = here.live.watched
        await here.rename(conversation.id, "after")
        assert title_of(await anext(one)) == "after"

    assert (watched_by_both, here.live.watched) == (1, 0)
    assert here.live._by_topic == {}  # pyright: ignore[reportPrivateUsage]  # no leak


async def test_more_queries_than_the_limit_are_a_busy_failure(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "MAX_QUERIES", 1)

    async with aclosing(here.live.watch(ListConversations())) as first:
        await anext(first)
        async with aclosing(here.live.watch(ListConversations())) as same:
            await anext(same)
        with pytest.raises(BusyFailure, match="watched already"):
            await anext(here.live.watch(ListOpenTurns()))
    async with aclosing(here.live.watch(ListOpenTurns())) as second:
        assert await anext(second) == ()


async def test_a_flood_makes_everything_be_read_again(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes_module, "MAX_CHANGES", 0)
    conversation = await here.create("before")

    async with (
        aclosing(
            here.live.watch(ReadConversation(conversation_id=conversation.id))
        ) as views,
        aclosing(here.live.watch(ListOpenTurns())) as turns,
    ):
        await anext(views)
        await anext(turns)
        async with anyio.create_task_group() as group:
            group.start_soon(anext, turns)
            await anyio.wait_all_tasks_blocked()
            assert here.live.readings == 2
            await here.rename(conversation.id, "after")
            assert title_of(await anext(views)) == "after"
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    assert here.live.readings == 4


@pytest.mark.requirement("live:watch-many:one-moment")
async def test_several_queries_are_never_of_two_moments(
    here: Process, elsewhere: Process
) -> None:
    ids = [(await here.create()).id for _ in range(5)]
    both = (ListConversations(), ListConversations(shelf=Shelf.ARCHIVED))
    counts: set[int] = set()
    answers = 0

    async def move_to_and_fro() -> None:
        for is_archived in [True, False] * 20:
            for conversation_id in ids:
                change = ConversationChange(is_archived=is_archived)
                await elsewhere.database.conversations.change(conversation_id, change)
        await elsewhere.create("the end")

    def is_the_end(active: tuple[Conversation, ...]) -> bool:
        return any(found.title == "the end" for found in active)

    async with anyio.create_task_group() as group:
        group.start_soon(move_to_and_fro)
        async with aclosing(here.live.watch_many(both)) as answered:
            async for active, archived in answered:
                answers += 1
                counts.add(len(active) + len(archived) - is_the_end(active))
                if is_the_end(active):
                    break

    assert counts == {5}
    assert answers > 2


async def test_whoever_watches_is_told_that_the_database_was_closed(
    tmp_path: Path,
) -> None:
    told: list[Failure] = []
    has_begun = anyio.Event()

    async def watch(process: Process) -> None:
        lists = process.live.watch(ListConversations())
        assert await anext(lists) == ()
        has_begun.set()
        with pytest.raises(ClosedFailure) as raised:
            await anext(lists)
        told.append(raised.value)

    async with (
        anyio.create_task_group() as group,
        opened(tmp_path / "tina.db") as process,
    ):
        group.start_soon(watch, process)
        with anyio.fail_after(5):
            await has_begun.wait()
        await anyio.wait_all_tasks_blocked()

    assert len(told) == 1


async def test_a_closed_database_cannot_be_watched(tmp_path: Path) -> None:
    async with opened(tmp_path / "tina.db") as process:
        pass

    with pytest.raises(ClosedFailure):
        await anext(process.live.watch(ListConversations()))


async def test_a_file_that_cannot_be_watched_can_be_later(
    here: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    def last_id(_: apsw.Connection) -> int:
        raise apsw.IOError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(change_log, "last_id", last_id)
        with pytest.raises(StorageFailure, match="disk failed"):
            await anext(here.live.watch(ListConversations()))

    async with aclosing(here.live.watch(ListConversations())) as lists:
        assert await anext(lists) == ()


async def test_a_watcher_that_is_cancelled_takes_nobody_along(here: Process) -> None:
    conversation = await here.create("before")
    crowd = Crowd(here)

    async with anyio.create_task_group() as group:
        group.start_soon(crowd.watch, 0, conversation.id)
        async with anyio.create_task_group() as first:
            first.start_soon(crowd.watch, 1, conversation.id)
            await crowd.until({0: "before", 1: "before"})
            await here.rename(conversation.id, "after")
            first.cancel_scope.cancel()
        await crowd.until({0: "after", 1: crowd.seen[1]})
        group.cancel_scope.cancel()

    assert here.live.watched == 0
