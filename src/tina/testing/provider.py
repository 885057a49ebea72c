"""A provider that says what a test wrote down."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel

from tina.domain.chat import ChatRequest, ModelInfo, StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from tina.domain.failures import Failure, ModelNotFoundFailure
from tina.domain.ports import Clock, Provider
from tina.domain.tools import HostedTool


class Cut:
    """A step that ends the stream before the model has finished."""


class Hang:
    """A step that never ends by itself."""


class Pause:
    """A step that takes time of the provider's clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


CUT = Cut()
HANG = Hang()

Step = str | Failure | Cut | Hang | Pause | Exception


class ScriptedProvider:
    """Fulfils `Provider`: streams its steps, then finishes with `StopReason.STOP`.

    A text is one delta in a batch of its own, a failure is raised after the end of the
    block, any other exception as it is, `HANG` waits for ever, `CUT` ends the stream
    without a finish, `Pause` waits on the clock.

    Attributes:
        requests: what was asked, oldest first.
        closed: how many streams were left, by their end or by cancellation.
    """

    def __init__(self, *steps: Step, clock: Clock | None = None) -> None:
        self._steps = steps
        self._clock = clock
        self.requests: list[ChatRequest] = []
        self.closed = 0

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent]]]:
        self.requests.append(request)
        batches = self._play(request)
        try:
            yield batches
        finally:
            self.closed += 1
            await batches.aclose()

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(provider="scripted", model="parrot", context_tokens=4096),)

    def available_tools(self) -> tuple[HostedTool, ...]:
        return ()

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """A token for each word of the messages."""
        return sum(len(message.text.split()) for message in request.messages)

    async def check(self) -> None:
        return

    async def close(self) -> None:
        return

    async def _play(
        self, request: ChatRequest
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        yield [Start(request.model), BlockStart("text", BlockKind.TEXT)]
        said = 0
        for step in self._steps:
            await anyio.lowlevel.checkpoint()
            match step:
                case str():
                    said += 1
                    yield [TextDelta("text", step)]
                case Cut():
                    return
                case Hang():
                    await anyio.sleep_forever()
                case Pause():
                    await self._wait(step.seconds)
                case Failure():
                    yield [BlockEnd("text", is_incomplete=True)]
                    raise step
                case _:
                    raise step
        usage = Usage(input_tokens=len(request.messages), output_tokens=said)
        yield [
            BlockEnd("text"),
            UsageUpdate(usage),
            Finish(StopReason.STOP, raw_reason="stop"),
        ]

    async def _wait(self, seconds: float) -> None:
        if self._clock is None:
            raise ValueError("a Pause needs a clock: ScriptedProvider(..., clock=...)")
        await self._clock.sleep(seconds)


class FakeProviders:
    """Fulfils `Providers` with those it is given."""

    def __init__(self, given: Mapping[str, Provider] | None = None) -> None:
        self._given = given or {}

    def get(self, name: str) -> Provider:
        try:
            return self._given[name]
        except KeyError:
            raise ModelNotFoundFailure(f"There is no provider {name!r}.") from None

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._given))
