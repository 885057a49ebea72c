"""Models: who can be asked, with which key, and what is known of them."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tina.domain.chat import ChatRequest, ModelInfo, ModelRef, Usage
from tina.domain.events import StreamEvent
from tina.domain.secret import Secret
from tina.domain.tools import (
    HostedTool,
)


class ModelFacts(Protocol):
    """What is known of models without asking them."""

    async def window_tokens(self, model: ModelRef, *, prompt_tokens: int) -> int | None:
        """How much goes into its window, prompt and answer together; None: unknown.

        Args:
            prompt_tokens: about how large the prompt is. What every such model takes
                need not be looked up.
        """
        ...

    async def cost_micros(
        self, model: ModelRef, usage: Usage, *, may_load: bool
    ) -> int | None:
        """What it costs today, in millionths of a US dollar; None if nobody knows.

        Args:
            may_load: whether a price list may be loaded for it, which takes the
                processor from everybody else in the process for a moment.
        """
        ...


class Provider(Protocol):
    """One way to talk to models."""

    def stream(
        self, request: ChatRequest
    ) -> AbstractAsyncContextManager[AsyncGenerator[Sequence[StreamEvent], None]]:
        """Open the answer; what arrives together is yielded together.

        Leaving the context cancels the request.

        Raises:
            ProviderFailure: on entering or while iterating; after it nothing follows.
            NoKeyFailure, ModelUnavailableFailure: on entering.
        """
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """What it offers now.

        Raises:
            ProviderFailure: it could not be asked.
        """
        ...

    def available_tools(self) -> tuple[HostedTool, ...]:
        """What it can run on its own side, if `ChatOptions.hosted_tools` names it."""
        ...

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """How many tokens the request has, if the provider can tell without answering.

        Raises:
            ProviderFailure: it could not be asked.
        """
        ...

    async def check(self) -> None:
        """Return if it can be asked now: it is reachable and takes the key.

        Raises:
            ProviderFailure, NoKeyFailure, ModelUnavailableFailure: it cannot.
        """
        ...

    async def close(self) -> None: ...


class Providers(Protocol):
    def get(self, name: str) -> Provider:
        """The provider of that name.

        Raises:
            ModelNotFoundFailure: there is none; the message lists those there are.
        """
        ...

    def names(self) -> tuple[str, ...]: ...


class SecretStore(Protocol):
    async def find(self, name: str) -> Secret | None:
        """The key of that name (`openai`, `anthropic`), if there is one."""
        ...
