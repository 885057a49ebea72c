"""The dialect put to work: what a server that plays recordings is sent, and says."""

from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from tests.providers.llama_server import WEATHER, shown, user
from tina.domain.chat import ChatOptions, ChatRequest, Effort, StopReason
from tina.domain.events import Finish, StreamEvent, TextDelta
from tina.domain.failures import (
    ContextOverflowFailure,
    InvalidRequestFailure,
    ModelNotFoundFailure,
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
)
from tina.networking.http import HttpClient
from tina.networking.retry import RetryPolicy
from tina.networking.traffic import Traffic
from tina.providers.entries import KeyUse, Protocol, ProviderEntry
from tina.providers.making import make_provider
from tina.providers.model_cache import ModelCache
from tina.providers.remote import Shared
from tina.testing.clock import FakeClock
from tina.testing.secrets import FakeSecretStore
from tina.testing.server import PlaybackServer, Recording

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[2] / "recordings"
NDJSON = (("Content-Type", "application/x-ndjson"),)
JSON = (("Content-Type", "application/json; charset=utf-8"),)
ASKED = ChatRequest(model="m", messages=(user("Hi"),))


def recorded(name: str) -> Recording:
    return Recording(headers=NDJSON, chunks=((RECORDINGS / name).read_bytes(),))


def refusal(status: int, said: str) -> Recording:
    body = msgspec.json.encode({"error": said})
    return Recording(status=status, headers=JSON, chunks=(body,))


class Exchange:
    """A question to a server that plays a script, and what came of it."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.events: list[StreamEvent] = []
        self.failure: ProviderFailure | None = None

    @property
    def text(self) -> str:
        deltas = (event for event in self.events if isinstance(event, TextDelta))
        return "".join(delta.text for delta in deltas if delta.key == "text")


async def ask(*script: Recording, request: ChatRequest = ASKED) -> Exchange:
    exchange = Exchange()
    clock = FakeClock()
    async with PlaybackServer(*script) as server:
        entry = ProviderEntry(
            protocol=Protocol.OLLAMA,
            base_url=server.base_url.removesuffix("/v1"),
            key=KeyUse.NONE,
        )
        shared = Shared(
            secrets=FakeSecretStore(),
            clock=clock,
            draw=lambda: 0.5,
            traffic=Traffic(clock),
            models=ModelCache(None, clock=clock, base_urls={"box": entry.base_url}),
            policy=RetryPolicy(attempts=1),
        )
        http = HttpClient(clock=clock, user_agent="tina/test")
        provider = make_provider("box", entry, http=http, shared=shared)
        try:
            with anyio.fail_after(5):
                async with provider.stream(request) as batches:
                    async for batch in batches:
                        exchange.events += batch
        except ProviderFailure as failure:
            exchange.failure = failure
        await http.close()
        exchange.bodies = [msgspec.json.decode(each.body) for each in server.requests]
        assert {each.path for each in server.requests} == {"/api/chat"}
    return exchange


async def test_a_recorded_stream_is_an_answer() -> None:
    exchange = await ask(recorded("ollama_thinking_stream.ndjson"))

    assert exchange.text == "The sum is 6."
    assert exchange.events[-1] == Finish(StopReason.STOP, raw_reason="stop")


async def test_a_history_with_tools_is_sent() -> None:
    request = msgspec.structs.replace(
        ASKED, messages=(*shown("Rome", "Oslo"), user("Paris?")), tools=(WEATHER,)
    )

    exchange = await ask(recorded("ollama_tools_stream.ndjson"), request=request)

    (body,) = exchange.bodies
    assert [wire["role"] for wire in body["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
    ]
    assert exchange.events[-1] == Finish(StopReason.TOOL_CALLS, raw_reason="stop")


async def test_an_answer_in_one_piece_is_an_answer() -> None:
    whole = (RECORDINGS / "ollama_text_nonstream.json").read_bytes()

    exchange = await ask(Recording(headers=JSON, chunks=(whole,)))

    assert exchange.text == "Grüße."


async def test_a_model_that_cannot_think_is_asked_again_without_it() -> None:
    request = msgspec.structs.replace(ASKED, options=ChatOptions(effort=Effort.HIGH))

    exchange = await ask(
        refusal(400, '"m" does not support thinking'),
        recorded("ollama_text_stream.ndjson"),
        request=request,
    )

    assert [body.get("think") for body in exchange.bodies] == ["high", None]
    assert exchange.text.startswith("Grüße")


REFUSALS = [
    (400, "'m' does not support tools", InvalidRequestFailure),
    (400, "the input length exceeds the context length", ContextOverflowFailure),
    (404, "model 'm' not found", ModelNotFoundFailure),
    (500, "model requires more system memory (9 GiB)", InvalidRequestFailure),
    (503, "server busy, please try again. maximum pending", OverloadFailure),
    (200, "the input length exceeds the context length", ContextOverflowFailure),
]


@pytest.mark.parametrize(("status", "said", "kind"), REFUSALS)
async def test_a_refusal_is_a_failure_with_the_servers_words(
    status: int, said: str, kind: type[ProviderFailure]
) -> None:
    exchange = await ask(refusal(status, said))

    assert exchange.failure is not None
    assert type(exchange.failure) is kind
    assert said in exchange.failure.message
    assert exchange.failure.provider == "box"


async def test_another_kind_of_server_is_recognized() -> None:
    exchange = await ask(Recording(headers=NDJSON, chunks=(b"<html>\n",)))

    assert isinstance(exchange.failure, ProtocolFailure)
