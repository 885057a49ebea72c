import msgspec
import pytest

from tests.providers.anthropic.histories import (
    OWN,
    answer,
    call,
    message,
    note,
    plain,
    replay_of,
    request,
    result,
    user,
)
from tina.domain.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    Replay,
    Role,
    SourcePart,
)
from tina.providers.anthropic.messages import Target, encode_messages, split_system
from tina.providers.lenient import Wire

REAL = Target("anthropic", is_anthropic=True, has_system_role=True)
OTHER = Target("anthropic", is_anthropic=False, has_system_role=False)

THOUGHT = {"type": "thinking", "thinking": "", "signature": "c2ln"}
UNSIGNED = {"type": "thinking", "thinking": "hm", "signature": ""}
HIDDEN = {"type": "redacted_thinking", "data": "b3BhcXVl"}
SEARCH: Wire = {
    "type": "server_tool_use",
    "id": "srv_1",
    "name": "web_search",
    "input": {},
}
FOUND: Wire = {"type": "web_search_tool_result", "tool_use_id": "srv_1", "content": []}
HI = {"type": "text", "text": "Hi"}
WORDS = {"type": "text", "text": "Well."}


def sent(*messages: Message, target: Target = REAL) -> list[tuple[str, object]]:
    wires = encode_messages(messages, request(*messages), target)
    body = plain({"messages": wires})
    return [(str(wire["role"]), wire["content"]) for wire in typed(body["messages"])]


def typed(wires: object) -> list[Wire]:
    return msgspec.convert(wires, list[Wire])


def used(call_id: str, **given: object) -> Wire:
    return {"type": "tool_use", "id": call_id, "name": "look", "input": given}


def returned(call_id: str, content: object = "seen", **rest: object) -> Wire:
    result = {"type": "tool_result", "tool_use_id": call_id, "content": content}
    return {**result, **rest}


def test_roles_take_turns() -> None:
    assert sent(user("a"), user("b"), answer("c"), answer("d"), user("e")) == [
        ("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
        ("assistant", [{"type": "text", "text": "c"}, {"type": "text", "text": "d"}]),
        ("user", [{"type": "text", "text": "e"}]),
    ]


def test_messages_that_say_nothing_are_left_out() -> None:
    assert sent(user("Hi"), answer(" \n"), answer(), user(""), user("\0")) == [
        ("user", [HI])
    ]


def test_a_history_that_begins_with_an_answer_gets_a_prompt_before_it() -> None:
    roles = [role for role, _ in sent(answer("Well."), user("Hi"))]

    assert roles == ["user", "assistant", "user"]


def test_all_results_of_an_answer_stand_first_in_one_message() -> None:
    history = (
        user("Hi"),
        answer("Well.", call("1", '{"a":1}'), call("2")),
        result("2", "second"),
        result("1", "first", is_error=True),
        user("Go on"),
    )

    assert sent(*history)[1:] == [
        ("assistant", [WORDS, used("1", a=1), used("2")]),
        (
            "user",
            [
                returned("1", "first", is_error=True),
                returned("2", "second"),
                {"type": "text", "text": "Go on"},
            ],
        ),
    ]


def test_a_call_without_its_result_is_left_out_and_the_other_way_round() -> None:
    assert sent(user("Hi"), answer("Well.", call("1")), result("2"), user("Hi")) == [
        ("user", [HI]),
        ("assistant", [WORDS]),
        ("user", [HI]),
    ]


def test_ids_that_the_protocol_does_not_know_are_replaced() -> None:
    history = (
        user("Hi"),
        answer(call("call:1"), call("fine_1"), model="openai:gpt"),
        result("call:1"),
        result("fine_1"),
        answer(call("fine_1"), model="openai:gpt"),
        result("fine_1"),
    )

    assert [content for role, content in sent(*history) if role == "assistant"] == [
        [used("toolu_0"), used("fine_1")],
        [used("toolu_1")],
    ]
    assert [content for role, content in sent(*history) if role == "user"][1:] == [
        [returned("toolu_0"), returned("fine_1")],
        [returned("toolu_1")],
    ]


def test_images_of_a_result_stay_in_it() -> None:
    image = ImagePart(media_type="image/png", data=b"png")

    _, _, (_, content) = sent(
        user("Hi"), answer(call("1")), result("1", images=(image,))
    )

    source = {"type": "base64", "media_type": "image/png", "data": "cG5n"}
    blocks = [{"type": "text", "text": "seen"}, {"type": "image", "source": source}]
    assert content == [returned("1", blocks)]


def test_arguments_that_are_no_object_are_wrapped() -> None:
    history = (user("Hi"), answer(call("1", '{"a'), call("2", "")))

    _, (_, content), _ = sent(*history, result("1"), result("2"))

    assert content == [used("1", INVALID_JSON='{"a'), used("2")]


def test_refusals_are_text_and_reasoning_and_sources_are_nothing() -> None:
    parts = (
        ReasoningPart(text="hm"),
        RefusalPart(text="No."),
        SourcePart(title="A page"),
    )

    assert sent(user("Hi"), answer(*parts))[1:] == [
        ("assistant", [{"type": "text", "text": "No."}])
    ]


CONTENT: list[object] = [THOUGHT, HIDDEN, SEARCH, FOUND, {**WORDS, "citations": [{}]}]


def test_an_own_answer_goes_back_as_it_came() -> None:
    history = (user("Hi"), answer("other words", replay=CONTENT), user("Hi"))

    assert sent(*history)[1] == ("assistant", CONTENT)


@pytest.mark.requirement("providers:replay:verbatim")
def test_an_own_answer_goes_back_byte_for_byte() -> None:
    odd = '{"role":"assistant","content":[{"n": 1.50,  "type": "news"},{"type":"x"}]}'
    own = message(Role.ASSISTANT, "Well.", model=OWN, replay=odd)

    wires = encode_messages([user("Hi"), own], request(user("Hi"), own), REAL)

    assert msgspec.json.encode(wires[1]["content"]) == (
        b'[{"n": 1.50,  "type": "news"},{"type":"x"}]'
    )


def test_calls_of_an_own_answer_meet_their_results() -> None:
    blocks = [THOUGHT, {**used("toolu_9", a=1), "caller": {"type": "direct"}}]
    history = (user("Hi"), answer(call("toolu_9"), replay=blocks), result("toolu_9"))

    assert sent(*history)[1:] == [
        ("assistant", blocks),
        ("user", [returned("toolu_9")]),
    ]


UNUSABLE = [
    pytest.param([THOUGHT, used("1"), used("2")], id="a-call-without-a-result"),
    pytest.param([THOUGHT, used("3")], id="a-call-that-is-named-otherwise"),
    pytest.param([THOUGHT, {"type": "tool_use", "id": [1]}], id="an-odd-id"),
]


@pytest.mark.parametrize("blocks", UNUSABLE)
def test_a_replay_whose_calls_do_not_fit_is_not_used(blocks: list[object]) -> None:
    history = (user("Hi"), answer("Well.", call("1"), replay=blocks), result("1"))

    assert sent(*history)[1] == ("assistant", [WORDS, used("1")])


SHAPES = [
    "",
    "[]",
    "null",
    '{"role":"assistant","content":"text"}',
    '{"role":"assistant","content":[]}',
    '{"role":"user","content":[{"type":"text","text":"x"}]}',
    '{"role":"assistant","content":[{"text":"x"}]}',
    '{"role":"assistant","content":["x"]}',
    '[{"type":"message","role":"assistant","content":[]}]',
    '{"role":"assistant","content":[' + "[" * 100_000,
]


@pytest.mark.parametrize("payload", SHAPES)
def test_a_replay_of_another_shape_is_not_used(payload: str) -> None:
    own = message(Role.ASSISTANT, "Well.", model=OWN, replay=payload)

    assert sent(user("Hi"), own)[1] == ("assistant", [WORDS])


def test_the_replay_of_another_provider_is_not_used() -> None:
    other = answer("Well.", model="openai:gpt")
    replay = Replay(provider="openai", payload=replay_of(THOUGHT))

    assert sent(user("Hi"), msgspec.structs.replace(other, replay=replay))[1] == (
        "assistant",
        [WORDS],
    )


@pytest.mark.requirement("providers:replay:verbatim")
def test_thinking_of_another_model_is_dropped() -> None:
    other = answer("Well.", model="anthropic:other", replay=[THOUGHT, HIDDEN, WORDS])

    assert sent(user("Hi"), other)[1] == ("assistant", [WORDS])


def test_thinking_that_nobody_signed_never_goes_to_anthropic() -> None:
    own = answer("Well.", replay=[UNSIGNED, {"type": "thinking"}, WORDS])

    assert sent(user("Hi"), own)[1] == ("assistant", [WORDS])
    assert sent(user("Hi"), own, target=OTHER)[1] == (
        "assistant",
        [UNSIGNED, {"type": "thinking"}, WORDS],
    )


def test_thinking_that_nothing_follows_is_left_out() -> None:
    assert sent(user("Hi"), answer(replay=[WORDS, THOUGHT, HIDDEN]))[1:] == [
        ("assistant", [WORDS])
    ]
    assert sent(user("Hi"), answer(replay=[THOUGHT])) == [("user", [HI])]


def test_empty_text_is_left_out_of_a_replay() -> None:
    blocks = [THOUGHT, {"type": "text", "text": ""}, {"type": "text"}, WORDS]

    assert sent(user("Hi"), answer(replay=blocks))[1] == ("assistant", [THOUGHT, WORDS])


def test_a_paused_answer_is_sent_as_it_is_to_be_continued() -> None:
    assert sent(user("Hi"), answer(replay=[WORDS, SEARCH]))[-1] == (
        "assistant",
        [WORDS, SEARCH],
    )


def test_what_a_server_never_answered_is_left_out_once_a_person_went_on() -> None:
    stray = {**SEARCH, "id": [3]}
    history = (user("Hi"), answer(replay=[WORDS, SEARCH, stray]), user("Hi"))

    assert sent(*history)[1] == ("assistant", [WORDS])


def test_what_a_server_answered_later_stays() -> None:
    history = (
        user("Hi"),
        answer(replay=[WORDS, SEARCH]),
        answer(replay=[FOUND, WORDS]),
        user("Hi"),
    )

    assert sent(*history)[1] == ("assistant", [WORDS, SEARCH, FOUND, WORDS])


def test_notes_before_the_first_prompt_are_system_text() -> None:
    asked = request(note("Be kind."), note(" "), user("Hi"), system="Be brief.")

    system, history = split_system(asked)

    assert [block["text"] for block in system] == ["Be brief.", "Be kind."]
    assert list(history) == [user("Hi")]


LATER = {"type": "text", "text": "<system>\nIt is late.\n</system>"}
NOTES = [
    pytest.param(
        (user("Hi"), note("It is late.")),
        [("user", [HI]), ("system", [{"type": "text", "text": "It is late."}])],
        id="last",
    ),
    pytest.param(
        (user("Hi"), note("It is late."), answer("Well."), user("Hi")),
        [
            ("user", [HI]),
            ("system", [{"type": "text", "text": "It is late."}]),
            ("assistant", [WORDS]),
            ("user", [HI]),
        ],
        id="before-an-answer",
    ),
    pytest.param(
        (user("Hi"), note("It is late."), user("Hi")),
        [("user", [HI, LATER, HI])],
        id="between-prompts",
    ),
    pytest.param(
        (user("Hi"), answer("Well."), note("It is late."), user("Hi")),
        [("user", [HI]), ("assistant", [WORDS]), ("user", [LATER, HI])],
        id="after-an-answer",
    ),
    pytest.param((user("Hi"), note(" ")), [("user", [HI])], id="empty"),
]


@pytest.mark.parametrize(("history", "expected"), NOTES)
def test_a_later_note_stands_where_one_may_stand(
    history: tuple[Message, ...], expected: list[tuple[str, object]]
) -> None:
    assert sent(*history) == expected


def test_who_knows_no_notes_gets_them_as_text_of_the_prompt() -> None:
    assert sent(user("Hi"), note("It is late."), target=OTHER) == [
        ("user", [HI, LATER])
    ]


def test_a_longer_history_begins_like_the_shorter_one() -> None:
    history = [
        user("Hi"),
        answer(call("a:1"), call("x"), replay=None),
        result("a:1"),
        result("x"),
        answer("Well.", replay=CONTENT),
        user("Go on"),
        answer(call("x"), model="openai:gpt"),
        result("x"),
        answer("Done."),
        user("Thanks"),
    ]
    longest = sent(*history)

    for length in (1, 4, 5, 6, 8, 9, 10):  # at each of them something may be asked
        shorter = sent(*history[:length])
        assert longest[: len(shorter)] == shorter
