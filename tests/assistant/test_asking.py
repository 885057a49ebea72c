"""Who is asked, with what, and when it has cost enough."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from msgspec import structs

from tests.assistant.house import RULES, house, process, wait_for_text
from tina.assistant import Rules, Turn, TurnOptions
from tina.assistant.policy import CONTINUE_PROMPT
from tina.domain.chat import ChatRequest, ModelRef, StopReason, Usage
from tina.domain.conversations import NewConversation
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    FellBack,
    Finish,
    LeftOut,
    StreamEvent,
    TextDelta,
)
from tina.domain.failures import (
    Failure,
    InvalidRequestFailure,
    ModelUnavailableFailure,
    NoKeyFailure,
    OverloadFailure,
    ServerFailure,
)
from tina.domain.messages import MessageStatus
from tina.domain.notes import AnswerNotes, notes_from, with_notes
from tina.testing.facts import FakeModelFacts
from tina.testing.provider import HANG, ScriptedProvider

pytestmark = pytest.mark.anyio

SECOND = TurnOptions(fallback=("second:m",))
NEW = NewConversation()
DAY_S = 86_400.0


def ruled(**given: Any) -> Rules:
    return structs.replace(RULES, **given)


class Refusing(ScriptedProvider):
    """It fails before it says anything."""

    def __init__(self, failure: Failure) -> None:
        super().__init__()
        self._failure = failure

    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent]]]:
        self.requests.append(request)
        raise self._failure
        yield


class Counting(ScriptedProvider):
    """It counts ten times what Tina guesses, or cannot count."""

    failure: Failure | None = None

    async def count_tokens(self, request: ChatRequest) -> int | None:
        if self.failure is not None:
            raise self.failure
        return sum(len(message.text) for message in request.messages) * 10 // 4


class Pausing(ScriptedProvider):
    @asynccontextmanager
    async def stream(
        self, request: ChatRequest
    ) -> AsyncGenerator[AsyncGenerator[Sequence[StreamEvent]]]:
        self.requests.append(request)
        batches = self._pause()
        yield batches
        await batches.aclose()

    async def _pause(self) -> AsyncGenerator[Sequence[StreamEvent]]:
        yield [BlockStart("0", BlockKind.TEXT), TextDelta("0", "Searching.")]
        yield [BlockEnd("0"), Finish(StopReason.PAUSED)]


async def events_of(turn: Turn) -> list[StreamEvent]:
    return [event async for event in turn.events()]


class TestFallback:
    async def test_the_next_model_answers_when_the_first_says_nothing(self) -> None:
        overloaded = OverloadFailure("Too busy.")
        others = {"first": Refusing(overloaded), "second": ScriptedProvider("Yes.")}
        async with house(others=others) as here:
            turn = await here.assistant.send(
                here.conversation.id,
                "Why?",
                TurnOptions(model="first:m", fallback=("second:m",)),
            )
            answer = await turn.result()
            stored = await here.stored(turn)
            events = await events_of(turn)

        assert answer == stored
        assert (answer.text, answer.status) == ("Yes.", MessageStatus.COMPLETE)
        assert answer.model == "second:m"
        assert answer.notes == AnswerNotes(
            asked_model="first:m", fallback_reason="Too busy."
        )
        assert events[0] == FellBack("second:m", overloaded.as_record())

    async def test_nobody_else_is_asked_after_the_first_word(self) -> None:
        second = ScriptedProvider("Yes.")
        async with house(
            "Be", ServerFailure("Gone."), others={"second": second}
        ) as here:
            turn = await here.assistant.send(here.conversation.id, "Why?", SECOND)
            answer = await turn.result()

        assert (answer.status, answer.text) == (MessageStatus.FAILED, "Be")
        assert answer.model == "scripted:parrot"
        assert second.requests == []

    async def test_the_last_one_says_why_it_failed(self) -> None:
        others = {
            "first": Refusing(NoKeyFailure("No key.")),
            "second": Refusing(ServerFailure("Gone.")),
            "third": Refusing(InvalidRequestFailure("No such thing.")),
        }
        async with house(others=others) as here:
            turn = await here.assistant.send(
                here.conversation.id,
                "Why?",
                TurnOptions(model="first:m", fallback=("second:m", "third:m")),
            )
            answer = await turn.result()

        assert answer.status is MessageStatus.FAILED
        assert answer.failure is not None
        assert answer.failure.message == "No such thing."
        assert answer.model == "third:m"
        assert answer.notes.fallback_reason == "No key."

    async def test_a_provider_that_is_not_here_is_passed_over(self) -> None:
        others = {
            "first": Refusing(ServerFailure("Gone.")),
            "second": ScriptedProvider("Yes."),
        }
        options = TurnOptions(model="first:m", fallback=("nobody:m", "second:m"))
        async with house(others=others) as here:
            turn = await here.assistant.send(here.conversation.id, "Why?", options)
            answer = await turn.result()

        assert answer.text == "Yes."

    async def test_a_model_is_asked_once(self) -> None:
        first = Refusing(ServerFailure("Gone."))
        options = TurnOptions(model="first:m", fallback=("first:m", "first:m"))
        async with house(others={"first": first}) as here:
            turn = await here.assistant.send(here.conversation.id, "Why?", options)
            await turn.result()

        assert len(first.requests) == 1

    @pytest.mark.parametrize(
        ("rules", "metadata", "options", "answerer"),
        [
            pytest.param(
                ruled(fallback=("b:m",)),
                None,
                TurnOptions(),
                "b:m",
                id="of-all",
            ),
            pytest.param(
                Rules(
                    model="scripted:parrot",
                    fallback=("b:m",),
                    fallbacks={"a:m": ("c:m",)},
                ),
                None,
                TurnOptions(),
                "c:m",
                id="of-the-model",
            ),
            pytest.param(
                ruled(fallback=("b:m",)),
                {"fallback": "c:m, b:m"},
                TurnOptions(),
                "c:m",
                id="of-the-conversation",
            ),
            pytest.param(
                ruled(fallback=("b:m",)),
                {"fallback": "b:m"},
                TurnOptions(fallback=("c:m",)),
                "c:m",
                id="of-the-turn",
            ),
            pytest.param(
                ruled(fallback=("b:m",)),
                {"fallback": "b:m"},
                TurnOptions(fallback=()),
                "a:m",
                id="explicitly-none",
            ),
        ],
    )
    async def test_the_nearest_word_on_it_counts(
        self,
        rules: Rules,
        metadata: dict[str, str] | None,
        options: TurnOptions,
        answerer: str,
    ) -> None:
        others = {
            "a": Refusing(ServerFailure("Gone.")),
            "b": ScriptedProvider("B"),
            "c": ScriptedProvider("C"),
        }
        asked = TurnOptions(model="a:m", fallback=options.fallback)
        async with house(rules=rules, metadata=metadata, others=others) as here:
            turn = await here.assistant.send(here.conversation.id, "Why?", asked)
            answer = await turn.result()

        assert answer.model == answerer

    async def test_a_turn_that_another_process_claims_falls_back_too(self) -> None:
        async with house() as here:
            queued = await here.assistant.send_later(
                here.conversation.id,
                "Why?",
                TurnOptions(fallback=("second:m",)),
            )
            others = {
                "scripted": Refusing(ServerFailure("Gone.")),
                "second": ScriptedProvider("Yes."),
            }
            async with process(here.stores, others=others) as other:
                other.ports.providers._given.update(others)  # type: ignore[attr-defined]
                turn = await other.running.claim()
                assert turn is not None
                answer = await turn.result()

        assert answer.id == queued.message_id
        assert (answer.text, answer.model) == ("Yes.", "second:m")


class TestWindow:
    async def test_what_does_not_fit_is_left_out_and_said(self) -> None:
        facts = FakeModelFacts(windows={"scripted:parrot": 400})
        async with house("word " * 40, facts=facts) as here:
            for _ in range(6):
                await (await here.send("Tell me more. " * 10)).result()
            turn = await here.send("And now?")
            answer = await turn.result()
            stored = await here.stored(turn)
            events = await events_of(turn)

        sent = here.provider.requests[-1].messages
        left_out = answer.notes.left_out_messages
        assert left_out == 13 - len(sent) > 0
        assert sent[-1].text == "And now?"
        assert events[0] == LeftOut(left_out)
        assert stored.notes == answer.notes

    async def test_near_the_edge_the_provider_counts(self) -> None:
        counting = Counting("word " * 40)
        facts = FakeModelFacts(windows={"counting:m": 2_000})
        options = TurnOptions(model="counting:m")
        async with house(others={"counting": counting}, facts=facts) as here:
            answer = None
            for _ in range(12):
                turn = await here.assistant.send(
                    here.conversation.id, "Tell me more. " * 40, options
                )
                answer = await turn.result()

        assert answer is not None
        # By Tina's own guess all of it would have fitted.
        assert answer.notes.left_out_messages > 0

    @pytest.mark.parametrize("kind", [ServerFailure, ModelUnavailableFailure])
    async def test_a_provider_that_cannot_count_is_asked_all_the_same(
        self, kind: type[Failure]
    ) -> None:
        counting = Counting("Yes.")
        counting.failure = kind("Gone.")
        facts = FakeModelFacts(windows={"counting:m": 20})
        async with house(others={"counting": counting}, facts=facts) as here:
            turn = await here.assistant.send(
                here.conversation.id, "Why? " * 40, TurnOptions(model="counting:m")
            )
            answer = await turn.result()

        assert answer.text == "Yes."


class TestCost:
    async def test_an_answer_says_what_it_cost(self) -> None:
        async with house("Yes.", facts=FakeModelFacts(micros_per_token=3)) as here:
            turn = await here.send()
            answer = await turn.result()
            spent = await here.stores.ledger.spent_micros()

        assert answer.usage == Usage(input_tokens=1, output_tokens=1, cost_micros=6)
        assert spent == 6

    async def test_a_stopped_answer_is_guessed(self) -> None:
        facts = FakeModelFacts(micros_per_token=2)
        async with house("12345678", HANG, facts=facts) as here:
            turn = await here.send()
            await wait_for_text(turn)
            await turn.stop()
            answer = await turn.result()

        assert answer.usage is not None
        assert answer.usage.is_estimated
        assert answer.usage.output_tokens == 2
        assert answer.usage.cost_micros == 2 * (
            (answer.usage.input_tokens or 0) + answer.usage.output_tokens
        )

    @pytest.mark.parametrize(
        ("rules", "named"),
        [
            (ruled(day_limit_micros=12), "usd_per_day"),
            (
                ruled(conversation_limit_micros=12),
                "usd_per_conversation",
            ),
        ],
    )
    async def test_a_limit_stops_before_the_request(
        self, rules: Rules, named: str
    ) -> None:
        facts = FakeModelFacts(micros_per_token=1)
        async with house("Yes.", facts=facts, rules=rules) as here:
            first = await (await here.send("Why?")).result()
            second = await (await here.send("Why not?" * 4)).result()
            spent = await here.stores.ledger.spent_micros()

        assert first.status is MessageStatus.COMPLETE
        assert second.status is MessageStatus.FAILED
        assert second.failure is not None
        assert second.failure.kind == "spending_limit"
        assert named in second.failure.message
        assert "This question alone costs about $0.0000" in second.failure.message
        assert len(here.provider.requests) == 1
        assert spent == 2

    async def test_a_limit_holds_for_all_that_run_at_once(self) -> None:
        facts = FakeModelFacts(micros_per_token=10)
        rules = ruled(day_limit_micros=250)
        async with house(HANG, facts=facts, rules=rules) as here:
            turns: list[Turn] = []
            for _ in range(5):  # each costs 100 or so, once it is answered
                conversation = await here.stores.conversations.create(NEW)
                turns.append(await here.assistant.send(conversation.id, "Why?" * 6))
            while len(here.provider.requests) < 2:
                await here.stores.clock.sleep(0)
            for _ in range(50):
                await here.stores.clock.sleep(0)
            asked = len(here.provider.requests)
            for turn in turns:
                await turn.stop()

        assert asked == 2

    async def test_a_limit_that_is_reached_stops_what_has_no_price_too(self) -> None:
        rules = ruled(day_limit_micros=0)
        async with house("Yes.", rules=rules) as here:
            answer = await (await here.send()).result()

        assert answer.failure is not None
        assert answer.failure.kind == "spending_limit"

    async def test_a_new_day_begins_anew(self) -> None:
        facts = FakeModelFacts(micros_per_token=1)
        rules = ruled(day_limit_micros=20)
        async with house("Yes." * 9, facts=facts, rules=rules) as here:
            last = None
            for _ in range(8):
                last = await (await here.send("Why?" * 5)).result()
            here.stores.clock.advance(DAY_S)  # type: ignore[attr-defined]
            other = await here.stores.conversations.create(NEW)
            turn = await here.assistant.send(other.id, "Why?")
            fresh = await turn.result()

        assert last is not None
        assert last.status is MessageStatus.FAILED
        assert fresh.status is MessageStatus.COMPLETE

    async def test_what_is_free_is_never_stopped(self) -> None:
        facts = FakeModelFacts(micros_per_token=0)
        rules = Rules(
            model="scripted:parrot", day_limit_micros=0, conversation_limit_micros=0
        )
        async with house("Yes.", facts=facts, rules=rules) as here:
            answer = await (await here.send()).result()

        assert answer.status is MessageStatus.COMPLETE

    async def test_a_limit_is_no_reason_to_ask_somebody_else(self) -> None:
        second = ScriptedProvider("Yes.")
        facts = FakeModelFacts(micros_per_token=1)
        async with house(
            facts=facts,
            rules=ruled(day_limit_micros=0),
            others={"second": second},
        ) as here:
            turn = await here.assistant.send(here.conversation.id, "Why?", SECOND)
            answer = await turn.result()

        assert answer.status is MessageStatus.FAILED
        assert second.requests == []

    async def test_a_price_that_cannot_be_found_costs_no_answer(self) -> None:
        class Broken(FakeModelFacts):
            async def cost_micros(
                self, model: ModelRef, usage: Usage, *, may_load: bool
            ) -> int | None:
                raise ServerFailure("No prices.")

        async with house("Yes.", facts=Broken()) as here:
            answer = await (await here.send()).result()

        assert answer.status is MessageStatus.COMPLETE
        assert answer.usage == Usage(input_tokens=1, output_tokens=1)

    async def test_an_end_is_stored_before_its_first_price_is_known(self) -> None:
        class Loading(FakeModelFacts):
            is_loaded = anyio.Event()

            async def cost_micros(
                self, model: ModelRef, usage: Usage, *, may_load: bool
            ) -> int | None:
                if may_load:
                    await self.is_loaded.wait()
                return 7 if may_load else None

        facts = Loading()
        async with house("Yes.", facts=facts) as here:
            turn = await here.send()
            while (await here.stored(turn)).status is not MessageStatus.COMPLETE:
                await here.stores.clock.sleep(0)
            before = await here.stored(turn)
            facts.is_loaded.set()
            answer = await turn.result()
            spent = await here.stores.ledger.spent_micros()

        assert before.usage == Usage(input_tokens=1, output_tokens=1)
        assert answer.usage == Usage(input_tokens=1, output_tokens=1, cost_micros=7)
        assert spent == 7

    async def test_prices_are_not_loaded_while_others_speak(self) -> None:
        facts = FakeModelFacts(micros_per_token=3, is_loaded=False)
        others = {"speaking": ScriptedProvider("On and on.", HANG)}
        speaking = TurnOptions(model="speaking:m")
        async with house("Yes.", facts=facts, others=others) as here:
            other = await here.stores.conversations.create(NEW)
            long = await here.assistant.send(other.id, "A tale.", speaking)
            await wait_for_text(long)
            answer = await (await here.send()).result()
            before = await here.stores.ledger.spent_micros()
            await long.stop()
            while not (after := await here.stores.ledger.spent_micros()):
                await here.stores.clock.sleep(0)

        assert answer.usage == Usage(input_tokens=1, output_tokens=1)
        assert before == 0
        assert after > 0

    async def test_many_costs_are_not_left_for_ever(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tina.assistant.running.MAX_UNPRICED", 2)
        facts = FakeModelFacts(micros_per_token=3, is_loaded=False)
        others = {"speaking": ScriptedProvider("On and on.", HANG)}
        async with house("Yes.", facts=facts, others=others) as here:
            other = await here.stores.conversations.create(NEW)
            long = await here.assistant.send(
                other.id, "A tale.", TurnOptions(model="speaking:m")
            )
            await wait_for_text(long)
            for _ in range(2):
                await (await here.send()).result()
            while not await here.stores.ledger.spent_micros():
                await here.stores.clock.sleep(0)

        assert await here.stores.ledger.spent_micros() > 0

    async def test_a_price_that_takes_too_long_is_left_out(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Slow(FakeModelFacts):
            async def cost_micros(
                self, model: ModelRef, usage: Usage, *, may_load: bool
            ) -> int | None:
                await anyio.sleep_forever()
                return None

        monkeypatch.setattr("tina.assistant.turn.PRICE_LIMIT_S", 0.01)
        async with house("Yes.", facts=Slow()) as here:
            answer = await (await here.send()).result()

        assert answer.status is MessageStatus.COMPLETE


def test_notes_go_through_the_metadata_and_back() -> None:
    notes = AnswerNotes(
        asked_model="a:b", fallback_reason="Busy.", left_out_messages=12
    )

    kept = with_notes({"mine": "x", "asked_model": "old"}, notes)

    assert notes_from(kept) == notes
    assert kept is not None
    assert kept["mine"] == "x"
    assert with_notes({"asked_model": "old"}, AnswerNotes()) is None
    assert notes_from({"left_out_messages": "many"}) == AnswerNotes()
    assert notes_from(None) == AnswerNotes()


async def test_what_a_provider_paused_goes_back_to_it_as_it_is() -> None:
    pausing = Pausing()
    async with house(others={"pausing": pausing}) as here:
        options = TurnOptions(model="pausing:m")
        turn = await here.assistant.send(here.conversation.id, "Why?", options)
        paused = await turn.result()
        again = await here.assistant.continue_answer(here.conversation.id, options)
        resumed = await again.result()

    assert paused.stop_reason is StopReason.PAUSED
    assert resumed.parent_id == paused.id
    assert pausing.requests[-1].messages[-1].text == "Searching."


async def test_what_one_provider_paused_another_continues_in_words() -> None:
    async with house("I go on.", others={"pausing": Pausing()}) as here:
        options = TurnOptions(model="pausing:m")
        turn = await here.assistant.send(here.conversation.id, "Why?", options)
        await turn.result()
        again = await here.assistant.continue_answer(here.conversation.id)
        await again.result()

    (request,) = here.provider.requests
    assert request.messages[-1].text == CONTINUE_PROMPT
