"""A turn settles however it ends, and keeps what was said."""

import anyio
import pytest

from tests.assistant.house import house, wait_for_text
from tina.assistant import Turn, TurnOptions
from tina.assistant import turn as turn_module
from tina.domain.chat import ChatOptions, StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Failed,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from tina.domain.failures import (
    BusyFailure,
    ClosedFailure,
    Failure,
    InternalFailure,
    InvalidInputFailure,
    ModelNotFoundFailure,
    NotFoundFailure,
    RateLimitFailure,
    StorageFailure,
    TipMovedFailure,
    TruncatedFailure,
)
from tina.domain.ids import ConversationId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.turns import NewTurn
from tina.testing.facts import FakeModelFacts
from tina.testing.memory import MemoryTurns
from tina.testing.provider import CUT, HANG

pytestmark = pytest.mark.anyio


class FullDisk(MemoryTurns):
    async def settle(self, answer: Message) -> bool:
        raise StorageFailure("No room left.")


class Stuck(MemoryTurns):
    async def settle(self, answer: Message) -> bool:
        await anyio.sleep_forever()
        return False


class Broken(MemoryTurns):
    async def settle(self, answer: Message) -> bool:
        raise ZeroDivisionError("on purpose")


class BrokenOnce(MemoryTurns):
    after: Failure | None = None
    was_asked = False

    async def settle(self, answer: Message) -> bool:
        if not self.was_asked:
            self.was_asked = True
            raise ZeroDivisionError("on purpose")
        if self.after is not None:
            raise self.after
        return await super().settle(answer)


class BrokenThenFull(BrokenOnce):
    after = StorageFailure("No room left.")


class BrokenAtFirst(MemoryTurns):
    was_asked = False

    async def begin(self, turn: NewTurn) -> None:
        if not self.was_asked:
            self.was_asked = True
            raise ZeroDivisionError("on purpose")
        await super().begin(turn)


class TornOff(MemoryTurns):
    async def begin(self, turn: NewTurn) -> None:
        raise anyio.get_cancelled_exc_class()


class Overtaken(MemoryTurns):
    async def begin(self, turn: NewTurn) -> None:
        raise TipMovedFailure("Somebody was faster.")


async def events_of(turn: Turn) -> list[StreamEvent]:
    return [event async for event in turn.events()]


async def test_a_finished_answer_is_complete() -> None:
    async with house("Be", "cause.") as here:
        turn = await here.send()
        answer = await turn.result()

        assert answer == await here.stored(turn)
        assert (answer.status, answer.text) == (MessageStatus.COMPLETE, "Because.")
        assert (answer.stop_reason, answer.model) == (
            StopReason.STOP,
            "scripted:parrot",
        )
        assert answer.usage == Usage(input_tokens=1, output_tokens=2)
        assert await here.stores.turns.list_open() == ()


async def test_prompt_and_empty_answer_exist_before_the_model_is_asked() -> None:
    async with house(HANG) as here:
        turn = await here.send("Why?")

        prompt, answer = await here.stores.messages.list(here.conversation.id)
        assert (prompt.role, prompt.text, prompt.id) == (
            Role.USER,
            "Why?",
            turn.prompt_id,
        )
        assert (answer.status, answer.parts) == (MessageStatus.STREAMING, ())
        assert turn.conversation_id == here.conversation.id
        assert turn.model == "scripted:parrot"


async def test_every_reader_gets_every_event_also_a_late_one() -> None:
    async with house("Be", "cause.") as here:
        turn = await here.send()
        first = await events_of(turn)
        second = await events_of(turn)

        assert first == second
        assert first == [
            Start("parrot"),
            BlockStart("text", BlockKind.TEXT),
            TextDelta("text", "Be"),
            TextDelta("text", "cause."),
            BlockEnd("text"),
            UsageUpdate(Usage(input_tokens=1, output_tokens=2)),
            Finish(StopReason.STOP, raw_reason="stop"),
        ]


@pytest.mark.requirement("turn:stop:keeps-text")
async def test_a_stopped_answer_keeps_what_was_said() -> None:
    async with house("Once upon", HANG) as here:
        turn = await here.send()
        await wait_for_text(turn)
        so_far = turn.answer

        await turn.stop()

        answer = await here.stored(turn)
        assert (so_far.status, so_far.text) == (MessageStatus.STREAMING, "Once upon")
        assert (answer.status, answer.text) == (MessageStatus.STOPPED, "Once upon")
        assert answer == await turn.result()
        assert here.provider.closed == 1
        await turn.stop()


async def test_an_answer_can_be_stopped_before_it_said_anything() -> None:
    async with house(HANG) as here:
        turn = await here.send()

        await turn.stop()

        answer = await here.stored(turn)
        assert (answer.status, answer.parts) == (MessageStatus.STOPPED, ())


@pytest.mark.requirement("turn:leaving:keeps-text")
async def test_a_leaving_process_leaves_the_answer_interrupted() -> None:
    facts = FakeModelFacts(micros_per_token=2, is_loaded=False)
    async with house("Once upon", HANG, facts=facts) as here:
        turn = await here.send()
        await wait_for_text(turn)
        here.group.cancel_scope.cancel()
    answer = await here.stored(turn)

    assert (answer.status, answer.text) == (MessageStatus.INTERRUPTED, "Once upon")
    assert answer.usage is not None
    assert answer.usage.is_estimated
    assert answer.usage.cost_micros == 2 * (
        (answer.usage.input_tokens or 0) + (answer.usage.output_tokens or 0)
    )
    assert here.provider.closed == 1


@pytest.mark.requirement("turn:failure:keeps-text")
async def test_a_failed_answer_keeps_what_was_said_and_why_it_failed() -> None:
    failure = RateLimitFailure("Slow down.", status=429, retry_after_s=7.0)
    async with house("Once", failure) as here:
        turn = await here.send()
        events = await events_of(turn)
        answer = await turn.result()

        assert (answer.status, answer.text) == (MessageStatus.FAILED, "Once")
        assert answer.failure == failure.as_record()
        assert events[-1] == Failed(failure.as_record())
        assert answer == await here.stored(turn)


async def test_a_stream_without_an_end_is_truncated() -> None:
    async with house("Once", CUT) as here:
        answer = await (await here.send()).result()

        assert answer.status is MessageStatus.FAILED
        assert answer.failure is not None
        assert answer.failure.kind == TruncatedFailure.kind
        assert answer.text == "Once"


async def test_a_fault_of_ours_settles_the_answer_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house("Once", ZeroDivisionError("on purpose")) as here:
        answer = await (await here.send()).result()

        assert (answer.status, answer.text) == (MessageStatus.FAILED, "Once")
        assert answer.failure is not None
        assert answer.failure.kind == "internal"
    assert "turn_broke" in caplog.text


async def test_text_that_nobody_can_hold_harms_nobody() -> None:
    async with house("Ic\ud800e", HANG) as here:
        other = await here.send("First")
        turn = await here.send("Second")
        await wait_for_text(turn)
        await turn.stop()

        assert (await here.stored(turn)).text == "Ic\ufffde"
        assert (await here.stored(other)).status is MessageStatus.STREAMING


async def test_an_end_that_takes_too_long_is_told_to_who_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn_module, "SETTLE_TIMEOUT_S", 0.01)
    async with house("Once", turns=Stuck) as here:
        turn = await here.send()

        with pytest.raises(BusyFailure, match="could not be stored within"):
            await turn.result()


async def test_an_end_that_breaks_is_told_and_other_turns_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house("Once", turns=Broken) as here:
        first = await here.send()
        with pytest.raises(InternalFailure):
            await first.result()

        second = await here.send("Next")
        with pytest.raises(InternalFailure):
            await second.result()
    assert "turn_not_settled" in caplog.text


async def test_what_was_said_is_stored_although_its_end_broke(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house("Once", turns=BrokenOnce) as here:
        answer = await (await here.send()).result()

        assert (answer.status, answer.text) == (MessageStatus.FAILED, "Once")
        assert answer.failure is not None
        assert answer.failure.kind == "internal"
        (_, stored) = await here.stores.messages.list(here.conversation.id)
        assert stored == answer
    assert "turn_not_settled" in caplog.text


async def test_a_full_disk_after_a_broken_end_is_told() -> None:
    async with house("Once", turns=BrokenThenFull) as here:
        with pytest.raises(StorageFailure, match="No room"):
            await (await here.send()).result()


async def test_an_answer_that_somebody_else_ended_is_told_as_it_was_stored() -> None:
    async with house("Once", HANG) as here:
        turn = await here.send()
        await wait_for_text(turn)
        stored = (await here.stored(turn)).interrupted((TextPart(text="On"),), None)
        assert await here.stores.turns.settle(stored)

        await turn.stop()

        assert await turn.result() == stored


async def test_an_answer_that_was_purged_meanwhile_is_told() -> None:
    async with house("Once", HANG) as here:
        turn = await here.send()
        await wait_for_text(turn)
        del here.stores.rows.open_turns[turn.message_id]
        del here.stores.rows.messages_by_id[turn.message_id]

        await turn.stop()

        with pytest.raises(NotFoundFailure, match="deleted for good"):
            await turn.result()


async def test_a_failure_that_nobody_can_hold_keeps_what_was_said() -> None:
    async with house("Once", TruncatedFailure("cut \ud800\0 here")) as here:
        answer = await (await here.send()).result()

        assert answer.text == "Once"
        assert answer.failure is not None
        assert answer.failure.message == "cut \ufffd here"


async def test_two_who_ask_at_once_both_stay_in_the_conversation() -> None:
    async with house("Ice.") as here:
        async with anyio.create_task_group() as askers:
            askers.start_soon(here.send, "One?")
            askers.start_soon(here.send, "Two?")

        branch = await here.stores.messages.list(here.conversation.id)
        assert {message.text for message in branch[::2]} == {"One?", "Two?"}
        assert len(branch) == 4


async def test_a_beginning_that_breaks_is_told_and_other_turns_go_on() -> None:
    async with house("Ice.", turns=BrokenAtFirst) as here:
        with pytest.raises(ZeroDivisionError, match="on purpose"):
            await here.send()

        answer = await (await here.send("Again?")).result()

        assert answer.status is MessageStatus.COMPLETE


async def test_a_beginning_that_is_torn_off_is_told() -> None:
    async with house("Ice.", turns=TornOff) as here:
        with pytest.raises(ClosedFailure):
            await here.send()


async def test_who_is_overtaken_again_and_again_is_told() -> None:
    async with house("Ice.", turns=Overtaken) as here:
        with pytest.raises(BusyFailure, match="try again"):
            await here.send()

        assert here.provider.requests == []


async def test_an_end_that_cannot_be_stored_is_told_to_who_waits() -> None:
    async with house("Once", turns=FullDisk) as here:
        turn = await here.send()

        with pytest.raises(StorageFailure, match="No room"):
            await turn.result()
        assert (turn.answer.status, turn.answer.text) == (
            MessageStatus.COMPLETE,
            "Once",
        )

        assert (await here.stored(turn)).status is MessageStatus.STREAMING


async def test_the_model_sees_the_branch_the_system_and_the_options() -> None:
    async with house("Ice.") as here:
        await (await here.send("Why?")).result()
        turn = await here.assistant.send(
            here.conversation.id,
            "How?",
            TurnOptions(options=ChatOptions(temperature=0.1)),
        )
        await turn.result()

        request = here.provider.requests[1]
        assert [message.text for message in request.messages] == [
            "Why?",
            "Ice.",
            "How?",
        ]
        assert (request.model, request.system) == ("parrot", "Be brief.")
        assert request.options.temperature == 0.1


@pytest.mark.parametrize(
    ("text", "model", "failure"),
    [
        (" \n", None, InvalidInputFailure),
        ("\0", None, InvalidInputFailure),
        ("Why?", "nonsense", InvalidInputFailure),
        ("Why?", "nobody:x", ModelNotFoundFailure),
    ],
)
async def test_what_cannot_be_asked_stores_nothing(
    text: str, model: str | None, failure: type[Failure]
) -> None:
    async with house("Ice.") as here:
        with pytest.raises(failure):
            await here.assistant.send(
                here.conversation.id, text, TurnOptions(model=model)
            )

        assert await here.stores.messages.list(here.conversation.id) == ()
        assert here.provider.requests == []


async def test_an_unknown_conversation_is_named() -> None:
    async with house() as here:
        with pytest.raises(NotFoundFailure, match="tina log"):
            await here.assistant.send(ConversationId("0" * 32), "Why?")
        with pytest.raises(NotFoundFailure):
            await here.assistant.continue_answer(ConversationId("0" * 32))


async def test_a_cut_answer_is_gone_on_with_by_a_prompt_of_its_own() -> None:
    async with house("Once upon", HANG) as here:
        turn = await here.send()
        await wait_for_text(turn)
        await turn.stop()

        going_on = await here.assistant.continue_answer(here.conversation.id)
        await wait_for_text(going_on)

        branch = await here.stores.messages.list(here.conversation.id)
        assert [message.role for message in branch] == [
            Role.USER,
            Role.ASSISTANT,
            Role.USER,
            Role.ASSISTANT,
        ]
        assert branch[1].text == "Once upon"
        assert branch[3].id == going_on.message_id
        assert here.provider.requests[1].messages == branch[:3]


async def test_an_answer_that_said_nothing_is_asked_for_again_beside_it() -> None:
    async with house(HANG) as here:
        turn = await here.send()
        await turn.stop()

        again = await here.assistant.continue_answer(here.conversation.id)

        branch = await here.stores.messages.list(here.conversation.id)
        assert [message.id for message in branch] == [turn.prompt_id, again.message_id]
        assert again.prompt_id == turn.prompt_id
        assert (await here.stored(turn)).status is MessageStatus.STOPPED


async def test_text_that_no_database_can_hold_is_cleaned() -> None:
    async with house("Ice.") as here:
        turn = await here.send("Wh\0y \ud800?")
        await turn.result()

        prompt, _ = await here.stores.messages.list(here.conversation.id)
        assert prompt.parts == (TextPart(text="Why \ufffd?"),)
