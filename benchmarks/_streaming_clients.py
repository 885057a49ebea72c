"""Who is measured: name, protocol, and how it is opened. Heavy imports come late."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias

from benchmarks._streaming_wire import Protocol

OnText: TypeAlias = Callable[[str], object]
Counts: TypeAlias = tuple[int | None, int | None]
"""Tokens that went in, and that came out."""

Ask: TypeAlias = Callable[[str, OnText], Awaitable[Counts]]
"""Ask with a prompt; each text is handed on as it arrives."""


class Client(NamedTuple):
    """`maker` is `module:function` and takes a base URL without path and a protocol."""

    name: str
    protocol: Protocol
    maker: str
    package: str | None = None
    """It is measured if this is installed."""

    @property
    def is_here(self) -> bool:
        return self.package is None or find_spec(self.package) is not None

    @property
    def is_slow(self) -> bool:
        """It takes seconds to import, and is in no group but `bench`."""
        return self.package in ("pydantic_ai", "litellm")

    def open(self, base_url: str) -> AbstractAsyncContextManager[Ask]:
        module, _, function = self.maker.partition(":")
        maker: Any = getattr(import_module(f"benchmarks.{module}"), function)
        opened: AbstractAsyncContextManager[Ask] = maker(base_url, self.protocol)
        return opened


_A, _C = Protocol.ANTHROPIC, Protocol.CHAT
_R, _O = Protocol.RESPONSES, Protocol.OLLAMA
_FLOOR, _TINA, _PEERS = "_streaming_floor", "_streaming_tina", "_streaming_peers"

RAW_SOCKET = Client("raw socket", _A, f"{_FLOOR}:open_socket")

CLIENTS = (
    *(Client(f"aiohttp, {kind}", kind, f"{_FLOOR}:open_floor") for kind in Protocol),
    *(Client(f"tina, {kind}", kind, f"{_TINA}:open_provider") for kind in Protocol),
    Client("tina stored, anthropic", _A, f"{_TINA}:open_stored"),
    Client("tina stored, chat", _C, f"{_TINA}:open_stored"),
    Client("anthropic raw events", _A, f"{_PEERS}:open_anthropic_raw", "anthropic"),
    Client("anthropic text_stream", _A, f"{_PEERS}:open_anthropic_text", "anthropic"),
    Client("openai chat", _C, f"{_PEERS}:open_openai_chat", "openai"),
    Client("openai responses", _R, f"{_PEERS}:open_openai_responses", "openai"),
    Client("ollama", _O, f"{_PEERS}:open_ollama", "ollama"),
    Client("pydantic-ai, anthropic", _A, f"{_PEERS}:open_pydantic_ai", "pydantic_ai"),
    Client("pydantic-ai, chat", _C, f"{_PEERS}:open_pydantic_ai", "pydantic_ai"),
    Client("litellm, anthropic", _A, f"{_PEERS}:open_litellm", "litellm"),
    Client("litellm, chat", _C, f"{_PEERS}:open_litellm", "litellm"),
)
BY_NAME = {client.name: client for client in (RAW_SOCKET, *CLIENTS)}
