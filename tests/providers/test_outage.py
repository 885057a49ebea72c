"""A server that is down is not made to stay down, and its recovery is soon noticed."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from tests.providers.asking import entry_at, question
from tina.domain.events import TextDelta
from tina.domain.failures import (
    CircuitOpenFailure,
    ConnectionFailure,
    OverloadFailure,
    ProviderFailure,
)
from tina.networking.http import HttpClient
from tina.networking.traffic import Traffic
from tina.providers.exchange import HttpExchange
from tina.providers.model_cache import ModelCache
from tina.providers.openai.chat.dialect import ChatDialect
from tina.providers.remote import RemoteProvider, Shared
from tina.testing.clock import FakeClock
from tina.testing.secrets import FakeSecretStore
from tina.testing.server import (
    Ending,
    Framing,
    PlaybackServer,
    Recording,
    chat_recording,
)

pytestmark = pytest.mark.anyio

NOT_READY = Recording(status=503, framing=Framing.LENGTH)
HANGS_UP = Recording(framing=Framing.RAW, ending=Ending.CLOSE)
ANSWER = chat_recording(["Hello"])
OUTAGES = [
    pytest.param(NOT_READY, OverloadFailure, id="always-503"),
    pytest.param(HANGS_UP, ConnectionFailure, id="hangs-up"),
]


class Outage:
    """A provider whose server is down until `is_over`; time passes only when told."""

    def __init__(self, down: Recording) -> None:
        self.is_over = False
        self.clock = FakeClock()
        self.server = PlaybackServer(lambda _: ANSWER if self.is_over else down)
        self.http = HttpClient(clock=self.clock, user_agent="tina/test")

    @property
    def attempts(self) -> int:
        return len(self.server.requests)

    def open_provider(self) -> None:
        entry = entry_at(self.server.base_url)
        dialect = ChatDialect("acme", entry)
        self._provider = RemoteProvider(
            "acme",
            entry,
            dialect=dialect,
            exchange=HttpExchange(
                "acme", entry, framing=dialect.framing, http=self.http, clock=self.clock
            ),
            shared=Shared(
                secrets=FakeSecretStore(),
                clock=self.clock,
                draw=lambda: 0.5,
                traffic=Traffic(self.clock),
                models=ModelCache(None, clock=self.clock, base_urls={}),
            ),
        )

    async def ask(self, model: str) -> str:
        request = msgspec.structs.replace(question(), model=model)
        said = ""
        async with self._provider.stream(request) as batches:
            async for batch in batches:
                said += "".join(e.text for e in batch if isinstance(e, TextDelta))
        return said

    async def ask_in_vain(self, model: str) -> ProviderFailure:
        with pytest.raises(ProviderFailure) as failed:
            await self.ask(model)
        return failed.value


@asynccontextmanager
async def outage(down: Recording) -> AsyncGenerator[Outage]:
    """Nothing here takes a minute, unless it hangs."""
    one = Outage(down)
    async with one.server:
        one.open_provider()
        try:
            with anyio.fail_after(60):
                yield one
        finally:
            await one.http.close()


@pytest.mark.requirement("networking:outage:bounded")
@pytest.mark.parametrize(("down", "kind"), OUTAGES)
async def test_a_thousand_requests_to_many_models_are_at_most_1135_attempts(
    down: Recording, kind: type[ProviderFailure]
) -> None:
    async with outage(down) as one:
        failures = [await one.ask_in_vain(f"m{number}") for number in range(1_000)]

        assert 1_000 < one.attempts <= 1_135
        assert {type(failure) for failure in failures} == {kind}


@pytest.mark.parametrize(("down", "kind"), OUTAGES)
async def test_a_thousand_requests_to_one_model_are_a_few_probes(
    down: Recording, kind: type[ProviderFailure]
) -> None:
    async with outage(down) as one:
        failures: list[ProviderFailure] = []
        for _ in range(1_000):
            failures.append(await one.ask_in_vain("m"))
            one.clock.advance(1)

        # Five to notice it, and a probe each half minute.
        assert 30 <= one.attempts <= 5 + 1_100 / 30
        assert {type(failure) for failure in failures} == {kind, CircuitOpenFailure}


@pytest.mark.requirement("networking:outage:bounded")
@pytest.mark.parametrize("recovers_after_s", [0, 1, 15, 29, 30, 31, 100])
async def test_a_recovery_is_noticed_within_35_seconds(recovers_after_s: int) -> None:
    async with outage(NOT_READY) as one:
        while not isinstance(await one.ask_in_vain("m"), CircuitOpenFailure):
            pass
        for _ in range(recovers_after_s):
            one.clock.advance(1)
            await one.ask_in_vain("m")
        one.is_over = True

        recovered_at = one.clock.monotonic()
        said = ""
        while not said:
            one.clock.advance(1)
            try:
                said = await one.ask("m")
            except CircuitOpenFailure:
                assert one.clock.monotonic() - recovered_at < 35

        assert said == "Hello"
        assert one.clock.monotonic() - recovered_at <= 35
        assert await one.ask("m") == "Hello"
