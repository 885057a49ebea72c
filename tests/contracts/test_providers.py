"""One suite for the provider of a script, of a server, and of this machine."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.lowlevel
import pytest

from tests.contracts.speaking import broken, recording
from tina.domain.chat import ChatOptions, ChatRequest, ModelInfo
from tina.domain.events import (
    BlockEnd,
    BlockStart,
    Finish,
    KeepAlive,
    Start,
    StreamEvent,
    TextDelta,
)
from tina.domain.failures import ProviderFailure, ServerFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import Provider
from tina.networking.http import HttpClient
from tina.networking.retry import RetryPolicy
from tina.networking.traffic import Traffic
from tina.providers.entries import KeyUse, Protocol, ProviderEntry
from tina.providers.local.provider import LocalProvider
from tina.providers.making import make_provider
from tina.providers.model_cache import ModelCache
from tina.providers.remote import RemoteProvider, Shared
from tina.testing.provider import ScriptedProvider
from tina.testing.secrets import FakeSecretStore
from tina.testing.server import PlaybackServer, Recording, chat_recording
from tina.wiring.system import SystemClock

pytestmark = pytest.mark.anyio

LIMIT_S = 120
"""Generous: the machine may be busy, and one of them is a real model."""
TOKENS = [f"{number} " for number in range(50)]


class Subject(NamedTuple):
    provider: Provider
    model: str


def question(model: str, *, max_tokens: int = 24) -> ChatRequest:
    prompt = Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=Role.USER,
        status=MessageStatus.COMPLETE,
        parts=(TextPart(text="Tell me of a fox and a crow."),),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    options = ChatOptions(temperature=0.0, max_tokens=max_tokens)
    return ChatRequest(model=model, messages=(prompt,), options=options)


async def breathe(_: int) -> None:
    """The client reads between two chunks, so that they do not arrive together."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


@pytest.fixture(scope="module")
async def local() -> AsyncGenerator[LocalProvider]:
    """With the weights in memory, and its thread running."""
    provider = make_local()
    await hear(Subject(provider, "smollm2"), max_tokens=1)
    yield provider
    await provider.close()


def make_local() -> LocalProvider:
    return LocalProvider(models=Path("nowhere"), clock=SystemClock())


@pytest.fixture
async def http() -> AsyncGenerator[HttpClient]:
    client = HttpClient(clock=SystemClock(), user_agent="tina/test")
    yield client
    await client.close()


def make_remote(
    protocol: Protocol, http: HttpClient, server: PlaybackServer
) -> RemoteProvider:
    entry = ProviderEntry(
        protocol=protocol, base_url=server.base_url, key=KeyUse.OPTIONAL
    )
    clock = SystemClock()
    shared = Shared(
        secrets=FakeSecretStore(),
        clock=clock,
        draw=lambda: 0.5,
        traffic=Traffic(clock),
        models=ModelCache(None, clock=clock, base_urls={}),
        policy=RetryPolicy(attempts=1),
    )
    return make_provider(protocol, entry, http=http, shared=shared)


@pytest.fixture(params=["scripted", "local", *Protocol])
async def subject(
    request: pytest.FixtureRequest, local: LocalProvider, http: HttpClient
) -> AsyncGenerator[Subject]:
    with anyio.fail_after(LIMIT_S):
        if request.param == "scripted":
            yield Subject(ScriptedProvider(*TOKENS), "smollm2")
        elif request.param == "local":
            yield Subject(local, "smollm2")
        else:
            spoken = recording(request.param, TOKENS, pause=breathe)
            async with PlaybackServer(spoken) as server:
                yield Subject(make_remote(request.param, http, server), "smollm2")


@pytest.fixture(params=["scripted", *Protocol])
async def failing(
    request: pytest.FixtureRequest, http: HttpClient
) -> AsyncGenerator[Subject]:
    """They say something and then fail."""
    with anyio.fail_after(LIMIT_S):
        if request.param == "scripted":
            script = ("Hel", "lo", ServerFailure("Provider down."))
            yield Subject(ScriptedProvider(*script), "any")
        else:
            async with PlaybackServer(broken(request.param, ["Hel", "lo"])) as server:
                yield Subject(make_remote(request.param, http, server), "any")


async def hear(subject: Subject, *, max_tokens: int = 24) -> list[StreamEvent]:
    events: list[StreamEvent] = []
    asked = question(subject.model, max_tokens=max_tokens)
    async with subject.provider.stream(asked) as batches:
        async for batch in batches:
            events += batch
    return [event for event in events if not isinstance(event, KeepAlive)]


def check_blocks(events: list[StreamEvent]) -> None:
    """Each block begins before its text, ends after it, and ends once."""
    open_keys: set[str] = set()
    for event in events:
        match event:
            case BlockStart(key=key):
                assert key not in open_keys
                open_keys.add(key)
            case TextDelta(key=key, text=text):
                assert key in open_keys
                assert text
            case BlockEnd(key=key):
                open_keys.remove(key)
            case _:
                pass
    assert open_keys == set()


async def test_an_answer_goes_from_its_start_to_its_one_finish(
    subject: Subject,
) -> None:
    events = await hear(subject)

    starts = [at for at, event in enumerate(events) if isinstance(event, Start)]
    ends = [at for at, event in enumerate(events) if isinstance(event, Finish)]
    assert starts == [0]
    assert ends == [len(events) - 1]
    assert any(isinstance(event, TextDelta) for event in events)
    check_blocks(events)


async def test_the_same_question_may_be_asked_again(subject: Subject) -> None:
    assert len(await hear(subject)) >= 4
    assert isinstance((await hear(subject))[-1], Finish)


async def test_leaving_in_the_middle_ends_the_stream_and_frees_the_provider(
    subject: Subject,
) -> None:
    async with subject.provider.stream(question("smollm2", max_tokens=400)) as batches:
        await anext(batches)

    with pytest.raises(StopAsyncIteration):
        await anext(batches)
    assert isinstance((await hear(subject))[-1], Finish)


async def test_leaving_before_anything_was_read_is_harmless(subject: Subject) -> None:
    async with subject.provider.stream(question("smollm2", max_tokens=400)):
        pass

    assert isinstance((await hear(subject))[-1], Finish)


async def test_cancelling_is_safe(subject: Subject) -> None:
    has_begun = anyio.Event()

    async def listen() -> None:
        asked = question("smollm2", max_tokens=400)
        async with subject.provider.stream(asked) as batches:
            async for _ in batches:
                has_begun.set()
                await anyio.sleep_forever()
        pytest.fail("it went on after it was cancelled")

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await has_begun.wait()
        group.cancel_scope.cancel()

    assert isinstance((await hear(subject))[-1], Finish)


async def test_after_a_failure_nothing_follows(failing: Subject) -> None:
    events: list[StreamEvent] = []

    async def listen() -> None:
        async with failing.provider.stream(question("any")) as batches:
            try:
                async for batch in batches:
                    events.extend(batch)
            finally:
                with pytest.raises(StopAsyncIteration):
                    await anext(batches)

    with pytest.raises(ProviderFailure, match="Provider down"):
        await listen()
    said = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(said) == "Hello"
    assert not any(isinstance(event, Finish) for event in events)
    assert isinstance(events[-1], BlockEnd)
    assert events[-1].is_incomplete
    check_blocks(events)


async def test_a_failure_comes_again_for_who_asks_again(failing: Subject) -> None:
    for _ in range(2):
        with pytest.raises(ProviderFailure, match="Provider down"):
            await hear(failing)


MODELS = b'{"data":[{"id":"gpt-9"},{"id":"gpt-8"}]}'


async def test_models_are_told_as_the_providers_own(
    local: LocalProvider, http: HttpClient
) -> None:
    headers = (("Content-Type", "application/json"),)
    async with PlaybackServer(Recording(headers=headers, chunks=(MODELS,))) as server:
        providers: dict[str, Provider] = {
            "scripted": ScriptedProvider(),
            Protocol.CHAT: make_remote(Protocol.CHAT, http, server),
            "local": local,
        }
        with anyio.fail_after(LIMIT_S):
            told = {name: await one.models() for name, one in providers.items()}

    for name, models in told.items():
        assert models
        assert all(type(model) is ModelInfo for model in models)
        assert {model.provider for model in models} == {name}


async def test_closing_twice_is_safe(http: HttpClient) -> None:
    async with PlaybackServer(chat_recording(["Hi"])) as server:
        remote = make_remote(Protocol.CHAT, http, server)
        providers = [ScriptedProvider(), remote, make_local()]
        with anyio.fail_after(LIMIT_S):
            for provider in providers:
                await provider.close()
                await provider.close()

            # What another has lent to it is not its to close.
            assert isinstance((await hear(Subject(providers[1], "any")))[-1], Finish)
