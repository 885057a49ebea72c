"""Three of Tina's protocols with a real server: llama.cpp's, which speaks them all.

The weights are needed that `make setup` installs, so these tests run in CI as well.
They say nothing twice that `tests/providers` says of recordings: here it is the server
that writes, and that has to understand what is sent.
"""

from collections.abc import AsyncGenerator, Generator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import msgspec
import pytest

from tests.providers.llama_server import (
    MODEL,
    WEATHER,
    WINDOW_TOKENS,
    LlamaServer,
    message,
    serving,
    shown,
    user,
)
from tina.domain.chat import ChatOptions, ChatRequest, StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import AuthenticationFailure, ContextOverflowFailure
from tina.domain.ids import ToolCallId
from tina.domain.messages import Message, Role, TextPart, ToolCallPart, ToolResultPart
from tina.networking.http import HttpClient
from tina.networking.traffic import Traffic
from tina.providers.entries import KeyHeader, Protocol, ProviderEntry
from tina.providers.local.weights import find_weights
from tina.providers.making import make_provider
from tina.providers.model_cache import ModelCache
from tina.providers.remote import RemoteProvider, Shared
from tina.testing.secrets import FakeSecretStore
from tina.wiring.system import SystemClock

pytestmark = pytest.mark.anyio

PROTOCOLS = (Protocol.CHAT, Protocol.RESPONSES, Protocol.ANTHROPIC)
FRUITS = "Name three fruits."
TALE = "Tell me a very long story about a fox and a crow."
LIMIT_S = 120.0
SCHEMA = """{"type":"object","properties":{"name":{"type":"string"},
"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}"""


CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server() -> Generator[LlamaServer]:
    weights = find_weights(MODEL, models=Path("nowhere"))
    assert weights is not None, "`make setup` installs the weights"
    with serving(weights) as running:
        yield running


@pytest.fixture
async def http() -> AsyncGenerator[HttpClient]:
    client = HttpClient(clock=CLOCK, user_agent="tina/test")
    yield client
    await client.close()


@pytest.fixture(params=PROTOCOLS, ids=lambda each: each.value)
def provider(
    request: pytest.FixtureRequest, server: LlamaServer, http: HttpClient
) -> RemoteProvider:
    return make(request.param, server, http)


def make(
    protocol: Protocol, server: LlamaServer, http: HttpClient, *, key: str | None = None
) -> RemoteProvider:
    is_anthropic = protocol is Protocol.ANTHROPIC
    entry = ProviderEntry(
        protocol=protocol,
        base_url=server.address if is_anthropic else f"{server.address}/v1",
        key_header=KeyHeader.X_API_KEY if is_anthropic else KeyHeader.BEARER,
    )
    shared = Shared(
        secrets=FakeSecretStore(llama=key or server.key),
        clock=CLOCK,
        draw=lambda: 0.5,
        traffic=Traffic(CLOCK),
        models=ModelCache(None, clock=CLOCK, base_urls={"llama": entry.base_url}),
    )
    return make_provider("llama", entry, http=http, shared=shared)


def ask(*messages: Message, max_tokens: int = 40, **options: object) -> ChatRequest:
    chosen = {"temperature": 0.0, "max_tokens": max_tokens, **options}
    return ChatRequest(
        model=MODEL,
        messages=messages or (user(FRUITS),),
        options=msgspec.convert(chosen, ChatOptions),
    )


async def hear(provider: RemoteProvider, request: ChatRequest) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    with anyio.fail_after(LIMIT_S):
        async with provider.stream(request) as batches:
            async for batch in batches:
                events += batch
    return events


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usage_of(events: list[StreamEvent]) -> Usage:
    *_, update = (event for event in events if isinstance(event, UsageUpdate))
    return update.usage


def finish_of(events: list[StreamEvent]) -> Finish:
    finish = events[-1]
    assert isinstance(finish, Finish)
    return finish


def calls_of(events: list[StreamEvent]) -> list[ToolCallPart]:
    said = dict[str, str]()
    for event in events:
        if isinstance(event, ToolArgumentsDelta):
            said[event.key] = said.get(event.key, "") + event.fragment
    return [
        ToolCallPart(
            call_id=event.call_id or ToolCallId(""),
            tool=event.tool or "",
            arguments=said[event.key],
        )
        for event in events
        if isinstance(event, BlockStart) and event.kind is BlockKind.TOOL_CALL
    ]


@pytest.mark.requirement("providers:live-server")
async def test_it_answers_and_says_what_that_took(provider: RemoteProvider) -> None:
    events = await hear(provider, ask())

    starts = [event.key for event in events if isinstance(event, BlockStart)]
    ends = [event.key for event in events if isinstance(event, BlockEnd)]
    assert isinstance(events[0], Start)
    assert text_of(events) == "1. Bananas\n2. Oranges\n3. Grapes"
    assert starts == ends
    assert finish_of(events).reason is StopReason.STOP
    assert usage_of(events).input_tokens
    assert usage_of(events).output_tokens


async def test_all_protocols_say_and_count_the_same(
    server: LlamaServer, http: HttpClient
) -> None:
    heard = [
        await hear(make(protocol, server, http), ask(user("What is two plus two?")))
        for protocol in PROTOCOLS
    ]

    said = {
        (text_of(events), usage_of(events).input_tokens, usage_of(events).output_tokens)
        for events in heard
    }
    assert len(said) == 1


async def test_an_answer_ends_at_its_length(provider: RemoteProvider) -> None:
    events = await hear(provider, ask(user(TALE), max_tokens=3))

    assert finish_of(events).reason is StopReason.LENGTH
    assert usage_of(events).output_tokens == 3


@pytest.mark.parametrize("protocol", [Protocol.CHAT, Protocol.ANTHROPIC])
async def test_an_answer_ends_before_a_stop_sequence(
    protocol: Protocol, server: LlamaServer, http: HttpClient
) -> None:
    provider = make(protocol, server, http)

    events = await hear(provider, ask(stop=["\n2"]))

    assert text_of(events) == "1. Bananas"
    assert finish_of(events).reason in (StopReason.STOP, StopReason.STOP_SEQUENCE)


async def test_an_answer_has_the_shape_of_its_schema(
    server: LlamaServer, http: HttpClient
) -> None:
    """Chat completions alone: elsewhere this server does not look at the schema."""
    asked = ask(user("Describe Anna, who is 31."), max_tokens=64, schema=SCHEMA)

    events = await hear(make(Protocol.CHAT, server, http), asked)

    answer = msgspec.json.decode(text_of(events), type=dict[str, object])
    assert answer.keys() == {"name", "age"}


async def test_a_wrong_key_is_refused_and_never_shown(
    server: LlamaServer, http: HttpClient
) -> None:
    for protocol in PROTOCOLS:
        stranger = make(protocol, server, http, key="sk-wrong-and-secret")

        with pytest.raises(
            AuthenticationFailure, match="Check LLAMA_API_KEY"
        ) as caught:
            await hear(stranger, ask())

        assert "sk-wrong" not in f"{caught.value!r} {caught.value.as_record()}"
        assert caught.value.provider == "llama"


async def test_a_prompt_that_does_not_fit_says_both_numbers(
    provider: RemoteProvider,
) -> None:
    with pytest.raises(
        ContextOverflowFailure, match=rf"30\d\d tokens.* {WINDOW_TOKENS}"
    ):
        await hear(provider, ask(user("word " * 3000)))


async def test_the_models_are_listed(provider: RemoteProvider) -> None:
    await provider.check()

    assert [model.model for model in await provider.models()] == [MODEL]


async def test_tokens_are_counted_as_the_answer_will_count_them(
    server: LlamaServer, http: HttpClient
) -> None:
    provider = make(Protocol.ANTHROPIC, server, http)

    counted = await provider.count_tokens(ask())

    assert counted == usage_of(await hear(provider, ask(max_tokens=1))).input_tokens


@pytest.mark.requirement("providers:live-server")
async def test_a_tool_is_called_and_its_result_understood(
    provider: RemoteProvider,
) -> None:
    asked = ask(*shown("Rome"), user("Weather in Paris?"), max_tokens=60)
    asked = msgspec.structs.replace(asked, tools=(WEATHER,))

    events = await hear(provider, asked)
    (call,) = calls_of(events)
    result = ToolResultPart(call_id=call.call_id, content="sunny")
    answered = (message(Role.ASSISTANT, call), message(Role.TOOL, result))
    rest = await hear(
        provider,
        msgspec.structs.replace(asked, messages=(*asked.messages, *answered)),
    )

    assert finish_of(events).reason is StopReason.TOOL_CALLS
    assert call.tool == WEATHER.name
    assert msgspec.json.decode(call.arguments) == {"city": "Paris"}
    assert text_of(rest) == "Sunny in Paris."
    assert finish_of(rest).reason is StopReason.STOP


async def test_parallel_calls_stay_apart(provider: RemoteProvider) -> None:
    history = (*shown("Rome", "Oslo"), *shown("Lima", "Cairo"))
    asked = ask(*history, user("Weather in Paris and Berlin?"), max_tokens=80)

    events = await hear(provider, msgspec.structs.replace(asked, tools=(WEATHER,)))

    calls = calls_of(events)
    assert [msgspec.json.decode(call.arguments) for call in calls] == [
        {"city": "Paris"},
        {"city": "Berlin"},
    ]
    assert len({call.call_id for call in calls}) == 2
    assert finish_of(events).reason is StopReason.TOOL_CALLS


async def test_an_answer_of_a_conversation_continues_it(
    provider: RemoteProvider,
) -> None:
    said = message(Role.ASSISTANT, TextPart(text="I like the color blue."))

    events = await hear(
        provider, ask(user("Which color do you like?"), said, user("Say it again."))
    )

    assert "blue" in text_of(events)


class Slot(msgspec.Struct):
    """What the server does, as far as it is looked at here."""

    is_processing: bool
    n_prompt_tokens: int
    """That it holds: of the prompt, and of what it wrote."""


def slot_of(server: LlamaServer) -> Slot:
    connection = HTTPConnection(urlsplit(server.address).netloc, timeout=LIMIT_S)
    connection.request(
        "GET", "/slots", headers={"Authorization": f"Bearer {server.key}"}
    )
    slots = msgspec.json.decode(connection.getresponse().read(), type=list[Slot])
    connection.close()
    return slots[0]


async def test_leaving_stops_the_model(
    provider: RemoteProvider, server: LlamaServer
) -> None:
    with anyio.fail_after(LIMIT_S):
        async with provider.stream(ask(user(TALE), max_tokens=1800)) as batches:
            async for batch in batches:
                if text_of(list(batch)):
                    break
            was_speaking = await anyio.to_thread.run_sync(slot_of, server)
        slot = was_speaking
        while slot.is_processing:
            await anyio.sleep(0.01)
            slot = await anyio.to_thread.run_sync(slot_of, server)

    assert was_speaking.is_processing
    assert slot.n_prompt_tokens < 500, "it was not stopped, it came to its end"
