"""The index is filled off the hot path, and never says other than the messages do."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import apsw
import pytest

from tina.database.daos import search as dao
from tina.database.engine.engine import Engine
from tina.database.search import indexing
from tina.database.search.indexing import Indexer, index_some
from tina.database.search.search import DatabaseSearch
from tina.domain.failures import DiskFullFailure
from tina.domain.search import SearchOrder, SearchQuery, SearchResult
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

TALK = b"\x01" * 16
OTHER_TALK = b"\x02" * 16


class House:
    """A file with two empty conversations."""

    def __init__(self, engine: Engine, clock: FakeClock) -> None:
        self.engine = engine
        self.clock = clock
        self.search = DatabaseSearch(engine, clock=clock)
        self._count = 0

    async def run(self, statement: str, **bindings: object) -> Any:
        def work(connection: apsw.Connection) -> Any:
            return connection.execute(statement, bindings).get

        return await self.engine.write(work)

    async def say(self, text: str, *, talk: bytes = TALK, model: str = "a:b") -> int:
        """Store a message; its rid."""
        return (await self.say_all([text], talk=talk, model=model))[0]

    async def say_all(
        self, texts: list[str], *, talk: bytes = TALK, model: str = "a:b"
    ) -> list[int]:
        def work(connection: apsw.Connection) -> list[int]:
            rids: list[int] = []
            for text in texts:
                self._count += 1
                rid: int = connection.execute(
                    "INSERT INTO messages (owner_id, id, conversation_id, seq, role, "
                    "status, text, model, created_at) VALUES (1, :id, :talk, :seq, "
                    "'user', 'complete', :text, :model, 0) RETURNING rid",
                    {
                        "id": self._count.to_bytes(16, "big"),
                        "talk": talk,
                        "seq": self._count,
                        "text": text,
                        "model": model,
                    },
                ).get
                rids.append(rid)
            return rids

        return await self.engine.write(work)

    async def found(self, words: str, **asked: Any) -> SearchResult:
        return await self.search.search(SearchQuery(words=words, **asked))

    async def snippets(self, words: str) -> list[str]:
        return [hit.snippet for hit in (await self.found(words)).hits]

    async def waiting(self) -> int:
        def work(connection: apsw.Connection) -> int:
            count: int = connection.execute("SELECT count(*) FROM search_backlog").get
            return count

        return await self.engine.read(work)

    async def check(self) -> None:
        """Compare the index with the messages it was made from."""
        for rank in (0, 1):
            await self.run(
                "INSERT INTO message_fts (message_fts, rank) "
                "VALUES ('integrity-check', :rank)",
                rank=rank,
            )


async def index_all(engine: Engine) -> None:
    while await index_some(engine):
        pass


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FakeClock()
    engine = Engine(tmp_path / "tina.db", monotonic=clock.monotonic)
    await engine.open()
    try:
        house = House(engine, clock)
        for talk in (TALK, OTHER_TALK):
            await house.run(
                "INSERT INTO conversations (owner_id, id, title, message_count, "
                "preview, created_at, last_message_at) "
                "VALUES (1, :id, '', 0, '', 0, 0)",
                id=talk,
            )
        yield house
    finally:
        await engine.close()


async def test_a_batch_is_the_newest_of_what_waits(house: House) -> None:
    await house.say_all([f"word{number}" for number in range(5)])

    assert await index_some(house.engine, limit=2) == 2

    left = "SELECT json_group_array(rid) FROM search_backlog"
    assert await house.run(left) == "[1,2,3]"
    await house.check()
    assert await index_some(house.engine, limit=3) == 3
    assert await index_some(house.engine, limit=3) == 0
    await house.check()


async def test_a_batch_is_bounded_by_its_text(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "BATCH_BYTES", 10)
    await house.say_all(["six é", "longer than ten bytes", "three", "four", "five"])

    sizes = [await index_some(house.engine) for _ in range(5)]

    assert sizes == [2, 1, 1, 1, 0]
    await house.check()


async def test_a_message_that_streams_is_found_once_it_is_settled(house: House) -> None:
    rid = await house.say("")
    before = await house.waiting()

    await house.run("UPDATE messages SET text = 'fjord' WHERE rid = :rid", rid=rid)

    assert before == 0
    assert await house.snippets("fjord") == ["fjord"]
    await house.check()


@pytest.mark.requirement("search:index:says-what-messages-say")
@pytest.mark.parametrize("is_indexed", [True, False])
async def test_an_edited_text_is_found_by_its_new_words_only(
    house: House, is_indexed: bool
) -> None:
    rid = await house.say("a deep fjord")
    if is_indexed:
        await index_all(house.engine)

    await house.run("UPDATE messages SET text = 'a lake' WHERE rid = :rid", rid=rid)

    await house.check()
    assert await house.snippets("fjord") == []
    assert await house.snippets("lake") == ["a lake"]
    await house.check()
    await house.run("UPDATE messages SET text = '' WHERE rid = :rid", rid=rid)
    assert await house.snippets("lake") == []
    assert await house.waiting() == 0
    await house.check()


@pytest.mark.requirement("search:index:says-what-messages-say")
@pytest.mark.parametrize("is_indexed", [True, False])
async def test_a_purged_conversation_vanishes_from_the_index(
    house: House, is_indexed: bool
) -> None:
    await house.say("a deep fjord")
    await house.say("another fjord", talk=OTHER_TALK)
    if is_indexed:
        await index_all(house.engine)

    await house.run("DELETE FROM conversations WHERE id = :id", id=TALK)

    assert await house.snippets("fjord") == ["another fjord"]
    assert await house.run("SELECT count(*) FROM message_fts_docsize") == 1
    await house.check()


async def test_a_rebuilt_index_holds_what_it_held(house: House) -> None:
    await house.say_all(["a fjord", ""])
    await index_all(house.engine)
    await house.say("a late fjord")

    await house.run("INSERT INTO message_fts (message_fts) VALUES ('rebuild')")

    await house.check()
    assert await house.snippets("fjord") == ["a late fjord", "a fjord"]
    await house.check()


async def test_a_backlog_that_names_no_message_is_emptied(house: House) -> None:
    """Nothing writes such a row; a search must not wait for it forever."""
    await house.run("INSERT INTO search_backlog (rid) VALUES (7)")

    result = await house.found("fjord")

    assert result == SearchResult(hits=(), is_whole=True)
    assert await house.waiting() == 0


async def test_a_search_catches_up_for_a_bounded_time(house: House) -> None:
    """As after the upgrade of a large file."""
    await house.say_all([f"fjord {number}" for number in range(250)])
    ticking = TickingClock(step_s=0.4)
    search = DatabaseSearch(house.engine, clock=ticking)

    result = await search.search(SearchQuery(words="fjord"))

    assert not result.is_whole
    assert result.failure is None
    assert result.hits[0].snippet == "fjord 249"
    assert await house.waiting() == 50
    again = await search.search(SearchQuery(words="fjord"))
    assert again.is_whole
    await house.check()


class TickingClock(FakeClock):
    """Each look at it takes time."""

    def __init__(self, *, step_s: float) -> None:
        super().__init__()
        self._step_s = step_s

    def monotonic(self) -> float:
        self.advance(self._step_s)
        return super().monotonic()


async def test_what_is_indexed_is_found_when_nothing_can_be_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.say("an old fjord")
    await index_all(house.engine)
    await house.say("a new fjord")

    async def refuse(*_: object, **__: object) -> None:
        raise DiskFullFailure("No room left.")

    monkeypatch.setattr(house.engine, "write", refuse)
    result = await house.found("fjord")

    assert [hit.snippet for hit in result.hits] == ["an old fjord"]
    assert not result.is_whole
    assert result.failure == DiskFullFailure("No room left.").as_record()


async def test_a_filter_looks_at_a_bounded_number_of_matches(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tina.database.search.search.MAX_LOOKED_AT", 10)
    await house.say("the oldest fjord", model="c:d")
    await house.say_all(["fjord"] * 9)

    for order in SearchOrder:
        at_the_limit = await house.found("fjord", model="c:d", order=order)
        assert [hit.snippet for hit in at_the_limit.hits] == ["the oldest fjord"]
        assert at_the_limit.is_whole
    await house.say("fjord")
    for order in SearchOrder:
        over_it = await house.found("fjord", model="c:d", order=order)
        assert over_it == SearchResult(hits=(), is_whole=False)


async def test_a_long_conversation_is_looked_at_from_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tina.database.search.search.MAX_LOOKED_AT", 3)
    talk_id = TALK.hex()
    await house.say_all(["old fjord", "lake", "fjord"])
    whole = await house.found("fjord", conversation_id=talk_id)
    await house.say("lake")
    cut = await house.found("fjord", conversation_id=talk_id)

    assert [hit.snippet for hit in whole.hits] == ["fjord", "old fjord"]
    assert whole.is_whole
    assert [hit.snippet for hit in cut.hits] == ["fjord"]
    assert not cut.is_whole


async def test_the_newest_matches_are_ranked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tina.database.search.search.RANKED_WINDOW", 2)
    await house.say_all(["fjord fjord", "fjord of many words"])
    within = await house.found("fjord", order=SearchOrder.BEST)
    await house.say("another fjord, of even more words")
    beyond = await house.found("fjord", order=SearchOrder.BEST)

    assert within.is_whole
    assert within.hits[0].snippet == "fjord fjord"
    assert not beyond.is_whole
    assert {hit.snippet for hit in beyond.hits} == {
        "fjord of many words",
        "another fjord, of even more words",
    }


async def test_a_snippet_shows_the_place_and_not_the_whole(house: House) -> None:
    await house.say("before " * 5_000 + "the fjord " + "after " * 5_000)
    await house.say("fjord" + "x" * 100_000 + " fjord")

    by_word = (await house.found("fjord")).hits
    for hit in by_word:
        assert len(hit.snippet) <= 402
        assert {hit.snippet[match.start : match.end] for match in hit.matches} == {
            "fjord"
        }


async def test_the_indexer_gathers_what_is_written(house: House) -> None:
    indexer = Indexer(house.engine, clock=house.clock)
    await house.say_all(["before it ran"] * 250)

    async with anyio.create_task_group() as group:
        group.start_soon(indexer.run)
        with anyio.fail_after(5):
            await until(house, lambda waiting: waiting == 0)
            await house.say("fjord")
            await until(house, lambda waiting: waiting == 0)
        group.cancel_scope.cancel()

    assert house.clock.slept.count(indexing.GATHER_S) >= 2
    await house.check()


async def until(house: House, is_there: Callable[[int], bool]) -> None:
    while not is_there(await house.waiting()):
        await anyio.lowlevel.checkpoint()


async def test_the_indexer_sleeps_while_nothing_is_written(house: House) -> None:
    indexer = Indexer(house.engine, clock=house.clock)

    async with anyio.create_task_group() as group:
        group.start_soon(indexer.run)
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            await house.waiting()
        group.cancel_scope.cancel()

    assert house.clock.slept == [indexing.GATHER_S]


async def test_the_indexer_goes_on_after_a_failure(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    indexer = Indexer(house.engine, clock=house.clock)
    await house.say("fjord")
    failed = anyio.Event()
    read = house.engine.read

    async def refuse(*_: object) -> None:
        failed.set()
        raise DiskFullFailure("No room left.")

    async with anyio.create_task_group() as group:
        with anyio.fail_after(5):
            monkeypatch.setattr(house.engine, "read", refuse)
            group.start_soon(indexer.run)
            await failed.wait()
            monkeypatch.setattr(house.engine, "read", read)
            await anyio.wait_all_tasks_blocked()
            await house.say("lake")
            await until(house, lambda waiting: waiting == 0)
        group.cancel_scope.cancel()

    assert [record.message for record in caplog.records] == ["indexing_failed"]


async def test_the_indexer_ends_with_the_database(house: House) -> None:
    indexer = Indexer(house.engine, clock=house.clock)
    await house.engine.close()

    with anyio.fail_after(5):
        await indexer.run()


async def test_an_indexer_that_is_cancelled_leaves_the_index_right(
    house: House,
) -> None:
    await house.say_all([f"fjord {number}" for number in range(500)])
    indexer = Indexer(house.engine, clock=house.clock)

    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(indexer.run)
            await until(house, lambda waiting: waiting < 500)
            scope.cancel()
            await anyio.lowlevel.checkpoint()
            pytest.fail("it went on")

    left_and_indexed = (
        "SELECT (SELECT count(*) FROM search_backlog) "
        "+ (SELECT count(*) FROM message_fts_docsize)"
    )
    assert await house.run(left_and_indexed) == 500
    await house.check()


@pytest.mark.requirement("search:index:says-what-messages-say")
async def test_searches_writes_and_two_indexers_at_once_agree(house: House) -> None:
    """As two processes do: each batch is one transaction."""

    async def write() -> None:
        for number in range(60):
            await house.say_all(["fjord"] * 5)
            if number % 7 == 0:
                await house.run(
                    "UPDATE messages SET text = text || ' lake' WHERE rid % 11 = 0"
                )

    with anyio.fail_after(20):
        async with anyio.create_task_group() as indexers:
            for _ in range(2):
                indexers.start_soon(index_forever, house)
            async with anyio.create_task_group() as working:
                working.start_soon(write)
                for _ in range(20):
                    assert (await house.found("fjord", limit=5)).is_whole
            indexers.cancel_scope.cancel()

    assert len((await house.found("fjord", limit=500)).hits) == 300
    assert not await house.engine.read(dao.has_backlog)
    await house.check()


async def index_forever(house: House) -> None:
    while True:
        await index_some(house.engine, limit=7)
        await anyio.lowlevel.checkpoint()
