"""A provider as data: a protocol, an address, a key, and where it is different.

Pure. The entries that Tina ships are in `catalog.toml`; people add their own.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, TypeAlias

import msgspec

from tina.domain.chat import MAX_TOKENS
from tina.providers.openai.chat.quirks import ChatQuirks

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Tokens: TypeAlias = Annotated[int, msgspec.Meta(ge=512, le=MAX_TOKENS)]
PerMinute: TypeAlias = Annotated[float, msgspec.Meta(ge=0.01, le=1_000_000)]


class Protocol(StrEnum):
    ANTHROPIC = "anthropic"
    CHAT = "openai-chat"
    RESPONSES = "openai-responses"
    OLLAMA = "ollama"


class KeyUse(StrEnum):
    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class KeyHeader(StrEnum):
    """Which header carries the key, and in which form."""

    BEARER = "authorization"
    X_API_KEY = "x-api-key"
    API_KEY = "api-key"

    @property
    def prefix(self) -> str:
        return "Bearer " if self is KeyHeader.BEARER else ""


class ProviderEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """One provider. `base_url` ends where the protocol's own paths begin."""

    protocol: Protocol
    base_url: str
    title: str = ""
    key: KeyUse = KeyUse.REQUIRED
    key_env: tuple[str, ...] = ()
    """Environment variables that may hold the key; the first that is set counts."""
    key_header: KeyHeader = KeyHeader.BEARER
    allow_http: bool = False
    """Permit plain http to another machine."""
    headers: Mapping[str, str] = {}
    """Sent with every request; no place for a key."""
    headers_timeout_s: Seconds | None = None
    """How long it may take to begin its answer, if that is longer than usual."""
    requests_per_minute: PerMinute | None = None
    context_tokens: Tokens | None = None
    """The largest window that is asked for, where the server makes room for it."""
    websocket: bool = False
    """Ask over a WebSocket, where the protocol has that."""
    chat: ChatQuirks = ChatQuirks()
    """Where a server that speaks chat completions is different."""

    def __repr__(self) -> str:
        # Headers from the environment, and addresses of gateways, can hold secrets.
        return f"ProviderEntry({self.protocol.value}, {self.title!r})"
