import msgspec
import pytest

from tests.providers.anthropic.streams import (
    arguments_of,
    begin,
    call,
    content_of,
    decode,
    delta,
    end,
    finish_of,
    start,
    stop,
    text_of,
)
from tina.domain.events import BlockEnd, BlockKind, BlockStart, StreamEvent
from tina.domain.failures import ProtocolFailure
from tina.domain.ids import ToolCallId
from tina.providers.anthropic.events import Delta, Event
from tina.providers.anthropic.open_blocks import OpenBlocks

TEXT = {"type": "text", "text": ""}


def blocks_of(events: list[StreamEvent]) -> list[tuple[str, BlockKind]]:
    return [
        (event.key, event.kind) for event in events if isinstance(event, BlockStart)
    ]


def test_events_without_an_index_belong_to_the_newest_block() -> None:
    events = decode(
        start(),
        begin(None, TEXT),
        delta(None, "text_delta", text="a"),
        end(None),
        begin(None, TEXT),
        delta(None, "text_delta", text="b"),
        end(None),
        *stop(),
    )

    assert text_of(events) == "ab"
    assert len(blocks_of(events)) == 2


def test_an_index_that_is_used_again_is_another_block() -> None:
    events = decode(
        start(),
        begin(0, TEXT),
        delta(0, "text_delta", text="a"),
        begin(0, {"type": "tool_use", "id": "1", "name": "look"}),
        delta(0, "input_json_delta", partial_json="{}"),
        end(0),
        begin(0, TEXT),
        delta(0, "text_delta", text="b"),
        *stop(),
    )

    assert blocks_of(events) == [
        ("0", BlockKind.TEXT),
        ("1", BlockKind.TOOL_CALL),
        ("2", BlockKind.TEXT),
    ]
    assert arguments_of(events, "1") == "{}"
    assert [event.key for event in events if isinstance(event, BlockEnd)] == list("012")


def test_a_doubtful_call_ends_although_its_index_is_used_again() -> None:
    events = decode(start(), *call(0, "1", "{"), *call(0, "2", "{}"), *stop())

    ends = {event.key for event in events if isinstance(event, BlockEnd)}
    assert ends == {"0", "1"}


@pytest.mark.parametrize("index", [5, None])
def test_text_without_a_block_gets_one(index: int | None) -> None:
    events = decode(
        delta(index, "text_delta", text="a"),
        delta(index, "text_delta", text="b"),
        delta(9, "thinking_delta", thinking="hm"),
        *stop(),
    )

    assert text_of(events) == "abhm"
    assert blocks_of(events) == [("0", BlockKind.TEXT), ("1", BlockKind.REASONING)]


def test_text_after_the_end_of_its_block_is_not_lost() -> None:
    late = delta(0, "text_delta", text="b")

    events = decode(start(), begin(0, TEXT), end(0), end(0), late, *stop())

    assert text_of(events) == "b"


def test_a_piece_of_a_call_that_nobody_began_is_refused() -> None:
    with pytest.raises(ProtocolFailure, match="part of a tool call"):
        decode(start(), delta(0, "input_json_delta", partial_json="{"), *stop())


def test_an_invented_id_names_the_answer() -> None:
    events = decode(start(), begin(0, {"type": "tool_use", "name": "look"}), *stop())

    call_id = ToolCallId("toolu_0_msg_1")
    assert BlockStart("0", BlockKind.TOOL_CALL, call_id, "look") in events


def test_a_block_without_a_type_is_not_sent_back() -> None:
    events = decode(start(), begin(0, {"news": 1}), end(0), *stop())

    assert finish_of(events).replay is None


def test_blocks_that_came_whole_are_told_like_others() -> None:
    blocks = OpenBlocks()
    content = [raw(TEXT), raw({"type": "tool_use", "id": "1"}), msgspec.Raw(b"3")]

    events = blocks.take_all(content, spare_id="x")

    assert blocks_of(events) == [("0", BlockKind.TEXT), ("1", BlockKind.TOOL_CALL)]
    assert blocks.close(is_cut=False) == []


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def test_what_is_abandoned_is_incomplete_unless_nobody_reads_it() -> None:
    blocks = OpenBlocks()
    for index, kind in enumerate(("text", "news", "tool_use")):
        event = Event(index=index, content_block=raw({"type": kind}))
        blocks.begin(event, spare_id="x")
    cut = Delta(type="input_json_delta", partial_json="{")
    blocks.add(Event(index=2, delta=cut))
    blocks.add(Event(index=0))
    blocks.end(Event(index=2))

    assert blocks.abandon() == [
        BlockEnd("2", is_incomplete=True),
        BlockEnd("0", is_incomplete=True),
    ]


def test_a_delta_of_an_unknown_kind_begins_nothing() -> None:
    blocks = OpenBlocks()

    assert blocks.add(Event(index=7, delta=Delta(type="news_delta"))) == []
    assert blocks.close(is_cut=False) == []


def test_what_parts_cannot_express_is_replayed() -> None:
    events = decode(start(), begin(0, {"type": "news", "a": 1}), end(0), *stop())

    assert content_of(finish_of(events).replay) == [{"type": "news", "a": 1}]


def test_a_stray_part_ends_the_block_whose_place_it_takes() -> None:
    events = decode(
        start(),
        begin(1, TEXT),
        begin(0, TEXT),
        delta(0, "text_delta", text="a"),
        end(0),
        delta(None, "text_delta", text="b"),
        *stop(),
    )

    began = [key for key, _ in blocks_of(events)]
    ended = [event.key for event in events if isinstance(event, BlockEnd)]
    assert sorted(ended) == sorted(began)
    assert len(began) == 3
    assert text_of(events) == "ab"
