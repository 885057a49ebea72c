"""The fold of events into parts."""

from datetime import UTC, datetime

import pytest

from tina.assistant import answer as answer_module
from tina.assistant.answer import Answer, keepable
from tina.domain.chat import StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    FellBack,
    Finish,
    KeepAlive,
    LeftOut,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import FailureRecord, TooLargeFailure
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    Message,
    MessageStatus,
    ReasoningPart,
    RefusalPart,
    Replay,
    Role,
    SourcePart,
    TextPart,
    ToolCallPart,
)
from tina.domain.notes import AnswerNotes


def message(model: str) -> Message:
    return Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=Role.ASSISTANT,
        status=MessageStatus.STREAMING,
        parts=(),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        model=model,
    )


def fold(*events: StreamEvent) -> Answer:
    answer = Answer()
    answer.feed(events)
    return answer


def test_parts_stand_in_the_order_in_which_their_blocks_began() -> None:
    answer = fold(
        Start("m"),
        BlockStart("r", BlockKind.REASONING),
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "Hel"),
        TextDelta("r", "hm"),
        TextDelta("text", "lo"),
        KeepAlive(),
        BlockEnd("text"),
    )

    assert answer.parts() == (ReasoningPart(text="hm"), TextPart(text="Hello"))


def test_a_tool_call_keeps_its_arguments_as_written() -> None:
    answer = fold(
        BlockStart("tool:0", BlockKind.TOOL_CALL, ToolCallId("c1"), "look"),
        ToolArgumentsDelta("tool:0", '{"a'),
        ToolArgumentsDelta("tool:0", '":1'),
        BlockStart("tool:1", BlockKind.TOOL_CALL),
    )

    assert answer.parts() == (
        ToolCallPart(call_id=ToolCallId("c1"), tool="look", arguments='{"a":1'),
        ToolCallPart(call_id=ToolCallId("tool:1"), tool="", arguments=""),
    )


def test_a_refusal_is_a_part_of_its_own() -> None:
    answer = fold(BlockStart("x", BlockKind.REFUSAL), TextDelta("x", "No."))

    assert answer.parts() == (RefusalPart(text="No."),)


@pytest.mark.parametrize(
    "kind", [BlockKind.TEXT, BlockKind.REASONING, BlockKind.REFUSAL]
)
def test_blocks_that_said_nothing_are_left_out(kind: BlockKind) -> None:
    assert fold(BlockStart("x", kind), BlockEnd("x")).parts() == ()


def test_text_of_a_block_that_was_not_announced_is_kept() -> None:
    assert fold(TextDelta("text", "Hi")).parts() == (TextPart(text="Hi"),)


def test_a_block_that_begins_twice_keeps_its_text() -> None:
    answer = fold(
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "a"),
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "b"),
    )

    assert answer.parts() == (TextPart(text="ab"),)


def test_the_last_usage_counts() -> None:
    answer = fold(
        UsageUpdate(Usage(output_tokens=1)),
        UsageUpdate(Usage(output_tokens=7)),
        Finish(StopReason.LENGTH),
    )

    assert answer.usage == Usage(output_tokens=7)
    assert answer.finish == Finish(StopReason.LENGTH)


@pytest.mark.parametrize(("length", "fits"), [(9, True), (10, True), (11, False)])
def test_an_answer_has_a_longest_length(
    monkeypatch: pytest.MonkeyPatch, length: int, fits: bool
) -> None:
    monkeypatch.setattr(answer_module, "MAX_ANSWER_CHARS", 10)
    answer = fold(TextDelta("text", "x" * (length - 1)))

    if fits:
        answer.feed([TextDelta("text", "y")])
    else:
        with pytest.raises(TooLargeFailure, match="longer"):
            answer.feed([TextDelta("text", "y")])

    kept = "".join(part.text for part in answer.parts() if isinstance(part, TextPart))
    assert kept == "x" * (length - 1) + ("y" if fits else "")


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, True), (4, False)])
def test_an_answer_has_a_largest_number_of_pieces(
    monkeypatch: pytest.MonkeyPatch, count: int, fits: bool
) -> None:
    monkeypatch.setattr(answer_module, "MAX_EVENTS", 3)
    deltas = [TextDelta("text", "x")] * count

    if fits:
        fold(*deltas)
    else:
        with pytest.raises(TooLargeFailure, match="pieces"):
            fold(*deltas)


def test_what_is_kept_can_be_held_by_every_database() -> None:
    events = [
        Start("m"),
        KeepAlive(),
        TextDelta("text", "fine"),
        TextDelta("text", "a\ud800b\0"),
        ToolArgumentsDelta("t", "\0{}"),
        ToolArgumentsDelta("t", "{}"),
        BlockStart("t", BlockKind.TOOL_CALL, call_id=ToolCallId("1\0"), tool="\ud800"),
        BlockStart("t", BlockKind.TOOL_CALL, call_id=ToolCallId("1"), tool="look"),
        BlockStart("u", BlockKind.TEXT),
        TextDelta("k\ud800", "good"),
        UsageUpdate(Usage(input_tokens=2**70, output_tokens=-1, cached_tokens=3)),
        Finish(
            StopReason.STOP,
            raw_reason="s\0",
            replay=Replay(provider="p", payload="\ud800"),
        ),
    ]

    assert keepable(events) == [
        Start("m"),
        TextDelta("text", "fine"),
        TextDelta("text", "a\ufffdb"),
        ToolArgumentsDelta("t", "{}"),
        ToolArgumentsDelta("t", "{}"),
        BlockStart("t", BlockKind.TOOL_CALL, call_id=ToolCallId("1"), tool="\ufffd"),
        BlockStart("t", BlockKind.TOOL_CALL, call_id=ToolCallId("1"), tool="look"),
        BlockStart("u", BlockKind.TEXT),
        TextDelta("k\ufffd", "good"),
        UsageUpdate(Usage(cached_tokens=3)),
        Finish(
            StopReason.STOP,
            raw_reason="s",
            replay=Replay(provider="p", payload="\ufffd"),
        ),
    ]


@pytest.mark.parametrize(("count", "fits"), [(2, True), (3, True), (4, False)])
def test_an_answer_has_a_largest_number_of_blocks(
    monkeypatch: pytest.MonkeyPatch, count: int, fits: bool
) -> None:
    monkeypatch.setattr(answer_module, "MAX_BLOCKS", 3)
    starts = [BlockStart(str(number), BlockKind.TEXT) for number in range(count)]

    if fits:
        fold(*starts)
    else:
        with pytest.raises(TooLargeFailure, match="blocks"):
            fold(*starts)


def test_an_answer_is_told_again_in_few_events() -> None:
    said = [
        BlockStart("r", BlockKind.REASONING),
        BlockStart("text", BlockKind.TEXT),
        TextDelta("r", "h"),
        TextDelta("text", "Hel"),
        TextDelta("r", "m"),
        TextDelta("text", "lo"),
        BlockStart("tool", BlockKind.TOOL_CALL, ToolCallId("c1"), "look"),
        ToolArgumentsDelta("tool", '{"a'),
        ToolArgumentsDelta("tool", '":1'),
        BlockStart("empty", BlockKind.TEXT),
        UsageUpdate(Usage(output_tokens=3)),
    ]
    answer = fold(*said)

    events = answer.as_events()

    again = fold(*events)
    assert len(events) == 8
    assert (again.parts(), again.usage) == (answer.parts(), answer.usage)
    assert again.as_events() == events


def test_an_answer_that_said_nothing_is_told_in_no_event() -> None:
    assert fold(Start("m"), KeepAlive()).as_events() == []


def test_what_happened_before_is_told_again_and_stands_in_the_message() -> None:
    busy = FailureRecord(kind="overloaded", message="Too busy.")
    gone = FailureRecord(kind="server", message="Gone.")
    answer = fold(
        LeftOut(12),
        FellBack("b:m", busy),
        FellBack("c:m", gone),
        LeftOut(4),
        LeftOut(6),
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "It is so."),
        Citation("text", "A book"),
        Citation("text", "A page", "https://example.org/"),
        Citation("text", "A book"),
    )

    again = fold(*answer.as_events())

    assert (
        again.parts()
        == answer.parts()
        == (
            TextPart(text="It is so."),
            SourcePart(title="A book"),
            SourcePart(title="A page", url="https://example.org/"),
        )
    )
    asked = message("a:m")
    assert again.given(asked) == answer.given(asked)
    assert answer.given(asked).model == "c:m"
    assert answer.given(asked).notes == AnswerNotes(
        asked_model="a:m", fallback_reason="Too busy.", left_out_messages=6
    )
    assert fold().given(asked) is asked
    fallen = fold(LeftOut(12), FellBack("b:m", busy)).given(asked)
    assert fallen.notes.left_out_messages == 0


@pytest.mark.parametrize("surplus", [0, 1])
def test_sources_and_fallbacks_are_bounded(surplus: int) -> None:
    record = FailureRecord(kind="server", message="Gone.")
    sources = answer_module.MAX_SOURCES + surplus
    answer = fold(
        *(Citation("text", f"{number}") for number in range(sources)),
        *(FellBack("b:m", record) for _ in range(answer_module.MAX_FALLBACKS)),
        FellBack("c:m", record),
    )

    assert len(answer.parts()) == answer_module.MAX_SOURCES
    assert answer.given(message("a:m")).model == "b:m"
