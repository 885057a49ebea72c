"""What fits is sent, and what is left out is known."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tina.assistant.context import (
    IMAGE_TOKENS,
    MARGIN,
    budget_tokens,
    fit,
    guess_tokens,
    guess_usage,
    history_for,
    request_for,
)
from tina.domain.chat import ChatOptions, Usage
from tina.domain.failures import FailureRecord
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    PINNED,
    FilePart,
    ImagePart,
    Message,
    MessageStatus,
    Part,
    ReasoningPart,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.notes import AnswerNotes
from tina.domain.turns import TurnRequest

CALL = ToolCallPart(call_id=ToolCallId("c"), tool="look", arguments='{"at":"it"}')
RESULT = ToolResultPart(call_id=ToolCallId("c"), content="seen " * 20)


def message(
    role: Role, *parts: Part | str, usage: Usage | None = None, is_pinned: bool = False
) -> Message:
    made = tuple(
        TextPart(text=part) if isinstance(part, str) else part for part in parts
    )
    return Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=made,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        usage=usage,
        metadata={PINNED: "yes"} if is_pinned else None,
    )


def exchange(text: str, *, usage: Usage | None = None) -> list[Message]:
    return [message(Role.USER, text), message(Role.ASSISTANT, text, usage=usage)]


def talk(count: int) -> list[Message]:
    """Exchanges of 108 tokens each, and a question of 54."""
    said = [each for n in range(count) for each in exchange(f"{n:03}." * 50)]
    return [*said, message(Role.USER, "Why?" * 50)]


def test_what_fits_is_sent_whole() -> None:
    history = talk(3)

    assert fit(history, system=None, budget=10_000) == (tuple(history), 3 * 108 + 54, 0)
    assert fit(history, system=None, budget=None).left_out == 0


@pytest.mark.parametrize("slack", [-1, 0, 1])
def test_the_budget_is_kept_to_the_token(slack: int) -> None:
    history = talk(3)
    size = fit(history, system=None, budget=None).tokens

    fitted = fit(history, system=None, budget=size + slack)

    assert (fitted.left_out == 0) is (slack >= 0)
    assert fitted.tokens <= size + slack


@pytest.mark.requirement("context:fits:exchanges-whole")
def test_the_oldest_exchanges_go_first_and_whole() -> None:
    history = talk(10)

    fitted = fit(history, system=None, budget=600)

    assert fitted.left_out % 2 == 0
    assert fitted.messages == tuple(history[fitted.left_out :])
    assert fitted.tokens <= 600


def test_the_last_question_stays_however_large_it_is() -> None:
    history = [*talk(2)[:-1], message(Role.USER, "x" * 100_000)]

    fitted = fit(history, system=None, budget=100)

    assert fitted.messages == (history[-1],)
    assert fitted.left_out == 4


def test_the_beginning_stays_the_same_for_many_turns() -> None:
    """A provider remembers prompts by their beginnings."""
    cuts = [fit(talk(count), system=None, budget=2_000).left_out for count in range(60)]

    changes = sum(one != other for one, other in pairwise(cuts))
    assert cuts == sorted(cuts)
    assert changes <= 60 * 108 / (2_000 / 4)


@pytest.mark.requirement("context:fits:exchanges-whole")
def test_what_is_pinned_and_what_the_system_says_stays() -> None:
    pinned = message(Role.USER, "Remember the key word." * 9, is_pinned=True)
    rule = message(Role.SYSTEM, "Be kind.")
    history = [pinned, *exchange("a" * 400), rule, *exchange("b" * 400), *talk(3)]

    fitted = fit(history, system=None, budget=300)

    assert fitted.messages[:2] == (pinned, rule)
    assert fitted.messages[-1] == history[-1]


@pytest.mark.requirement("context:fits:exchanges-whole")
@pytest.mark.parametrize("is_pinned", [False, True])
def test_a_tool_call_is_never_torn_from_its_result(is_pinned: bool) -> None:
    rounds = [
        message(Role.USER, "Look at it." * 9),
        message(Role.ASSISTANT, CALL, is_pinned=is_pinned),
        message(Role.TOOL, RESULT),
        message(Role.ASSISTANT, "I saw it." * 9),
    ]

    for budget in range(1, 600, 7):
        fitted = fit([*rounds, *rounds, *talk(1)], system=None, budget=budget)
        kinds = [each.role for each in fitted.messages]
        assert kinds.count(Role.TOOL) == sum(
            CALL in each.parts for each in fitted.messages
        )


@given(
    st.lists(st.sampled_from([Role.USER, Role.ASSISTANT, Role.SYSTEM]), max_size=12),
    st.integers(0, 400),
)
def test_nothing_is_reordered_or_made_up(roles: Sequence[Role], budget: int) -> None:
    history = [message(role, f"{n}" * 40) for n, role in enumerate(roles)]
    history.append(message(Role.USER, "And now?"))

    fitted = fit(history, system="s" * 40, budget=budget)

    places = [history.index(each) for each in fitted.messages]
    assert places == sorted(places)
    assert fitted.messages[-1] == history[-1]
    assert len(fitted.messages) + fitted.left_out == len(history)


def test_a_count_of_the_provider_makes_the_guesses_better() -> None:
    plain = fit(talk(2), system=None, budget=None).tokens
    first = message(Role.USER, "a" * 400)
    counted = message(
        Role.ASSISTANT, "b" * 400, usage=Usage(input_tokens=208, output_tokens=200)
    )

    stretched = fit([first, counted, *talk(2)], system=None, budget=None)

    assert stretched.tokens == 2 * (104 + 104 + plain)


@pytest.mark.parametrize(
    ("usage", "notes"),
    [
        pytest.param(Usage(input_tokens=900, is_estimated=True), None, id="a-guess"),
        pytest.param(Usage(input_tokens=0), None, id="none"),
        pytest.param(Usage(output_tokens=9), None, id="unknown"),
        pytest.param(
            Usage(input_tokens=900), AnswerNotes(left_out_messages=3), id="cut"
        ),
    ],
)
def test_a_count_that_says_nothing_is_not_used(
    usage: Usage, notes: AnswerNotes | None
) -> None:
    answer = message(Role.ASSISTANT, "b" * 400, usage=usage)
    if notes is not None:
        answer = answer.given_by("m", notes)

    fitted = fit([message(Role.USER, "a" * 400), answer], system=None, budget=None)

    assert fitted.tokens == 208


def test_the_system_prompt_takes_room() -> None:
    with_it = fit(talk(1), system="s" * 400, budget=None).tokens

    assert with_it == fit(talk(1), system=None, budget=None).tokens + 100


@pytest.mark.parametrize(
    ("part", "tokens"),
    [
        (ImagePart(media_type="image/png", data=b"x" * 10), IMAGE_TOKENS),
        (FilePart(name="a", media_type="text/plain", data=b"x" * 400), 100),
        (FilePart(name="a", media_type="application/pdf", data=b"x" * 400), 20),
        (CALL, 1 + 3),
        (RESULT, 25),
    ],
)
def test_every_part_has_a_size(part: Part, tokens: int) -> None:
    assert (
        fit([message(Role.USER, part)], system=None, budget=None).tokens == tokens + 4
    )


def test_a_letter_beyond_ascii_counts_more() -> None:
    assert guess_tokens("") == 0
    assert guess_tokens("abcde") == 2
    assert guess_tokens("犬" * 4) == 3
    assert guess_tokens("\ud800") == 1


@pytest.mark.parametrize(
    ("window", "answer", "expected"),
    [
        pytest.param(8_000, None, int(6_000 * MARGIN), id="a-quarter"),
        pytest.param(1_000_000, None, int(983_616 * MARGIN), id="not-more-than-needed"),
        pytest.param(8_000, 1_000, int(7_000 * MARGIN), id="as-asked"),
        pytest.param(8_000, 90_000, int(4_000 * MARGIN), id="never-all-of-it"),
        pytest.param(1, None, 1, id="tiny"),
    ],
)
def test_the_window_also_holds_the_answer(
    window: int, answer: int | None, expected: int
) -> None:
    assert budget_tokens(window, answer_tokens=answer) == max(1, expected)


def test_a_guess_is_marked_as_one() -> None:
    asked = fit(talk(1), system=None, budget=None)

    assert guess_usage(asked, [TextPart(text="Because.")], counted=None) == Usage(
        input_tokens=162, output_tokens=2, is_estimated=True
    )
    assert guess_usage(None, [], counted=None).input_tokens is None


def test_what_was_counted_at_the_beginning_is_kept_and_the_rest_guessed() -> None:
    begun = Usage(input_tokens=40, cached_tokens=9, output_tokens=1)
    said = [ReasoningPart(text="x" * 400), TextPart(text="y" * 40), CALL]

    assert guess_usage(None, said, counted=begun) == Usage(
        input_tokens=40, cached_tokens=9, output_tokens=114, is_estimated=True
    )


def refused(kind: str) -> Message:
    failure = FailureRecord(kind=kind, message="No.")
    return structs.replace(message(Role.ASSISTANT), failure=failure)


@pytest.mark.parametrize("kind", ["invalid_request", "context_overflow", "too_large"])
def test_a_prompt_that_was_refused_spoils_no_later_request(kind: str) -> None:
    first = exchange("Hi")
    bad = message(Role.USER, "Look.", ImagePart(media_type="image/png", data=b"junk"))
    again = message(Role.USER, "Then without.")

    assert history_for([*first, bad, refused(kind), again]) == (*first, again)


@pytest.mark.parametrize("kind", ["connection", "rate_limit", "auth"])
def test_a_prompt_that_nobody_heard_is_sent_with_the_next(kind: str) -> None:
    unheard, again = message(Role.USER, "Hello?"), message(Role.USER, "Again?")

    assert history_for([unheard, refused(kind), again]) == (unheard, again)


def test_a_refusal_takes_nothing_but_its_own_prompt() -> None:
    pinned = message(Role.USER, "Be brief.", is_pinned=True)
    call, result = message(Role.ASSISTANT, CALL), message(Role.TOOL, RESULT)
    again = message(Role.USER, "Again?")
    refusal = refused("invalid_request")

    assert history_for([pinned, refusal, again]) == (pinned, again)
    assert history_for([pinned, call, result, refusal]) == (pinned, call, result)
    assert history_for([refusal, again]) == (again,)


def test_a_paused_answer_without_words_goes_back_to_its_provider() -> None:
    replay = Replay(provider="anthropic", payload="{}")
    paused = structs.replace(message(Role.ASSISTANT), replay=replay)

    assert history_for([message(Role.ASSISTANT), paused]) == (paused,)


def test_a_request_is_to_the_model_that_is_asked_now() -> None:
    turn = TurnRequest(model="a:b", options=ChatOptions(seed=1))

    request = request_for(
        turn, model="c:d", system="S", messages=tuple(talk(0)), cache_key="k"
    )

    assert (request.model, request.system, request.cache_key) == ("d", "S", "k")
    assert (request.options.seed, request.messages) == (1, tuple(talk(0)))


def test_a_file_without_a_byte_is_told_instead_of_sent() -> None:
    prompt = message(
        Role.USER,
        "What is it?",
        ImagePart(media_type="image/png", data=b""),
        FilePart(media_type="text/plain", data=b"x", name="a.txt"),
    )

    request = request_for(
        TurnRequest(model="a:b"),
        model="a:b",
        system=None,
        messages=(prompt,),
        cache_key="k",
    )

    kinds = [type(part) for part in request.messages[0].parts]
    assert kinds == [TextPart, TextPart, FilePart]
    assert "left out" in request.messages[0].text
