from datetime import UTC, datetime

import anyio
import pytest

from tina.domain.chat import ChatRequest, ModelInfo, Usage
from tina.domain.events import (
    BlockEnd,
    Finish,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from tina.domain.failures import RateLimitFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.testing.clock import FakeClock
from tina.testing.provider import CUT, HANG, Pause, ScriptedProvider

pytestmark = pytest.mark.anyio

PROMPT = Message(
    id=MessageId("m"),
    conversation_id=ConversationId("c"),
    parent_id=None,
    role=Role.USER,
    status=MessageStatus.COMPLETE,
    parts=(TextPart(text="Hi"),),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
QUESTION = ChatRequest(model="parrot", messages=(PROMPT,))


async def listen(provider: ScriptedProvider, heard: list[StreamEvent]) -> None:
    with anyio.fail_after(5):
        async with provider.stream(QUESTION) as batches:
            async for batch in batches:
                heard.extend(batch)


def texts_of(heard: list[StreamEvent]) -> list[str]:
    return [event.text for event in heard if isinstance(event, TextDelta)]


async def test_it_says_its_script_and_counts() -> None:
    heard: list[StreamEvent] = []
    provider = ScriptedProvider("Hel", "lo")

    await listen(provider, heard)

    assert texts_of(heard) == ["Hel", "lo"]
    assert UsageUpdate(Usage(input_tokens=1, output_tokens=2)) in heard
    assert isinstance(heard[-1], Finish)
    assert (provider.requests, provider.closed) == ([QUESTION], 1)


async def test_a_pause_takes_time_of_the_clock_and_none_of_ours() -> None:
    clock = FakeClock()

    await listen(ScriptedProvider("a", Pause(3600.0), "b", clock=clock), [])

    assert clock.slept == [3600.0]


async def test_a_pause_without_a_clock_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="needs a clock"):
        await listen(ScriptedProvider(Pause(1.0)), [])


async def test_a_cut_ends_without_a_finish() -> None:
    heard: list[StreamEvent] = []

    await listen(ScriptedProvider("a", CUT, "b"), heard)

    assert heard[-1] == TextDelta("text", "a")


async def test_a_hang_lasts_until_it_is_cancelled() -> None:
    heard: list[StreamEvent] = []
    provider = ScriptedProvider("a", HANG, "b")

    async def listen_for_ever() -> None:
        await listen(provider, heard)
        pytest.fail("it went on after it was cancelled")

    async with anyio.create_task_group() as group:
        group.start_soon(listen_for_ever)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert texts_of(heard) == ["a"]
    assert provider.closed == 1


async def test_a_failure_comes_after_the_end_of_its_block() -> None:
    heard: list[StreamEvent] = []

    with pytest.raises(RateLimitFailure, match="Slow down"):
        await listen(ScriptedProvider("a", RateLimitFailure("Slow down.")), heard)

    assert heard[-1] == BlockEnd("text", is_incomplete=True)


async def test_a_mistake_in_a_provider_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await listen(ScriptedProvider(ZeroDivisionError()), [])


async def test_it_offers_one_model() -> None:
    models = await ScriptedProvider().models()

    assert models == (
        ModelInfo(provider="scripted", model="parrot", context_tokens=4096),
    )
