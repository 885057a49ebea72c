"""Tina as a program uses her: an adapter alone, and the whole app on a database."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime

import tina
from benchmarks import _streaming_wire as wire
from benchmarks._streaming_clients import Ask, Counts, OnText
from tina.domain.chat import ChatRequest
from tina.domain.events import Finish, TextDelta, UsageUpdate
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import Provider
from tina.networking.http import HttpClient
from tina.networking.retry import RetryPolicy
from tina.networking.traffic import Traffic
from tina.providers.entries import KeyUse, Protocol, ProviderEntry
from tina.providers.making import make_provider as make_remote
from tina.providers.model_cache import ModelCache
from tina.providers.remote import Shared
from tina.storage.secrets import EnvironmentSecretStore, GivenSecretStore
from tina.wiring.system import SystemClock

_KINDS = {
    wire.Protocol.ANTHROPIC: (Protocol.ANTHROPIC, ""),
    wire.Protocol.CHAT: (Protocol.CHAT, "/v1"),
    wire.Protocol.RESPONSES: (Protocol.RESPONSES, "/v1"),
    wire.Protocol.OLLAMA: (Protocol.OLLAMA, ""),
}


def make_http() -> HttpClient:
    return HttpClient(clock=SystemClock(), user_agent="tina")


def make_provider(protocol: wire.Protocol, base_url: str, http: HttpClient) -> Provider:
    """An adapter for a server, with a key, that asks once. `base_url` has no path."""
    spoken, path = _KINDS[protocol]
    clock = SystemClock()
    entry = ProviderEntry(
        protocol=spoken, base_url=f"{base_url}{path}", key=KeyUse.REQUIRED
    )
    shared = Shared(
        secrets=GivenSecretStore(
            "sk-measured", name=protocol.value, others=EnvironmentSecretStore({})
        ),
        clock=clock,
        draw=lambda: 0.5,
        traffic=Traffic(clock),
        models=ModelCache(None, clock=clock, base_urls={}),
        policy=RetryPolicy(attempts=1),
    )
    return make_remote(protocol.value, entry, http=http, shared=shared)


def one_prompt(text: str) -> Message:
    return Message(
        id=MessageId("0" * 32),
        conversation_id=ConversationId("0" * 32),
        parent_id=None,
        role=Role.USER,
        status=MessageStatus.COMPLETE,
        parts=(TextPart(text=text),),
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


@asynccontextmanager
async def open_provider(base_url: str, protocol: wire.Protocol) -> AsyncGenerator[Ask]:
    http = make_http()

    async def ask(prompt: str, on_text: OnText) -> Counts:
        request = ChatRequest(model=wire.MODEL, messages=(one_prompt(prompt),))
        counts: Counts = (None, None)
        is_finished = False
        async with provider.stream(request) as events:
            async for batch in events:
                for event in batch:
                    if isinstance(event, TextDelta):
                        on_text(event.text)
                    elif isinstance(event, UsageUpdate):
                        counts = event.usage.input_tokens, event.usage.output_tokens
                    elif isinstance(event, Finish):
                        is_finished = True
        assert is_finished
        return counts

    provider = make_provider(protocol, base_url, http)
    yield ask
    await http.close()


@asynccontextmanager
async def open_stored(base_url: str, protocol: wire.Protocol) -> AsyncGenerator[Ask]:
    """Everything: prompt and answer durable, and whoever watches sees each delta."""
    http = make_http()
    provider = make_provider(protocol, base_url, http)
    with tempfile.TemporaryDirectory() as home:
        async with tina.open(home, providers={"measured": provider}) as app:

            async def ask(prompt: str, on_text: OnText) -> Counts:
                made = await app.conversations.create("Measured")
                turn = await app.send(made.id, prompt, model=f"measured:{wire.MODEL}")
                async with aclosing(turn.events()) as events:
                    async for event in events:
                        if isinstance(event, TextDelta):
                            on_text(event.text)
                answer = await turn.result()
                assert answer.status is MessageStatus.COMPLETE, answer.failure
                stored = await app.conversations.messages(made.id)
                assert stored[-1].text == answer.text
                usage = answer.usage
                return (usage.input_tokens, usage.output_tokens) if usage else (0, 0)

            yield ask
        await http.close()
