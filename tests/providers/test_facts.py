"""What is known of models: who is asked for it, in which order, and when."""

import anyio
import pytest

from tina.domain.chat import ModelInfo, Usage, parse_model_ref
from tina.domain.failures import ModelNotFoundFailure
from tina.providers.facts import SURELY_FITS_TOKENS, KnownFacts
from tina.providers.model_cache import ModelCache
from tina.providers.prices import Prices
from tina.testing.clock import FakeClock
from tina.testing.provider import FakeProviders, ScriptedProvider

pytestmark = pytest.mark.anyio

URLS = {"openai": "https://api.openai.com/v1", "here": "http://127.0.0.1:1/v1"}
USAGE = Usage(input_tokens=1_000, output_tokens=0)


class Local(ScriptedProvider):
    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(provider="local", model="small", context_tokens=2_048),)


class Here(ScriptedProvider):
    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(provider="here", model="small", context_tokens=1_024),)


class Failing(ScriptedProvider):
    async def models(self) -> tuple[ModelInfo, ...]:
        raise ModelNotFoundFailure("Nothing here.")


async def facts(
    *, windows: dict[str, int] | None = None, local: ScriptedProvider | None = None
) -> KnownFacts:
    clock = FakeClock()
    cache = ModelCache(None, clock=clock, base_urls=URLS)
    said = ModelInfo(provider="openai", model="told", context_tokens=5_000)
    silent = ModelInfo(provider="openai", model="gpt-4o")
    await cache.put("openai", (said, silent))
    return KnownFacts(
        windows=windows or {},
        cache=cache,
        prices=Prices(URLS, clock=clock),
        providers=FakeProviders({"local": local or Local(), "here": Here()}),
        on_this_machine=frozenset({"here"}),
    )


@pytest.mark.parametrize(
    ("model", "prompt_tokens", "window"),
    [
        pytest.param("openai:set", 1, 7_000, id="a-person"),
        pytest.param("openai:told", 1, 5_000, id="its-provider"),
        pytest.param("openai:gpt-4o", SURELY_FITS_TOKENS, None, id="need-not-know"),
        pytest.param("openai:gpt-4o", SURELY_FITS_TOKENS + 1, 128_000, id="price-list"),
        pytest.param("openai:nobody-knows", 1_000_000, None, id="nobody"),
        pytest.param("local:small", 501, 2_048, id="local"),
        pytest.param("local:small", 500, None, id="local-small-prompt"),
        pytest.param("local:other", 501, None, id="local-unknown"),
        pytest.param("here:small", 501, 1_024, id="on-this-machine"),
    ],
)
async def test_the_nearest_word_on_a_window_counts(
    model: str, prompt_tokens: int, window: int | None
) -> None:
    known = await facts(windows={"openai:set": 7_000})

    found = await known.window_tokens(
        parse_model_ref(model), prompt_tokens=prompt_tokens
    )

    assert found == window


async def test_a_local_provider_that_fails_says_nothing() -> None:
    known = await facts(local=Failing())

    window = await known.window_tokens(
        parse_model_ref("local:small"), prompt_tokens=9_000
    )

    assert window is None


async def test_a_local_provider_that_is_silent_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Silent(ScriptedProvider):
        async def models(self) -> tuple[ModelInfo, ...]:
            await anyio.sleep_forever()
            return ()

    monkeypatch.setattr("tina.providers.facts.LISTING_LIMIT_S", 0.01)
    known = await facts(local=Silent())

    with anyio.fail_after(5):
        window = await known.window_tokens(
            parse_model_ref("local:small"), prompt_tokens=9_000
        )

    assert window is None


async def test_prices_are_loaded_only_by_who_may() -> None:
    known = await facts()
    model = parse_model_ref("openai:gpt-4o")

    early = await known.cost_micros(model, USAGE, may_load=False)
    loaded = await known.cost_micros(model, USAGE, may_load=True)
    late = await known.cost_micros(model, USAGE, may_load=False)

    assert (early, loaded, late) == (None, 2_500, 2_500)
    free = parse_model_ref("local:small")
    assert await known.cost_micros(free, USAGE, may_load=False) == 0
