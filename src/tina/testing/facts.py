"""What is known of models, as a test wrote it down."""

from collections.abc import Mapping

from tina.domain.chat import ModelRef, Usage


class FakeModelFacts:
    """Fulfils `ModelFacts`.

    Args:
        windows: `provider:model` → tokens; others are unknown.
        micros_per_token: the price of each token, in or out; None: nobody knows.
        is_loaded: whether prices are at hand before anybody lets them be loaded.
    """

    def __init__(
        self,
        *,
        windows: Mapping[str, int] | None = None,
        micros_per_token: int | None = None,
        is_loaded: bool = True,
    ) -> None:
        self._windows = windows or {}
        self._micros_per_token = micros_per_token
        self._is_loaded = is_loaded

    async def window_tokens(self, model: ModelRef, *, prompt_tokens: int) -> int | None:
        return self._windows.get(str(model))

    async def cost_micros(
        self, model: ModelRef, usage: Usage, *, may_load: bool
    ) -> int | None:
        if self._micros_per_token is None or not (may_load or self._is_loaded):
            return None
        self._is_loaded = True
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        return tokens * self._micros_per_token
