"""What the protocols differ in, and all that they differ in.

A dialect writes requests and reads answers, and is pure; `RemoteProvider` does the
rest for all of them: keys, deadlines, retries, rate limits, cancellation.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from tina.domain.chat import ChatRequest, ModelInfo
from tina.domain.events import StreamEvent
from tina.domain.failures import ProviderFailure
from tina.domain.tools import HostedTool
from tina.providers.lenient import Wire


class Framing(StrEnum):
    SSE = "text/event-stream"
    NDJSON = "application/x-ndjson"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a server: `path` below the base URL, which may hold a query.

    `headers` hold no key; `body` is sent as compact JSON, None sends no body.
    """

    path: str
    method: str = "POST"
    body: Wire | None = None
    headers: Mapping[str, str] = {}


class ModelPage(NamedTuple):
    """A part of a list; `after` names the next part, None at the end."""

    models: tuple[ModelInfo, ...]
    after: str | None = None


class Counting(NamedTuple):
    """How to ask for the size of a request, and to read the answer."""

    call: Call
    read: Callable[[bytes], int]
    """Raises `ProtocolFailure` if there is no count."""


class AnswerDecoder(Protocol):
    """Decodes one answer: `feed` each event, then `finish` once."""

    @property
    def is_done(self) -> bool:
        """Whether the end marker was seen; what comes after it is ignored."""
        ...

    @property
    def is_whole(self) -> bool:
        """Whether the answer is complete, though counts may still follow."""
        ...

    def feed(self, data: bytes | str, *, event: str = "") -> list[StreamEvent]:
        """Decode one event, or a whole answer that was not streamed.

        Args:
            data: of the server-sent event, one line of NDJSON, or a whole body.
            event: the name of the server-sent event; empty if it has none.

        Raises:
            ProviderFailure: it is an error. Never anything else, for any bytes.
        """
        ...

    def finish(self) -> list[StreamEvent]:
        """Close the open blocks and say how the answer ended; twice is harmless.

        Raises:
            TruncatedFailure: the stream ended before the answer did.
            ProtocolFailure: it ended in order, but there was no answer in it.
        """
        ...

    def abandon(self) -> list[StreamEvent]:
        """Close the open blocks as incomplete: a failure follows, not a `finish`."""
        ...


class Dialect(Protocol):
    """One protocol, for one provider's entry. Pure."""

    @property
    def framing(self) -> Framing: ...

    @property
    def hosted_tools(self) -> tuple[HostedTool, ...]: ...

    def ask(self, request: ChatRequest, known: ModelInfo | None) -> Call:
        """Write a request whose answer is streamed.

        Args:
            request: any; what the protocol has no place for is left out.
            known: what the provider said of the model, if it was asked.

        Raises:
            InvalidInputFailure: it cannot be asked of any server.
        """
        ...

    def decoder(self, request: ChatRequest, *, request_id: str | None) -> AnswerDecoder:
        """For one answer to this request."""
        ...

    def without(self, body: Wire, failure: ProviderFailure) -> Wire | None:
        """The body without what the failure says is unknown; None if it says no such.

        Called once for each question.
        """
        ...

    def list_models(self, after: str | None) -> Call: ...

    def read_models(self, body: bytes) -> ModelPage:
        """Read a part of the list; entries without a name are left out.

        Raises:
            ProtocolFailure: there is no list in it.
        """
        ...

    def count_tokens(self, request: ChatRequest) -> Counting | None:
        """How to count the tokens of a request; None if the server cannot."""
        ...
