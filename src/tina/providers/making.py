"""From an entry to a provider: the dialect of its protocol, and the way to its server.

Dialects are imported when one is needed: a question needs one of four.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import assert_never

from tina.domain.ports import Provider
from tina.networking.http import HttpClient
from tina.providers.dialect import Dialect
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.exchange import HttpExchange
from tina.providers.remote import RemoteProvider, Shared


def make_provider(
    name: str, entry: ProviderEntry, *, http: HttpClient, shared: Shared
) -> RemoteProvider:
    """The provider of an entry; `http` and what is shared stay the caller's."""
    dialect = _dialect(name, entry, shared)
    exchange = _exchange(name, entry, dialect, http, shared)
    return RemoteProvider(
        name, entry, dialect=dialect, exchange=exchange, shared=shared
    )


def factories(
    entries: Mapping[str, ProviderEntry], *, http: HttpClient, shared: Shared
) -> Mapping[str, Callable[[], Provider]]:
    """How to make each of them, for `ProviderRegistry`."""
    return {
        name: partial(make_provider, name, entry, http=http, shared=shared)
        for name, entry in entries.items()
    }


def _dialect(name: str, entry: ProviderEntry, shared: Shared) -> Dialect:
    match entry.protocol:
        case Protocol.ANTHROPIC:
            from tina.providers.anthropic.dialect import AnthropicDialect

            return AnthropicDialect(name, entry)
        case Protocol.CHAT:
            from tina.providers.openai.chat.dialect import ChatDialect

            return ChatDialect(name, entry)
        case Protocol.RESPONSES:
            from tina.providers.openai.responses.dialect import ResponsesDialect

            return ResponsesDialect(name, entry)
        case Protocol.OLLAMA:
            from tina.providers.ollama.dialect import OllamaDialect

            return OllamaDialect(name, entry, windows=shared.windows_of(name))
        case _:
            assert_never(entry.protocol)


def _exchange(
    name: str,
    entry: ProviderEntry,
    dialect: Dialect,
    http: HttpClient,
    shared: Shared,
) -> HttpExchange:
    make = HttpExchange
    if entry.websocket:
        from tina.providers.openai.socket import SocketExchange

        make = SocketExchange
    return make(name, entry, framing=dialect.framing, http=http, clock=shared.clock)
