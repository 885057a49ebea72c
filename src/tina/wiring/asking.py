"""All that asking a model needs, made when it is needed first.

`tina log` asks nobody, and should not pay for those who do.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from tina.assistant import Rules
from tina.domain.chat import ModelRef, Usage
from tina.domain.ports import Clock, Provider, SecretStore
from tina.storage.paths import Paths

if TYPE_CHECKING:
    from tina.wiring.providers import Asked


class Keys(NamedTuple):
    """Keys that were given, instead of those of the environment."""

    store: SecretStore | None = None
    key: str | None = None
    """Of the provider of `model`."""
    model: str | None = None
    """`provider:model`; None is the one that is asked where nobody is named."""


class Asking:
    """Fulfils `Providers` and `ModelFacts`.

    Any of it may find a mistake in the configuration: `InvalidInputFailure`.
    """

    def __init__(self, make: "Callable[[], Asked]") -> None:
        self._make = make
        self._is_made = False

    def get(self, name: str) -> Provider:
        return self._asked.providers.get(name)

    def names(self) -> tuple[str, ...]:
        return self._asked.providers.names()

    async def window_tokens(self, model: ModelRef, *, prompt_tokens: int) -> int | None:
        return await self._asked.facts.window_tokens(model, prompt_tokens=prompt_tokens)

    async def cost_micros(
        self, model: ModelRef, usage: Usage, *, may_load: bool
    ) -> int | None:
        return await self._asked.facts.cost_micros(model, usage, may_load=may_load)

    def rules(self) -> Rules:
        """What a person set for all turns."""
        return self._asked.rules

    async def forget_models(self) -> None:
        """Let the providers be asked for their models again."""
        await self._asked.model_cache.clear()

    async def close(self) -> None:
        if self._is_made:
            await self._asked.close()

    @cached_property
    def _asked(self) -> "Asked":
        made = self._make()
        self._is_made = True
        return made


def asking_later(
    *,
    paths: Paths,
    clock: Clock,
    environment: Mapping[str, str],
    keys: Keys,
    given: Mapping[str, Provider],
) -> Asking:
    """As `make_asked`, but when it is needed."""

    def make() -> "Asked":
        from tina.wiring.providers import make_asked

        return make_asked(
            paths=paths,
            clock=clock,
            environment=environment,
            keys=keys,
            given=given,
        )

    return Asking(make)
