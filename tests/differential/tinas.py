"""Tina's adapters, and what they hear, in the common words of `heard`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from benchmarks import _streaming_tina as measured
from benchmarks._streaming_wire import Protocol
from tests.differential.heard import Call, Heard, Tokens, read_arguments
from tina.domain.chat import ChatRequest, Usage
from tina.domain.events import (
    BlockKind,
    BlockStart,
    Finish,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import ProviderFailure
from tina.domain.ports import Provider

MODEL = "recorded"


@asynccontextmanager
async def open_tina(protocol: Protocol, base_url: str) -> AsyncGenerator[Provider]:
    http = measured.make_http()
    try:
        yield measured.make_provider(protocol, base_url, http)
    finally:
        await http.close()


async def ask_tina(provider: Provider) -> Heard:
    prompt = measured.one_prompt("Hello.")
    request = ChatRequest(model=MODEL, messages=(prompt,))
    listening = _Listening()
    try:
        async with provider.stream(request) as batches, aclosing(batches):
            async for batch in batches:
                for event in batch:
                    listening.hear(event)
    except ProviderFailure as failure:
        return listening.heard()._replace(error=failure.kind, stop=None)
    return listening.heard()


class _Listening:
    def __init__(self) -> None:
        self._begun: dict[str, BlockStart] = {}
        self._said: dict[str, str] = {}
        self._usage = Usage()
        self._finish: Finish | None = None

    def hear(self, event: StreamEvent) -> None:
        match event:
            case BlockStart():
                self._begun[event.key] = event
                self._said[event.key] = ""
            case TextDelta():
                self._said[event.key] += event.text
            case ToolArgumentsDelta():
                self._said[event.key] += event.fragment
            case UsageUpdate():
                self._usage = event.usage
            case Finish():
                self._finish = event
            case _:
                pass

    def heard(self) -> Heard:
        usage = self._usage
        return Heard(
            text=self._text(BlockKind.TEXT),
            reasoning=self._text(BlockKind.REASONING),
            refusal=self._text(BlockKind.REFUSAL),
            calls=tuple(self._calls()),
            tokens=Tokens(
                usage.input_tokens,
                usage.output_tokens,
                usage.cached_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
            ),
            stop=None if self._finish is None else self._finish.reason,
        )

    def _text(self, kind: BlockKind) -> str:
        return "".join(
            self._said[key] for key, begun in self._begun.items() if begun.kind is kind
        )

    def _calls(self) -> list[Call]:
        return [
            Call(begun.call_id or "", begun.tool or "", read_arguments(self._said[key]))
            for key, begun in self._begun.items()
            if begun.kind is BlockKind.TOOL_CALL
        ]
