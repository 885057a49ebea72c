"""The providers there are, by name; each is made when it is first asked for."""

from collections.abc import Callable, Mapping

from tina.domain.failures import ModelNotFoundFailure
from tina.domain.ports import Provider


class ProviderRegistry:
    """Fulfils `Providers`. It closes what it made, not what it was given.

    Args:
        factories: name → how to make it.
        given: name → one that somebody else owns; goes before a factory.
        offered: names to list; the others are there for who asks by name.
    """

    def __init__(
        self,
        factories: Mapping[str, Callable[[], Provider]],
        *,
        given: Mapping[str, Provider],
        offered: frozenset[str],
    ) -> None:
        self._factories = factories
        self._given = given
        self._offered = offered
        self._made: dict[str, Provider] = {}

    def get(self, name: str) -> Provider:
        if name in self._given:
            return self._given[name]
        if name not in self._made:
            self._made[name] = self._factory(name)()
        return self._made[name]

    def names(self) -> tuple[str, ...]:
        """The providers worth listing: what was given, and what is set up here."""
        return tuple(sorted(self._offered | self._given.keys()))

    async def close(self) -> None:
        while self._made:
            _, provider = self._made.popitem()
            await provider.close()

    def _factory(self, name: str) -> Callable[[], Provider]:
        try:
            return self._factories[name]
        except KeyError:
            known = ", ".join(sorted(self._factories.keys() | self._given.keys()))
            raise ModelNotFoundFailure(
                f"There is no provider {name!r}. Write provider:model with one of: "
                f"{known}."
            ) from None
