"""All providers that are known here: those Tina ships, and what people made of them.

Three layers lie upon each other, field by field: `catalog.toml`, the environment of
the vendors' own clients, and the tables of the user's configuration.

A key is bound to the address that it was made for. The variables that Tina ships hold
keys for the shipped address, or for the one that the same environment names. A table
that gives a name another address must say itself which key goes there; without that
none does, and an entry that needs one is refused.

Source: CVE-2024-6587 (a base URL that took the key elsewhere).
"""

import pkgutil
import tomllib
from collections.abc import Mapping

import msgspec

from tina.domain.failures import RefusedOriginFailure
from tina.domain.secret import variable_for
from tina.domain.tables import Table, Where, is_table
from tina.networking.origin import Origin, check_url, is_loopback
from tina.providers.entries import KeyUse, ProviderEntry
from tina.providers.entry_tables import (
    check_address,
    check_headers,
    check_key,
    check_name,
    overlaid,
    read_entry,
    text_at,
)
from tina.providers.environment import Environment, is_set, overlay

_FILE = "catalog.toml"
_KEYS = "providers"
_OPTIONS = "options"


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """What is known, by name."""

    entries: Mapping[str, ProviderEntry]
    offered: frozenset[str]
    """Worth listing: a key was found, or somebody set it up."""
    lacking: Mapping[str, str] = {}
    """Names that cannot be asked as they are, and what is missing."""
    options: Mapping[str, Table] = {}
    """What people wrote for providers that only a plugin knows."""

    @property
    def variables(self) -> Mapping[str, tuple[str, ...]]:
        """For each provider the environment variables that may hold its key."""
        return {name: entry.key_env for name, entry in self.entries.items()}

    def is_near(self, name: str) -> bool:
        """Whether its server is on this machine."""
        try:
            entry = self.entries[name]
            origin = check_url(entry.base_url, allow_http=True)
        except RefusedOriginFailure:
            return False
        return is_loopback(origin.host)

    @property
    def base_urls(self) -> Mapping[str, str]:
        return {name: entry.base_url for name, entry in self.entries.items()}


def shipped_tables() -> Mapping[str, Table]:
    """`catalog.toml`, as it stands in the package."""
    # Not importlib.resources, which takes longer to import than all of this to read.
    data = pkgutil.get_data("tina.providers", _FILE) or b""
    return tomllib.loads(data.decode())


def build_catalog(
    shipped: Mapping[str, Table],
    tables: Mapping[str, Table],
    *,
    environment: Environment,
    where: Where = ".".join,
) -> Catalog:
    """Lay the environment and the user's tables over what Tina ships.

    Args:
        shipped: by name (`shipped_tables`).
        tables: `[providers.NAME]` of the user's configuration, by name.
        environment: of the process.
        where: names the place of a mistake; the names it gets begin with `providers`.

    Raises:
        InvalidInputFailure: a table cannot be used; the text says what to change.
    """
    building = _Building(environment, where)
    for name, table in shipped.items():
        building.add_shipped(name, table, tables.get(name, {}))
    for name, table in tables.items():
        if name not in shipped:
            building.add_own(name, table)
    return Catalog(
        entries=building.entries,
        offered=frozenset(building.offered),
        lacking=building.lacking,
        options=building.options,
    )


class _Building:
    def __init__(self, environment: Environment, where: Where) -> None:
        self._environment = environment
        self._where = where
        self.entries: dict[str, ProviderEntry] = {}
        self.offered: set[str] = set()
        self.lacking: dict[str, str] = {}
        self.options: dict[str, Table] = {}

    def add_shipped(self, name: str, shipped: Table, own: Table) -> None:
        said = overlay(name, self._environment)
        table = overlaid(_bound(shipped, said, own), own)
        if "base_url" not in table:
            self.lacking[name] = (
                f"{shipped['title']} has another address for everybody. Give yours: "
                f"base_url and key_env in [providers.{name}] of config.toml."
            )
            return
        # Not the vendor's own variable: that key is for the vendor.
        entry = self._read(name, table, own, variable=variable_for(f"my-{name}"))
        self.entries[name] = entry
        if self._is_set_up(entry, is_named=bool(own) or "base_url" in said):
            self.offered.add(name)

    def add_own(self, name: str, table: Table) -> None:
        check_name(name, where=self._where, keys=(_KEYS, name))
        options = table.get(_OPTIONS)
        if len(table) == 1 and is_table(options):
            self.options[name] = options
            return
        entry = self._read(name, table, table, variable=variable_for(name))
        self.entries[name] = entry
        if self._is_set_up(entry, is_named=True):
            self.offered.add(name)

    def _read(
        self, name: str, table: Table, own: Table, *, variable: str
    ) -> ProviderEntry:
        keys = (_KEYS, name)
        entry = read_entry(table, where=self._where, keys=keys)
        # What the environment says wrong is refused when it is asked: a variable that
        # is set for another program must not keep anybody from `tina log`.
        if own:
            check_key(entry, where=self._where, keys=keys, variable=variable)
        if "headers" in own:
            check_headers(entry, where=self._where, keys=keys)
        if "base_url" in own:
            check_address(entry, where=self._where, keys=keys)
        return entry

    def _is_set_up(self, entry: ProviderEntry, *, is_named: bool) -> bool:
        has_key = any(is_set(self._environment, name) for name in entry.key_env)
        if entry.key is KeyUse.REQUIRED:
            return has_key
        return is_named or (entry.key is KeyUse.OPTIONAL and has_key)


def _bound(shipped: Table, said: Table, own: Table) -> Table:
    """What lies below the user's own table, without keys that belong elsewhere."""
    named = overlaid(shipped, said)
    if "base_url" not in own or _origin(own) == _origin(named) is not None:
        return named
    return {field: value for field, value in shipped.items() if field != "key_env"}


def _origin(table: Table) -> Origin | None:
    try:
        return check_url(text_at(table, "base_url") or "", allow_http=True)
    except RefusedOriginFailure:
        return None
