"""The library as programs open it, on a real database."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import apsw
import pytest

import tina
from tina.domain.chat import ChatOptions, ModelInfo
from tina.domain.conversations import Conversation
from tina.domain.events import TextDelta
from tina.domain.failures import (
    DamagedFailure,
    InvalidInputFailure,
    ModelNotFoundFailure,
    ModelUnavailableFailure,
    NothingToContinueFailure,
    StorageFailure,
    UnwritableFailure,
)
from tina.domain.ids import LeaseId, MessageId, TurnId, parse_id
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.result import Err, Ok
from tina.domain.turns import NewTurn, OpenTurn, TurnRequest
from tina.testing.clock import FakeClock
from tina.testing.ids import FakeIds
from tina.testing.memory import MemoryTurns
from tina.testing.provider import HANG, ScriptedProvider
from tina.testing.server import PlaybackServer, Recording
from tina.testing.stores import MemoryStores
from tina.wiring import open_for, paths_for, set_up_log
from tina.wiring.system import SystemClock, SystemIds

pytestmark = pytest.mark.anyio

MODEL = "scripted:parrot"
ENVIRONMENT = dict(os.environ)


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    with anyio.fail_after(20):
        yield


async def open_conversation(app: tina.App) -> Conversation:
    return await app.conversations.create("Fjords", model=MODEL)


async def test_a_turn_lives_in_a_database_of_its_home(tmp_path: Path) -> None:
    provider = ScriptedProvider("Ice", " age.")

    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        turn = await app.send(
            conversation.id, "Why?", options=ChatOptions(temperature=0.5)
        )
        said = [e.text async for e in turn.events() if isinstance(e, TextDelta)]
        answer = await turn.result()

    async with tina.open(tmp_path) as app:
        stored = await app.conversations.messages(conversation.id)
        listed = await app.conversations.list()

    assert said == ["Ice", " age."]
    assert stored[1] == answer
    assert [row.id for row in listed] == [conversation.id]
    assert provider.requests[0].options.temperature == 0.5
    assert (tmp_path / "tina.db").is_file()
    assert list((tmp_path / "leases").iterdir()) == []


async def test_what_the_body_raises_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        async with tina.open(tmp_path):
            raise ZeroDivisionError("on purpose")


async def test_leaving_settles_running_answers_as_interrupted(tmp_path: Path) -> None:
    provider = ScriptedProvider("Once upon", HANG)
    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        turn = await app.send(conversation.id, "A tale.")
        async for event in turn.events():
            if isinstance(event, TextDelta):
                break

    async with tina.open(tmp_path) as app:
        _, answer = await app.conversations.messages(conversation.id)

    assert (answer.status, answer.text) == (MessageStatus.INTERRUPTED, "Once upon")
    assert await turn.result() == answer
    assert provider.closed == 1


async def test_who_asked_may_be_cancelled_and_the_turn_goes_on(tmp_path: Path) -> None:
    provider = ScriptedProvider("Ice.")
    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        with anyio.CancelScope() as asking:
            asking.cancel()
            await app.send(conversation.id, "Never asked.")
            pytest.fail("it went on after it was cancelled")
        turn = await app.send(conversation.id, "Why?")
        with anyio.CancelScope() as reading:
            reading.cancel()
            await turn.result()
            pytest.fail("it went on after it was cancelled")
        answer = await turn.result()
        messages = await app.conversations.messages(conversation.id)

    assert answer.status is MessageStatus.COMPLETE
    assert [message.text for message in messages] == ["Why?", "Ice."]


async def test_no_cancelled_asker_leaves_a_turn_without_a_task(
    tmp_path: Path,
) -> None:
    """However who asked is cancelled, a turn that was stored is also run."""
    provider = ScriptedProvider("Ice.")
    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        for looks in range(60):
            asker = asyncio.ensure_future(app.send(conversation.id, "Why?"))
            for _ in range(looks):
                await asyncio.sleep(0)
            asker.cancel()
            await asyncio.wait([asker])
    async with tina.open(tmp_path) as app:
        messages = await app.conversations.messages(conversation.id)

    statuses = {message.status for message in messages}
    assert statuses <= {MessageStatus.COMPLETE, MessageStatus.INTERRUPTED}


async def test_an_opening_that_is_cancelled_ends_quietly(tmp_path: Path) -> None:
    async def open_and_leave() -> None:
        async with tina.open(tmp_path):
            return

    for looks in range(40):
        opening = asyncio.ensure_future(open_and_leave())
        for _ in range(looks):
            await asyncio.sleep(0)
        opening.cancel()
        done, _ = await asyncio.wait([opening])
        assert all(task.cancelled() or task.exception() is None for task in done)


async def test_a_home_whose_name_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInputFailure, match="TINA_HOME"):
        paths_for(None, {"TINA_HOME": "/\udcff"})


async def test_another_app_does_not_settle_a_living_answer(tmp_path: Path) -> None:
    provider = ScriptedProvider("Once upon", HANG)
    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        turn = await app.send(conversation.id, "A tale.")
        async with tina.open(tmp_path) as other:
            _, answer = await other.conversations.messages(conversation.id)
            with pytest.raises(NothingToContinueFailure, match="still being written"):
                await other.continue_answer(conversation.id)
        await turn.stop()
        stopped = await turn.result()

    assert answer.status is MessageStatus.STREAMING
    assert stopped.status is MessageStatus.STOPPED


async def test_a_stopped_answer_is_continued(tmp_path: Path) -> None:
    providers = {"scripted": ScriptedProvider("Once upon", HANG)}
    async with tina.open(tmp_path, providers=providers) as app:
        conversation = await open_conversation(app)
        turn = await app.send(conversation.id, "A tale.")
        async for event in turn.events():
            if isinstance(event, TextDelta):
                break
        await turn.stop()
    providers = {"scripted": ScriptedProvider(" a time.")}
    async with tina.open(tmp_path, providers=providers) as app:
        answer = await (await app.continue_answer(conversation.id)).result()
        messages = await app.conversations.messages(conversation.id)

    assert answer.text == " a time."
    assert [message.status for message in messages[1::2]] == [
        MessageStatus.STOPPED,
        MessageStatus.COMPLETE,
    ]


async def test_every_port_can_be_replaced(tmp_path: Path) -> None:
    clock, ids = FakeClock(), FakeIds()
    stores = MemoryStores(clock=clock, ids=ids)
    async with tina.open(
        tmp_path / "never made",
        clock=clock,
        ids=ids,
        stores=stores,
        providers={"scripted": ScriptedProvider("Ice.")},
    ) as app:
        conversation = await open_conversation(app)
        await (await app.send(conversation.id, "Why?")).result()
        problems = await app.check_database()

    messages = stores.rows.messages_by_id.values()
    assert [message.text for message in messages] == ["Why?", "Ice."]
    assert problems == ()
    assert not (tmp_path / "never made").exists()


async def test_the_default_model_is_read_from_the_environment(tmp_path: Path) -> None:
    provider = ScriptedProvider("Ice.")
    async with tina.open(
        tmp_path, providers={"scripted": provider}, environment={"TINA_MODEL": MODEL}
    ) as app:
        conversation = await app.conversations.create()
        answer = await (await app.send(conversation.id, "Why?")).result()

    assert answer.model == MODEL


async def test_a_model_that_nobody_has_is_refused_before_anything_is_stored(
    tmp_path: Path,
) -> None:
    async with tina.open(tmp_path) as app:
        app.check_model(None)
        app.check_model("openai:gpt")
        with pytest.raises(ModelNotFoundFailure, match=r"local, .*openai"):
            app.check_model("nobody:x")
        with pytest.raises(InvalidInputFailure, match="provider:model"):
            app.check_model("")


async def test_models_are_listed_by_provider_or_the_reason_why_not(
    tmp_path: Path,
) -> None:
    class Broken(ScriptedProvider):
        async def models(self) -> tuple[ModelInfo, ...]:
            raise ModelUnavailableFailure("No weights here.")

    providers = {"scripted": ScriptedProvider(), "broken": Broken()}
    async with tina.open(tmp_path, providers=providers) as app:
        offered = await app.models()

    assert isinstance(offered["scripted"], Ok)
    assert isinstance(offered["broken"], Err)
    assert isinstance(offered["local"], Ok)
    assert "openai" not in offered


async def test_a_slow_provider_keeps_no_other_from_being_asked(tmp_path: Path) -> None:
    is_asked = {"first": anyio.Event(), "second": anyio.Event()}

    class Waiting(ScriptedProvider):
        """Answers once the other was asked, too."""

        def __init__(self, name: str, other: str) -> None:
            super().__init__()
            self._name, self._other = name, other

        async def models(self) -> tuple[ModelInfo, ...]:
            is_asked[self._name].set()
            await is_asked[self._other].wait()
            return ()

    providers = {
        "first": Waiting("first", "second"),
        "second": Waiting("second", "first"),
    }
    with anyio.fail_after(5):
        async with tina.open(tmp_path, providers=providers) as app:
            offered = await app.models()

    assert {*is_asked} <= {*offered}


async def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    with pytest.raises(UnwritableFailure, match="TINA_HOME"):
        async with tina.open(in_the_way):
            pytest.fail("it was opened")


async def test_a_file_that_is_no_database_is_refused_and_untouched(
    tmp_path: Path,
) -> None:
    (tmp_path / "tina.db").write_text("Dear diary " * 500, encoding="utf-8")

    with pytest.raises(StorageFailure):
        async with tina.open(tmp_path):
            pytest.fail("it was opened")

    assert (tmp_path / "tina.db").read_text(encoding="utf-8") == "Dear diary " * 500


async def test_a_key_that_is_given_is_for_the_provider_of_its_model(
    environment: Path,
) -> None:
    listing = Recording(
        headers=(("Content-Type", "application/json"),), chunks=(b'{"data":[]}',)
    )
    async with PlaybackServer(listing) as server:
        (environment / "config.toml").write_text(
            f'[providers.lab]\nprotocol = "openai-chat"\n'
            f'base_url = "{server.base_url}"\nkey_env = ["LAB_KEY"]\n',
            encoding="utf-8",
        )
        async with open_for(key="given", model="lab:m") as app:
            checked = await app.check_providers(["LAB"])

    assert isinstance(checked["lab"], Ok)
    assert server.requests[0].headers["authorization"] == "Bearer given"


async def test_what_is_not_kept_leaves_nothing(environment: Path) -> None:
    async with open_for(keeps=False) as app:
        await app.conversations.create("Secret")
        kept = await app.conversations.list()

    assert len(kept) == 1
    assert not (environment / "tina.db").exists()


async def test_the_folders_are_the_systems_unless_a_home_is_named(
    tmp_path: Path,
) -> None:
    assert paths_for(None, {"TINA_HOME": str(tmp_path)}).data == tmp_path
    assert paths_for(tmp_path / "a", {"TINA_HOME": "/b"}).data == tmp_path / "a"
    assert paths_for(None, {}).data.name == "tina"
    assert paths_for("~/x", {}).data == Path.home() / "x"


async def test_the_chat_history_gets_a_folder(tmp_path: Path) -> None:
    async with tina.open(tmp_path / "new") as app:
        assert app.chat_history_file().parent.is_dir()


async def test_ids_of_one_process_only_grow() -> None:
    ids = SystemIds()

    made = [ids.new() for _ in range(10_000)]

    assert made == sorted(set(made))
    assert all(parse_id(one) == one for one in made)


async def test_the_clock_counts_in_whole_milliseconds_and_sleeps() -> None:
    clock = SystemClock()
    before = clock.monotonic()

    await clock.sleep(0.001)

    assert clock.monotonic() > before
    assert clock.now().microsecond % 1000 == 0
    assert clock.now().utcoffset() is not None


async def test_only_public_names_are_found() -> None:
    assert tina.App.__name__ == "App"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(tina, "nothing")  # noqa: B009 - a plain access would not type check


async def test_an_open_app_does_not_show_the_environment(tmp_path: Path) -> None:
    secrets = {"OPENAI_API_KEY": "sk-canary"}
    async with tina.open(tmp_path, environment=secrets) as app:
        assert "canary" not in repr(app)


async def test_one_unreadable_row_does_not_keep_tina_from_opening(
    tmp_path: Path,
) -> None:
    provider = ScriptedProvider("Once ", "upon", HANG)
    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        await app.send(conversation.id, "A tale.")
        await leave_as_the_dead_do(tmp_path)
    async with tina.open(tmp_path) as app:
        _, answer = await app.conversations.messages(conversation.id)

    assert answer.status is MessageStatus.INTERRUPTED


async def test_a_message_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    provider = ScriptedProvider("Ice.")
    async with tina.open(tmp_path, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        turn = await app.send(conversation.id, "Why?")
        await turn.result()
    change(tmp_path, "UPDATE messages SET role = 'ghost' WHERE role = 'assistant'")

    async with tina.open(tmp_path) as app:
        with pytest.raises(DamagedFailure, match=turn.message_id):
            await app.conversations.messages(conversation.id)


async def test_who_opens_tina_does_not_wait_until_the_dead_can_be_settled() -> None:
    class Stuck(MemoryTurns):
        async def settle(self, answer: Message) -> bool:
            await anyio.sleep_forever()
            return False

    stores = MemoryStores(clock=FakeClock(), ids=FakeIds())
    conversation = await leave_dead_turn(stores)
    stores.turns = Stuck(stores.rows)

    async with tina.open(stores=stores) as app:
        (answer,) = await app.conversations.messages(conversation.id)
        (watched,) = [message async for message in app.watch_message(answer.id)]

    assert (answer.status, answer.text) == (MessageStatus.INTERRUPTED, "Once")
    assert watched == answer


async def test_turns_that_cannot_be_read_do_not_keep_tina_from_opening(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unreadable(MemoryTurns):
        async def list_open(self) -> tuple[OpenTurn, ...]:
            raise DamagedFailure("It cannot be read.")

    stores = MemoryStores(clock=FakeClock(), ids=FakeIds())
    stores.turns = Unreadable(stores.rows)

    async with tina.open(stores=stores) as app:
        assert await app.conversations.list() == ()
    assert "dead_not_found" in caplog.text


async def leave_dead_turn(stores: MemoryStores) -> Conversation:
    """An answer that said "Once", and whose process is gone."""
    async with tina.open(
        stores=stores, providers={"scripted": ScriptedProvider("Once", HANG)}
    ) as app:
        conversation = await open_conversation(app)
        answer = Message(
            id=MessageId("a" * 32),
            conversation_id=conversation.id,
            parent_id=None,
            role=Role.ASSISTANT,
            status=MessageStatus.STREAMING,
            parts=(),
            created_at=stores.clock.now(),
        )
    turn = NewTurn(
        id=TurnId("b" * 32),
        conversation_id=conversation.id,
        after=None,
        prompt=None,
        answer=answer,
        request=TurnRequest(model=MODEL),
        lease_id=LeaseId("dead"),
    )
    await stores.turns.begin(turn)
    await stores.journal.append({answer.id: [TextDelta("text", "Once")]})
    return conversation


@pytest.mark.requirement("database:link:one-place")
async def test_a_database_that_is_a_link_has_one_place_for_all(tmp_path: Path) -> None:
    real, other = tmp_path / "real", tmp_path / "other"
    other.mkdir()
    provider = ScriptedProvider("Once", HANG)
    async with tina.open(real, providers={"scripted": provider}) as app:
        conversation = await open_conversation(app)
        turn = await app.send(conversation.id, "A tale.")
        (other / "tina.db").symlink_to(real / "tina.db")

        async with tina.open(other) as second:
            assert second.paths.data == app.paths.data
            (_, answer) = await second.conversations.messages(conversation.id)

        assert answer.status is MessageStatus.STREAMING
        await turn.stop()
        assert (await turn.result()).status is MessageStatus.STOPPED


async def test_a_link_to_a_file_of_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tina.db").symlink_to(tmp_path / "elsewhere.db")

    with pytest.raises(InvalidInputFailure, match="rename the file"):
        async with tina.open(tmp_path):
            pytest.fail("never reached")


def change(home: Path, statement: str) -> None:
    connection = apsw.Connection(str(home / "tina.db"))
    connection.execute(statement)
    connection.close()


async def leave_as_the_dead_do(home: Path) -> None:
    """Give the running turn to a dead process, and break its journal."""
    change(home, "UPDATE turns SET lease_id = zeroblob(16)")
    change(
        home,
        "INSERT INTO journal (message_id, events) SELECT answer_id, '[{' FROM turns",
    )
    async with tina.open(home):
        return  # it settles what the dead left


@pytest.mark.parametrize(("level", "is_told"), [("debug", True), ("nonsense", False)])
async def test_a_log_is_told_to_those_who_ask_for_it(level: str, is_told: bool) -> None:
    program = (
        "import logging; from tina.wiring import set_up_log; set_up_log();"
        "logging.getLogger('tina').debug('a word')"
    )

    done = await anyio.run_process(
        [sys.executable, "-c", program], env={**ENVIRONMENT, "TINA_LOG": level}
    )

    assert (b"a word" in done.stderr) is is_told


async def test_a_level_is_read_as_people_write_it() -> None:
    set_up_log({"TINA_LOG": " Critical "})
    set_up_log({"TINA_LOG": "nonsense"})
    set_up_log({})
