"""A provider that says everything back, a word at a time."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager

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
from tina.domain.failures import ModelNotFoundFailure
from tina.domain.ports import Clock
from tina.domain.tools import HostedTool
from tina.providers.plugins import PluginContext

WORD_S = 0.02
MODELS = ("plain", "loud")


def make_provider(context: PluginContext) -> "Echo":
    """What the entry point names: called once, when somebody asks for `echo`."""
    greeting = context.options.get("greeting", "")
    return Echo(context.name, str(greeting), clock=context.clock)


class Echo:
    """Fulfils `tina.domain.ports.Provider`."""

    def __init__(self, name: str, greeting: str, *, clock: Clock) -> None:
        self._name = name
        self._greeting = greeting
        self._clock = clock

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent]]]:
        """Open the answer; leaving it early stops it."""
        if request.model not in MODELS:
            raise ModelNotFoundFailure(
                f"{self._name} has no model {request.model!r}, only "
                f"{' and '.join(MODELS)}."
            )
        async with aclosing(self._speak(request)) as batches:
            yield batches

    async def models(self) -> tuple[ModelInfo, ...]:
        return tuple(ModelInfo(provider=self._name, model=model) for model in MODELS)

    def available_tools(self) -> tuple[HostedTool, ...]:
        return ()

    async def count_tokens(self, request: ChatRequest) -> int | None:
        """A token for each word."""
        return sum(len(message.text.split()) for message in request.messages)

    async def check(self) -> None:
        """Nothing can be wrong: there is no server."""

    async def close(self) -> None:
        """Nothing is held."""

    async def _speak(
        self, request: ChatRequest
    ) -> AsyncGenerator[Sequence[StreamEvent]]:
        words = f"{self._greeting} {request.messages[-1].text}".split()
        if request.model == "loud":
            words = [word.upper() for word in words]
        yield [Start(request.model), BlockStart("text", BlockKind.TEXT)]
        for number, word in enumerate(words):
            await self._clock.sleep(WORD_S)
            yield [TextDelta("text", f" {word}" if number else word)]
        asked = await self.count_tokens(request)
        yield [
            BlockEnd("text"),
            UsageUpdate(Usage(input_tokens=asked, output_tokens=len(words))),
            Finish(StopReason.STOP),
        ]
