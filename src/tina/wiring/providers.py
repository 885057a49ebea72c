"""Who can be asked here: the table that Tina ships, the environment, `config.toml`.

Imported when somebody asks (`tina.wiring.asking`): it knows every room of providers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import random

from tina import __version__
from tina.assistant import Rules
from tina.domain.chat import parse_model_ref
from tina.domain.ports import Clock, ModelFacts, Provider, SecretStore
from tina.networking.http import HttpClient
from tina.networking.traffic import Traffic
from tina.providers.catalog import Catalog, build_catalog, shipped_tables
from tina.providers.facts import KnownFacts
from tina.providers.making import factories
from tina.providers.model_cache import ModelCache
from tina.providers.plugins import Plugins
from tina.providers.prices import Prices
from tina.providers.registry import ProviderRegistry
from tina.providers.remote import OneModel, Shared
from tina.storage.configuration import Configuration, read_configuration
from tina.storage.paths import Paths
from tina.storage.secrets import EnvironmentSecretStore, GivenSecretStore
from tina.wiring.asking import Keys

DEFAULT_MODEL = "local:smollm2"
LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is needed to ask a model; closed by who made it."""

    http: HttpClient
    providers: ProviderRegistry
    facts: ModelFacts
    rules: Rules
    model_cache: ModelCache

    async def close(self) -> None:
        await self.providers.close()
        await self.http.close()


def make_asked(
    *,
    paths: Paths,
    clock: Clock,
    environment: Mapping[str, str],
    keys: Keys,
    given: Mapping[str, Provider],
) -> Asked:
    """Build it.

    Args:
        keys: to use instead of the environment's.
        given: providers that somebody else owns, by name.

    Raises:
        InvalidInputFailure: there is a mistake in `config.toml`; the text names it.
    """
    configuration, where = read_configuration(paths.config_file)
    catalog = build_catalog(
        shipped_tables(), configuration.providers, environment=environment, where=where
    )
    rules = _rules(configuration, environment)
    http = HttpClient(
        clock=clock, user_agent=f"tina/{__version__}", environment=environment
    )
    shared = Shared(
        secrets=_secrets(keys, catalog, environment, rules),
        clock=clock,
        draw=random,
        traffic=Traffic(clock),
        models=ModelCache(paths.model_lists, clock=clock, base_urls=catalog.base_urls),
        of_models=_settings(configuration),
    )
    providers = _registry(catalog, http, shared, given, _local_factory(paths, clock))
    return Asked(
        http=http,
        providers=providers,
        facts=_facts(configuration, catalog, shared, providers),
        rules=rules,
        model_cache=shared.models,
    )


def _registry(
    catalog: Catalog,
    http: HttpClient,
    shared: Shared,
    given: Mapping[str, Provider],
    make_local: Callable[[], Provider],
) -> ProviderRegistry:
    return ProviderRegistry(
        {LOCAL: make_local, **factories(catalog.entries, http=http, shared=shared)},
        given=given,
        offered=catalog.offered | {LOCAL},
        lacking=catalog.lacking,
        plugins=Plugins(
            http=http,
            secrets=shared.secrets,
            clock=shared.clock,
            options=catalog.options,
        ),
    )


def _secrets(
    keys: Keys, catalog: Catalog, environment: Mapping[str, str], rules: Rules
) -> SecretStore:
    store = keys.store or EnvironmentSecretStore(
        environment, variables=catalog.variables
    )
    if keys.key is None:
        return store
    name = parse_model_ref(keys.model or rules.model).provider
    return GivenSecretStore(keys.key, name=name, others=store)


def _local_factory(paths: Paths, clock: Clock) -> Callable[[], Provider]:
    def make_local() -> Provider:
        # Imported when it is made: `tina log` needs no model.
        from tina.providers.local.provider import LocalProvider

        return LocalProvider(models=paths.models, clock=clock)

    return make_local


def _settings(configuration: Configuration) -> Mapping[str, OneModel]:
    return {
        name: OneModel(
            model.headers_timeout_s, model.requests_per_minute, model.context_tokens
        )
        for name, model in configuration.models.items()
    }


def _facts(
    configuration: Configuration,
    catalog: Catalog,
    shared: Shared,
    providers: ProviderRegistry,
) -> ModelFacts:
    return KnownFacts(
        windows=configuration.windows,
        cache=shared.models,
        prices=Prices(catalog.base_urls, clock=shared.clock),
        providers=providers,
        on_this_machine=frozenset(filter(catalog.is_near, catalog.entries)),
    )


def _rules(configuration: Configuration, environment: Mapping[str, str]) -> Rules:
    chosen = environment.get("TINA_MODEL", "").strip()
    return Rules(
        model=chosen or configuration.model or DEFAULT_MODEL,
        fallbacks=configuration.fallbacks,
        fallback=configuration.fallback,
        day_limit_micros=configuration.limits.day_micros,
        conversation_limit_micros=configuration.limits.conversation_micros,
    )
