"""Providers from other packages, by the entry point group `tina.providers`.

An entry point names a callable that takes a `PluginContext` and returns a `Provider`:

    [project.entry-points."tina.providers"]
    echo = "tina_echo:make_provider"

Its package is imported when somebody asks for the name, not before: a package that is
broken costs only who asks for it. Names that Tina knows herself are never looked up
here, so no package can take the place of one.

Source: Python Packaging User Guide, "Entry points specification".
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from tina.domain.failures import ModelUnavailableFailure
from tina.domain.ports import Clock, Provider, SecretStore
from tina.providers.plugin_guard import GuardedProvider

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from tina.networking.http import HttpClient

GROUP = "tina.providers"

_METHODS = ("stream", "models", "available_tools", "count_tokens", "check", "close")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginContext:
    """What a provider of another package gets; nothing of it is its own to close."""

    name: str
    """Before the colon of `provider:model`."""
    http: "HttpClient"
    """With Tina's deadlines, limits and rules for origins."""
    secrets: SecretStore = field(repr=False)
    """`find(name)` reads `NAME_API_KEY`."""
    clock: Clock
    options: Mapping[str, object] = field(repr=False)
    """`[providers.NAME.options]` of the user's configuration."""


@dataclass(frozen=True, slots=True)
class _Found:
    package: str
    entry_point: "EntryPoint"


class Plugins:
    """What the installed packages offer. The parts of the context stay the caller's."""

    def __init__(
        self,
        *,
        http: "HttpClient",
        secrets: SecretStore,
        clock: Clock,
        options: Mapping[str, Mapping[str, object]],
    ) -> None:
        self._http = http
        self._secrets = secrets
        self._clock = clock
        self._options = options
        self._found: Mapping[str, tuple[_Found, ...]] | None = None

    def names(self) -> frozenset[str]:
        """The names that packages offer; none of them is imported."""
        return frozenset(self._offers())

    def make(self, name: str) -> Provider | None:
        """The provider of that name; None if no package offers it.

        Raises:
            ModelUnavailableFailure: a package offers it and cannot make it, or two
                packages do; it names them.
        """
        offers = self._offers().get(name, ())
        if len(offers) > 1:
            packages = " and ".join(offer.package for offer in offers)
            raise ModelUnavailableFailure(
                f"The packages {packages} both offer the provider {name!r}. "
                "Uninstall one of them."
            )
        return self._make(name, offers[0]) if offers else None

    def _make(self, name: str, offer: _Found) -> Provider:
        context = PluginContext(
            name=name,
            http=self._http,
            secrets=self._secrets,
            clock=self._clock,
            options=self._options.get(name, {}),
        )
        try:
            made = offer.entry_point.load()(context)
        # Somebody else's code may raise anything, also what would end the program.
        except BaseException as error:
            _logger.warning(
                "broken_plugin", extra={"package": offer.package}, exc_info=True
            )
            raise ModelUnavailableFailure(
                f"The package {offer.package} offers the provider {name!r}, but could "
                f"not make it ({type(error).__name__}). Update or uninstall it."
            ) from error
        if not all(callable(getattr(made, method, None)) for method in _METHODS):
            raise ModelUnavailableFailure(
                f"What the package {offer.package} offers as {name!r} is no provider. "
                "Update or uninstall it."
            )
        return GuardedProvider(name, offer.package, cast(Provider, made))

    def _offers(self) -> Mapping[str, tuple[_Found, ...]]:
        if self._found is None:
            self._found = _find_offers()
        return self._found


def _find_offers() -> Mapping[str, tuple[_Found, ...]]:
    # Imported here: only who asks for a name that Tina does not know pays for it.
    from importlib.metadata import distributions

    offers: dict[str, tuple[_Found, ...]] = {}
    seen: set[str] = set()
    for distribution in distributions():
        package, points = _read(distribution)
        if package in seen:  # hidden by one that comes earlier on the path
            continue
        seen.add(package)
        for point in points:
            name = point.name.strip().lower()
            offers[name] = (*offers.get(name, ()), _Found(package, point))
    return offers


def _read(distribution: "Distribution") -> "tuple[str, tuple[EntryPoint, ...]]":
    """Its name and what it offers; one whose metadata is damaged offers nothing."""
    try:
        package = distribution.name
        points = distribution.entry_points.select(group=GROUP)
        return package, tuple(points)
    # Other people's files: what is wrong with one concerns only its own package.
    except Exception:
        _logger.debug("damaged_metadata", exc_info=True)
        return "", ()
