"""From `config.toml` and the environment to a request: what leaves, and to whom."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest

from tests.providers.asking import LoopClock, open_http
from tests.providers.test_key_stays_secret import QUESTION, hear
from tina.domain.failures import NoKeyFailure
from tina.domain.tables import Table
from tina.networking.retry import RetryPolicy
from tina.networking.traffic import Traffic
from tina.providers.catalog import build_catalog, shipped_tables
from tina.providers.making import factories
from tina.providers.model_cache import ModelCache
from tina.providers.registry import ProviderRegistry
from tina.providers.remote import OneModel, Shared
from tina.storage.secrets import EnvironmentSecretStore
from tina.testing.server import PlaybackServer, ReceivedRequest, Recording

pytestmark = pytest.mark.anyio

CANARY = "canary-0123456789abcdef"
BROKEN = Recording(
    status=400,
    headers=(("Content-Type", "application/json"),),
    chunks=(b'{"error":{"message":"no"}}',),
)


@asynccontextmanager
async def opened(
    tables: Mapping[str, Table],
    environment: Mapping[str, str],
    of_models: Mapping[str, OneModel] = {},
) -> AsyncGenerator[ProviderRegistry]:
    """As an app puts it together."""
    catalog = build_catalog(shipped_tables(), tables, environment=environment)
    clock = LoopClock()
    shared = Shared(
        secrets=EnvironmentSecretStore(environment, variables=catalog.variables),
        clock=clock,
        draw=lambda: 0.5,
        traffic=Traffic(clock),
        models=ModelCache(None, clock=clock, base_urls=catalog.base_urls),
        policy=RetryPolicy(attempts=1),
        of_models=of_models,
    )
    async with open_http(clock) as http:
        providers = ProviderRegistry(
            factories(catalog.entries, http=http, shared=shared),
            given={},
            offered=catalog.offered,
            lacking=catalog.lacking,
        )
        yield providers
        await providers.close()


async def ask(
    name: str,
    tables: Mapping[str, Table],
    environment: Mapping[str, str],
    of_models: Mapping[str, OneModel] = {},
) -> None:
    async with opened(tables, environment, of_models) as providers:
        with anyio.fail_after(10):
            _, failure = await hear(providers.get(name))
    assert failure is not None


def all_of(request: ReceivedRequest) -> str:
    return json.dumps(dict(request.headers)) + request.path + repr(request.body)


@pytest.mark.parametrize(
    ("protocol", "key_header", "path", "header"),
    [
        ("openai-chat", "authorization", "/v1/chat/completions", f"Bearer {CANARY}"),
        ("openai-responses", "api-key", "/v1/responses", CANARY),
        ("anthropic", "x-api-key", "/v1/v1/messages", CANARY),
        ("ollama", "authorization", "/v1/api/chat", f"Bearer {CANARY}"),
    ],
)
async def test_each_protocol_is_spoken_at_its_path_with_its_key(
    protocol: str, key_header: str, path: str, header: str
) -> None:
    async with PlaybackServer(BROKEN) as server:
        table = {
            "protocol": protocol,
            "base_url": server.base_url,
            "key_env": "MINE",
            "key_header": key_header,
            "headers": {"X-Team": "red"},
        }
        await ask("mine", {"mine": table}, {"MINE": CANARY})

    (request,) = server.requests
    assert request.path == path
    assert request.headers[key_header] == header
    assert request.headers["x-team"] == "red"


@pytest.mark.parametrize(("websocket", "upgrade"), [(True, "websocket"), (False, None)])
async def test_the_way_to_the_server_is_the_entrys_choice(
    *, websocket: bool, upgrade: str | None
) -> None:
    async with PlaybackServer(BROKEN, BROKEN) as server:
        table = {
            "protocol": "openai-responses",
            "base_url": server.base_url,
            "key": "none",
            "websocket": websocket,
        }
        await ask("mine", {"mine": table}, {})

    assert server.requests[0].headers.get("upgrade") == upgrade


@pytest.mark.parametrize(
    ("model", "window_tokens"), [("box:asked", 50_000), ("box:other", 16_384)]
)
async def test_ollama_loads_a_model_with_the_window_that_a_person_gave_it(
    model: str, window_tokens: int
) -> None:
    async with PlaybackServer(BROKEN) as server:
        table = {"protocol": "ollama", "base_url": server.base_url, "key": "none"}
        own = {model: OneModel(context_tokens=50_000), "lab:parrot": OneModel()}
        await ask("box", {"box": table}, {}, own)

    (request,) = server.requests
    assert json.loads(request.body)["options"]["num_ctx"] == window_tokens


async def test_openai_elsewhere_speaks_chat_and_is_asked_without_a_key() -> None:
    async with PlaybackServer(BROKEN) as server:
        await ask("openai", {}, {"OPENAI_BASE_URL": server.base_url})

    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert "authorization" not in request.headers


async def test_the_environments_key_goes_where_the_environment_says() -> None:
    async with PlaybackServer(BROKEN) as server:
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": CANARY}
        await ask("openai", {}, environment)

    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


async def test_a_token_of_anthropic_is_a_bearers() -> None:
    async with PlaybackServer(BROKEN) as server:
        environment = {
            "ANTHROPIC_BASE_URL": server.base_url,
            "ANTHROPIC_AUTH_TOKEN": CANARY,
            "ANTHROPIC_CUSTOM_HEADERS": "X-Gateway: blue",
        }
        await ask("anthropic", {}, environment)

    (request,) = server.requests
    assert request.path == "/v1/messages"  # whether /v1 stood in the address or not
    assert request.headers["authorization"] == f"Bearer {CANARY}"
    assert request.headers["x-gateway"] == "blue"
    assert "x-api-key" not in request.headers


@pytest.mark.requirement("providers:key:bound-to-origin")
@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("llamacpp", "LLAMA_API_KEY"),
        ("vllm", "VLLM_API_KEY"),
        ("lmstudio", "LM_API_TOKEN"),
    ],
)
async def test_a_key_never_leaves_for_another_address(name: str, variable: str) -> None:
    environment = {variable: CANARY, f"{name.upper()}_API_KEY": CANARY}
    async with PlaybackServer(BROKEN) as server:
        await ask(name, {name: {"base_url": server.base_url}}, environment)

    (request,) = server.requests
    assert CANARY not in all_of(request)


async def test_what_wants_a_key_and_finds_none_is_not_asked_at_all() -> None:
    async with PlaybackServer(BROKEN) as server:
        table = {
            "protocol": "openai-chat",
            "base_url": server.base_url,
            "key_env": ["FIRST", "SECOND"],
        }
        async with opened({"mine": table}, {"MINE_API_KEY": CANARY}) as providers:
            with pytest.raises(NoKeyFailure, match="Set FIRST"):
                async with providers.get("mine").stream(QUESTION):
                    pytest.fail("it was asked")

    assert server.requests == []


async def test_a_wrong_address_of_the_environment_is_refused_when_it_is_asked() -> None:
    await ask("openai", {}, {"OPENAI_BASE_URL": "http://plain.example/v1"})
