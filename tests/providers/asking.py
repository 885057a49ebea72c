"""A real provider before a server on loopback, and what is heard of it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import msgspec

from tests.providers.reading import joined
from tina.domain.chat import ChatRequest, Deadlines
from tina.domain.events import StreamEvent, TextDelta, Waiting
from tina.domain.failures import ProviderFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import Provider
from tina.networking.http import HttpClient
from tina.networking.retry import RetryPolicy
from tina.networking.traffic import Traffic
from tina.providers.dialect import Dialect
from tina.providers.entries import KeyUse, Protocol, ProviderEntry
from tina.providers.exchange import HttpExchange
from tina.providers.model_cache import ModelCache
from tina.providers.openai.chat.dialect import ChatDialect
from tina.providers.remote import RemoteProvider, Shared
from tina.testing.secrets import FakeSecretStore
from tina.testing.server import Answer, PlaybackServer

KEY = "sk-very-secret"
ONCE = RetryPolicy(attempts=1)


class LoopClock:
    """Real time, since these tests wait for real sockets; but sleeps are only noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 20, 0, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


ENTRY = ProviderEntry(protocol=Protocol.CHAT, base_url="", key=KeyUse.OPTIONAL)


def entry_at(base_url: str, entry: ProviderEntry = ENTRY) -> ProviderEntry:
    return msgspec.structs.replace(entry, base_url=base_url)


def make_provider(  # one argument for each part that a test exchanges
    entry: ProviderEntry,
    *,
    http: HttpClient,
    keys: FakeSecretStore | None = None,
    clock: LoopClock | None = None,
    policy: RetryPolicy = ONCE,
    dialect: Dialect | None = None,
    folder: Path | None = None,
) -> RemoteProvider:
    """The provider `openai`, as an app puts it together."""
    clock = clock or LoopClock()
    dialect = dialect or ChatDialect("openai", entry)
    exchange = HttpExchange(
        "openai", entry, framing=dialect.framing, http=http, clock=clock
    )
    shared = Shared(
        secrets=keys or FakeSecretStore(),
        clock=clock,
        draw=lambda: 0.5,
        traffic=Traffic(clock),
        models=ModelCache(folder, clock=clock, base_urls={"openai": entry.base_url}),
        policy=policy,
    )
    return RemoteProvider(
        "openai", entry, dialect=dialect, exchange=exchange, shared=shared
    )


@asynccontextmanager
async def open_http(clock: LoopClock | None = None) -> AsyncGenerator[HttpClient]:
    http = HttpClient(clock=clock or LoopClock(), user_agent="tina/test")
    try:
        with anyio.fail_after(60):
            yield http
    finally:
        await http.close()


@asynccontextmanager
async def open_provider(
    entry: ProviderEntry,
    keys: FakeSecretStore | None = None,
    *,
    clock: LoopClock | None = None,
    policy: RetryPolicy = ONCE,
) -> AsyncGenerator[Provider]:
    clock = clock or LoopClock()
    async with open_http(clock) as http:
        with TemporaryDirectory() as folder:
            yield make_provider(
                entry,
                folder=Path(folder),
                http=http,
                keys=keys,
                clock=clock,
                policy=policy,
            )


@asynccontextmanager
async def serving(
    *script: Answer,
    keys: FakeSecretStore | None = None,
    clock: LoopClock | None = None,
    policy: RetryPolicy = ONCE,
    entry: ProviderEntry = ENTRY,
) -> AsyncGenerator[tuple[PlaybackServer, Provider]]:
    """A server that plays the script, and the provider that asks it."""
    async with PlaybackServer(*script) as server:
        there = entry_at(server.base_url, entry)
        async with open_provider(there, keys, clock=clock, policy=policy) as provider:
            yield server, provider


def question(deadlines: Deadlines | None = None) -> ChatRequest:
    message = Message(
        id=MessageId("1"),
        conversation_id=ConversationId("2"),
        parent_id=None,
        role=Role.USER,
        status=MessageStatus.COMPLETE,
        parts=(TextPart(text="private words"),),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return ChatRequest(
        model="asked", messages=(message,), deadlines=deadlines or Deadlines()
    )


class Heard:
    """What a caller got: the events, and the failure that ended them, if any."""

    def __init__(self) -> None:
        self.batches: list[list[StreamEvent]] = []
        self.failure: ProviderFailure | None = None

    @property
    def events(self) -> list[StreamEvent]:
        return [event for batch in self.batches for event in batch]

    @property
    def text(self) -> str:
        return "".join(
            event.text
            for event in self.events
            if isinstance(event, TextDelta) and event.key == "text"
        )

    @property
    def joined(self) -> list[StreamEvent]:
        return joined(self.events)

    @property
    def waits(self) -> list[Waiting]:
        return [event for event in self.events if isinstance(event, Waiting)]


def check_failure(raised: ProviderFailure | None) -> None:
    """Whatever it is: it says who failed, and shows neither key nor conversation."""
    if raised is not None:
        text = f"{raised!r} {raised.__cause__!r} {raised.__context__!r} {raised.code}"
        assert KEY not in text
        assert "private words" not in text
        assert raised.provider == "openai"


async def hear(provider: Provider, request: ChatRequest | None = None) -> Heard:
    heard = Heard()
    try:
        async with provider.stream(request or question()) as batches:
            async for batch in batches:
                heard.batches.append(list(batch))
    except ProviderFailure as failure:
        heard.failure = failure
    check_failure(heard.failure)
    return heard


async def hear_from(*script: Answer, request: ChatRequest | None = None) -> Heard:
    """Ask a server that plays the script, with a key."""
    async with serving(*script, keys=FakeSecretStore(openai=KEY)) as (_, provider):
        return await hear(provider, request)
