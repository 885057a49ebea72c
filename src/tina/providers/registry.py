"""The providers there are, by name; each is made when it is first asked for."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from tina.domain.failures import ModelNotFoundFailure, ModelUnavailableFailure
from tina.domain.ports import Provider
from tina.domain.tables import nearest
from tina.providers.plugins import Plugins


class ProviderRegistry:
    """Fulfils `Providers`. It closes what it made, not what it was given.

    Args:
        factories: name → how to make it.
        given: name → one that somebody else owns; goes before a factory.
        offered: names to list; the others are there for who asks by name.
        lacking: name → what is missing before it can be asked.
        plugins: asked for names that stand in none of these.
    """

    def __init__(
        self,
        factories: Mapping[str, Callable[[], Provider]],
        *,
        given: Mapping[str, Provider],
        offered: frozenset[str],
        lacking: Mapping[str, str] | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self._factories = factories
        self._given = given
        self._offered = offered
        self._lacking = lacking or {}
        self._plugins = plugins
        self._made: dict[str, Provider] = {}

    def get(self, name: str) -> Provider:
        if name in self._given:
            return self._given[name]
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def names(self) -> tuple[str, ...]:
        """The providers worth listing: what was given, and what is set up here."""
        names = self._offered | self._given.keys() | self._plugin_names()
        return tuple(sorted(names))

    async def close(self) -> None:
        """Close what was made, each of it, also if one of them fails at that."""
        async with AsyncExitStack() as stack:
            while self._made:
                _, provider = self._made.popitem()
                stack.push_async_callback(provider.close)

    def _make(self, name: str) -> Provider:
        if name in self._lacking:
            raise ModelUnavailableFailure(self._lacking[name])
        factory = self._factories.get(name)
        if factory is not None:
            return factory()
        made = None if self._plugins is None else self._plugins.make(name)
        if made is None:
            raise self._unknown(name)
        return made

    def _plugin_names(self) -> frozenset[str]:
        if self._plugins is None:
            return frozenset()
        return self._plugins.names() - self._factories.keys() - self._lacking.keys()

    def _unknown(self, name: str) -> ModelNotFoundFailure:
        known = self._factories.keys() | self._given.keys() | self._plugin_names()
        meant = nearest(name, known)
        if meant is not None:
            advice = f"Did you mean {meant}:model?"
        else:
            advice = f"Write provider:model with one of: {', '.join(sorted(known))}."
        return ModelNotFoundFailure(f"There is no provider {name!r}. {advice}")
