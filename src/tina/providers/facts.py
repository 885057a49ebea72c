"""What is known of models without asking them: from people, providers, a price list.

The price list takes a sixth of a second to load. So it is loaded for a price, which is
wanted when an answer is there, or for the window of a model nobody else knows, and then
only if the prompt is so large that it matters.
"""

from collections.abc import Mapping
from contextlib import suppress

import anyio
import anyio.to_thread

from tina.domain.chat import ModelInfo, ModelRef, Usage
from tina.domain.failures import Failure
from tina.domain.ports import Providers
from tina.providers.model_cache import ModelCache
from tina.providers.prices import Prices

LOCAL = "local"
SURELY_FITS_TOKENS = 8_000
"""Every model of a vendor in the price list takes a prompt of this size."""
SURELY_NEAR_TOKENS = 500
"""So does every model that somebody runs at home."""
LISTING_LIMIT_S = 3.0
"""The answer waits for it, and does without it."""


class KnownFacts:
    """Fulfils `ModelFacts`.

    Args:
        windows: `provider:model` → tokens, as a person configured it.
        cache: what the providers said when they were asked for their models.
        providers: those of this machine are asked: that costs nothing.
        on_this_machine: their names.
    """

    def __init__(
        self,
        *,
        windows: Mapping[str, int],
        cache: ModelCache,
        prices: Prices,
        providers: Providers,
        on_this_machine: frozenset[str] = frozenset(),
    ) -> None:
        self._windows = windows
        self._cache = cache
        self._prices = prices
        self._providers = providers
        self._near = on_this_machine | {LOCAL}

    async def window_tokens(self, model: ModelRef, *, prompt_tokens: int) -> int | None:
        configured = self._windows.get(str(model))
        if configured is not None:
            return configured
        known = await self._cache.find(model.provider, model.model)
        if known is not None and known.context_tokens is not None:
            return known.context_tokens
        if model.provider in self._near and prompt_tokens > SURELY_NEAR_TOKENS:
            return await self._listed_window(model)
        if prompt_tokens <= SURELY_FITS_TOKENS:
            return None
        return await anyio.to_thread.run_sync(
            self._prices.window_tokens, model, abandon_on_cancel=True
        )

    async def cost_micros(
        self, model: ModelRef, usage: Usage, *, may_load: bool
    ) -> int | None:
        if model.provider == LOCAL:
            return 0
        if not (may_load or self._prices.is_loaded):
            return None
        return await anyio.to_thread.run_sync(
            self._prices.cost_micros, model, usage, abandon_on_cancel=True
        )

    async def _listed_window(self, model: ModelRef) -> int | None:
        models: tuple[ModelInfo, ...] = ()
        with suppress(Failure), anyio.move_on_after(LISTING_LIMIT_S):
            models = await self._providers.get(model.provider).models()
        windows = {each.model: each.context_tokens for each in models}
        return windows.get(model.model)
