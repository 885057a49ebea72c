"""What models cost and how large their windows are, by the list of `genai-prices`.

The list comes with the package and nothing is looked up over the network: Tina keeps
a snapshot of her own, which the package's updater does not touch. Loading it takes a
sixth of a second of CPU, so it is loaded by the first question, in the thread that
asks; threads may ask at once.

Source: https://github.com/pydantic/genai-prices (MIT).
"""

import threading
from collections.abc import Mapping
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import TYPE_CHECKING

from tina.domain.chat import ModelRef, Usage
from tina.domain.failures import RefusedOriginFailure
from tina.domain.money import MICROS_PER_DOLLAR
from tina.domain.ports import Clock
from tina.networking.origin import check_url, is_loopback

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider

LOCAL = "local"
MAX_NAME_CHARS = 256
"""A model's name is matched with regular expressions; longer ones have no price."""

# Names that the list gives to the providers of `catalog.toml`.
_LISTED = {
    "anthropic": "anthropic",
    "azure": "azure",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "together": "together",
    "xai": "x-ai",
    "zai": "zai",
}
# Through the server on this machine, Ollama also asks models in the cloud.
_ELSEWHERE = ("-cloud", ":cloud")


class Prices:
    """Answers from the bundled list; None is: nobody here knows.

    Args:
        base_urls: of the providers, by name. What a server on this machine answers
            costs nothing, unless it goes by the name of a vendor.
        clock: prices change with the day, and some with the hour.
    """

    def __init__(self, base_urls: Mapping[str, str], *, clock: Clock) -> None:
        self._base_urls = base_urls
        self._clock = clock
        self._loading = threading.Lock()

    @property
    def is_loaded(self) -> bool:
        """Whether the list is at hand."""
        return "_loaded" in self.__dict__

    def cost_micros(
        self, model: ModelRef, usage: Usage, *, at: datetime | None = None
    ) -> int | None:
        """What an answer costs, in millionths of a US dollar.

        Args:
            usage: without counts of input and output there is no price.
            at: when it was asked; now, if it is not said.
        """
        if model.provider == LOCAL:
            return 0
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        listed = self._find(model)
        if listed is None:
            return 0 if self._is_here(model) else None
        provider, info = listed
        from genai_prices.types import Usage as Counts

        priced = info.calc_price(
            Counts(**_counts(usage)),
            provider,
            genai_request_timestamp=at or self._clock.now(),
        )
        return _micros(priced.total_price)

    def window_tokens(self, model: ModelRef) -> int | None:
        """How many tokens its window holds."""
        listed = self._find(model)
        return None if listed is None else listed[1].context_window

    def _find(self, model: ModelRef) -> "tuple[Provider, ModelInfo] | None":
        # Gemini's own list gives its models this prefix.
        name = model.model.removeprefix("models/")
        if len(name) > MAX_NAME_CHARS:
            return None
        listed = _LISTED.get(model.provider)
        url = None if listed else self._base_urls.get(model.provider)
        if listed is None and url is None:
            return None
        try:
            return self._snapshot.find_provider_model(name, None, listed, url)
        except LookupError:
            return None

    def _is_here(self, model: ModelRef) -> bool:
        if model.model.endswith(_ELSEWHERE):
            return False
        try:
            url = self._base_urls.get(model.provider, "")
            return is_loopback(check_url(url, allow_http=True).host)
        except RefusedOriginFailure:
            return False

    @property
    def _snapshot(self) -> "DataSnapshot":
        with self._loading:
            return self._loaded

    @cached_property
    def _loaded(self) -> "DataSnapshot":
        from genai_prices.data import providers
        from genai_prices.data_snapshot import DataSnapshot

        return DataSnapshot(providers=providers, from_auto_update=False)


def _counts(usage: Usage) -> dict[str, int]:
    """The list counts as Tina does: what was cached is a part of the input.

    Parts that are larger than the whole are a provider's mistake, and are cut.
    """
    whole = usage.input_tokens or 0
    cached = min(usage.cached_tokens or 0, whole)
    return {
        "input_tokens": whole,
        "output_tokens": usage.output_tokens or 0,
        "cache_read_tokens": cached,
        "cache_write_tokens": min(usage.cache_write_tokens or 0, whole - cached),
    }


def _micros(dollars: Decimal) -> int:
    micros = dollars * MICROS_PER_DOLLAR
    return int(micros.to_integral_value(ROUND_HALF_EVEN))
