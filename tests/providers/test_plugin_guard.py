"""Providers that other people wrote, and what they may not do."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from tina.domain.chat import ChatRequest, ModelInfo, StopReason
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    StreamEvent,
    TextDelta,
)
from tina.domain.failures import ModelUnavailableFailure, RateLimitFailure
from tina.domain.tools import HostedTool
from tina.providers import plugin_guard
from tina.providers.plugin_guard import GuardedProvider
from tina.testing.provider import ScriptedProvider

pytestmark = pytest.mark.anyio

SAID = [BlockStart("a", BlockKind.TEXT), TextDelta("a", "Hi"), BlockEnd("a")]
END = Finish(StopReason.STOP)
REQUEST = ChatRequest(model="m", messages=())

Say = Callable[[], AsyncGenerator[Any]]


class Foreign(ScriptedProvider):
    """Says what it is given, checked by nobody; `close_error` is raised on leaving."""

    def __init__(self, say: Say, *, close_error: BaseException | None = None) -> None:
        super().__init__()
        self._say = say
        self._close_error = close_error
        self.is_left = False

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent]]]:
        del request
        async with anyio.create_task_group():
            try:
                yield self._say()
            finally:
                self.is_left = True
        if self._close_error is not None:
            raise self._close_error


async def hear(provider: GuardedProvider) -> list[StreamEvent]:
    async with provider.stream(REQUEST) as batches:
        return [event async for batch in batches for event in batch]


def guarded(provider: Any) -> GuardedProvider:
    return GuardedProvider("echo", "tina-echo", provider)


async def test_an_answer_passes_as_it_is() -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        yield SAID
        yield [END]

    assert await hear(guarded(Foreign(say))) == [*SAID, END]


async def test_an_answer_ends_at_its_first_finish() -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        yield [*SAID, END, *SAID]
        yield [*SAID, END]

    assert await hear(guarded(Foreign(say))) == [*SAID, END]


async def test_an_answer_that_never_finishes_ends_as_it_did() -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        yield SAID
        yield []

    assert await hear(guarded(Foreign(say))) == SAID


@pytest.mark.parametrize(
    "error",
    [
        ValueError("key"),
        SystemExit(9),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_whatever_it_raises_is_a_failure_that_names_it(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        yield SAID
        raise error

    provider = guarded(Foreign(say))
    with pytest.raises(ModelUnavailableFailure) as caught:
        await hear(provider)

    assert str(caught.value) == (
        "The package tina-echo, which offers the provider 'echo', failed "
        f"({type(error).__name__}). Update or uninstall it, or use another model."
    )
    assert {record.message for record in caplog.records} == {"plugin_failed"}


@pytest.mark.parametrize("batch", [[1, 2], 5, [None]], ids=str)
async def test_what_is_no_event_is_a_failure(batch: object) -> None:
    async def say() -> AsyncGenerator[object]:
        yield batch

    with pytest.raises(ModelUnavailableFailure, match="TypeError"):
        await hear(guarded(Foreign(say)))


async def test_its_own_failures_pass_unchanged() -> None:
    busy = RateLimitFailure("Too busy.")

    with pytest.raises(RateLimitFailure) as caught:
        await hear(guarded(ScriptedProvider(busy)))

    assert caught.value is busy


async def test_an_answer_that_cannot_be_left_is_whole_all_the_same() -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        yield [*SAID, END]

    provider = guarded(Foreign(say, close_error=ValueError()))

    assert await hear(provider) == [*SAID, END]


async def test_what_hangs_after_its_end_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        try:
            yield [*SAID, END]
        finally:
            await anyio.sleep_forever()

    monkeypatch.setattr(plugin_guard, "CLOSE_LIMIT_S", 0.05)
    foreign = Foreign(say)
    with anyio.fail_after(5):
        events = await hear(guarded(foreign))

    assert events == [*SAID, END]
    assert foreign.is_left


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def say() -> AsyncGenerator[Sequence[StreamEvent]]:
        await anyio.sleep_forever()
        yield []

    foreign = Foreign(say)
    with anyio.move_on_after(0.05) as scope:
        await hear(guarded(foreign))

    assert scope.cancelled_caught
    assert foreign.is_left


class Broken(ScriptedProvider):
    """Raises, or gives junk, or hangs, whatever it is asked."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act

    async def _do(self) -> Any:
        if self._act is hang:
            await anyio.sleep_forever()
        return self._act()

    async def models(self) -> tuple[ModelInfo, ...]:
        return await self._do()

    def available_tools(self) -> tuple[HostedTool, ...]:
        return self._act()

    async def count_tokens(self, request: ChatRequest) -> int | None:
        del request
        return await self._do()

    async def check(self) -> None:
        await self._do()

    async def close(self) -> None:
        await self._do()


def hang() -> None:
    """Stands for waiting for ever."""


def leave() -> None:
    raise SystemExit(7)


def junk() -> object:
    return [1]


def nothing() -> object:
    return None


@pytest.mark.parametrize("act", [leave, junk, nothing])
async def test_lists_that_are_none_are_failures(act: Callable[[], Any]) -> None:
    provider = guarded(Broken(act))

    with pytest.raises(ModelUnavailableFailure):
        await provider.models()
    with pytest.raises(ModelUnavailableFailure):
        provider.available_tools()


async def test_what_it_cannot_count_or_check_is_a_failure() -> None:
    provider = guarded(Broken(leave))

    with pytest.raises(ModelUnavailableFailure):
        await provider.count_tokens(REQUEST)
    with pytest.raises(ModelUnavailableFailure):
        await provider.check()


async def test_what_it_answers_passes() -> None:
    provider = guarded(ScriptedProvider())

    assert await provider.models() == await ScriptedProvider().models()
    assert await provider.count_tokens(REQUEST) == 0
    assert provider.available_tools() == ()
    await provider.check()
    await provider.close()


async def test_what_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin_guard, "LIMIT_S", 0.05)
    monkeypatch.setattr(plugin_guard, "CLOSE_LIMIT_S", 0.05)
    provider = guarded(Broken(hang))

    with anyio.fail_after(5):
        with pytest.raises(ModelUnavailableFailure, match="TimeoutError"):
            await provider.models()
        with pytest.raises(ModelUnavailableFailure, match="TimeoutError"):
            await provider.check()
        await provider.close()


async def test_closing_one_that_raises_raises_nothing() -> None:
    await guarded(Broken(leave)).close()
