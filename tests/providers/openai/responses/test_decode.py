"""The decoder of the Responses API: recordings, and what llama.cpp cannot say."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tina.domain.chat import StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    Finish,
    KeepAlive,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
    merge_deltas,
)
from tina.domain.failures import (
    BillingFailure,
    Failure,
    InvalidRequestFailure,
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    ServerFailure,
    TruncatedFailure,
)
from tina.networking.sse import SseDecoder
from tina.providers.openai.responses.decode import ResponsesDecoder

RECORDINGS = Path(__file__).parents[3] / "recordings"
STREAMS = sorted(RECORDINGS.glob("*resp_*.sse"))
WHOLE = sorted(RECORDINGS.glob("resp_*_nonstream.json"))
ERRORS = sorted(RECORDINGS.glob("*err_*resp_*.json")) + sorted(
    RECORDINGS.glob("resp_err_*.json")
)

MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look"}


def event(name: str, **fields: object) -> bytes:
    return msgspec.json.encode({"type": name, **fields})


def created(**fields: object) -> bytes:
    return event(
        "response.created", response={"id": "resp_1", "model": "gpt-9", **fields}
    )


def completed(*output: object, **fields: object) -> bytes:
    response = {"id": "resp_1", "status": "completed", "output": output, **fields}
    return event("response.completed", response=response)


def added(index: int | None, item: object) -> bytes:
    place = {} if index is None else {"output_index": index}
    return event("response.output_item.added", item=item, **place)


def done(index: int | None, item: object) -> bytes:
    place = {} if index is None else {"output_index": index}
    return event("response.output_item.done", item=item, **place)


def text(delta: str, index: int = 0, part: int = 0) -> bytes:
    return event(
        "response.output_text.delta",
        output_index=index,
        content_index=part,
        item_id=f"msg_{index}",
        delta=delta,
    )


def arguments(delta: str, index: int) -> bytes:
    return event(
        "response.function_call_arguments.delta", output_index=index, delta=delta
    )


def message(*parts: object, **fields: object) -> dict[str, object]:
    return {**MESSAGE, "status": "completed", "content": list(parts), **fields}


def output_text(said: str, *annotations: object) -> dict[str, object]:
    return {"type": "output_text", "text": said, "annotations": list(annotations)}


def feed_all(decoder: ResponsesDecoder, *payloads: bytes | str) -> list[StreamEvent]:
    return [said for payload in payloads for said in decoder.feed(payload)]


def decode(*payloads: bytes | str, max_tokens: int | None = None) -> list[StreamEvent]:
    decoder = ResponsesDecoder(model="asked", max_tokens=max_tokens)
    return merge_deltas([*feed_all(decoder, *payloads), *decoder.finish()])


def decode_stream(stream: bytes, sizes: list[int] | None = None) -> list[StreamEvent]:
    """The events of a stream that is cut into pieces of these sizes."""
    sse, decoder = SseDecoder(), ResponsesDecoder(model="asked")
    said: list[StreamEvent] = []
    for piece in pieces_of(stream, sizes or [len(stream)]):
        for sent in sse.feed(piece):
            said += decoder.feed(sent.data, event=sent.event)
    return merge_deltas([*said, *decoder.finish()])


def pieces_of(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces: list[bytes] = []
    at = number = 0
    while at < len(stream):
        size = sizes[number % len(sizes)]
        pieces.append(stream[at : at + size])
        at, number = at + size, number + 1
    return pieces


def text_of(events: list[StreamEvent], *kinds: BlockKind) -> list[str]:
    """What each block of these kinds says."""
    keys = [
        said.key
        for said in events
        if isinstance(said, BlockStart) and said.kind in (kinds or (BlockKind.TEXT,))
    ]
    return [
        "".join(
            said.text if isinstance(said, TextDelta) else said.fragment
            for said in events
            if isinstance(said, TextDelta | ToolArgumentsDelta) and said.key == key
        )
        for key in keys
    ]


def calls_of(events: list[StreamEvent]) -> list[tuple[str | None, str | None, str]]:
    """Id, name and arguments of each call."""
    starts = [
        said
        for said in events
        if isinstance(said, BlockStart) and said.kind is BlockKind.TOOL_CALL
    ]
    told = text_of(events, BlockKind.TOOL_CALL)
    return [
        (start.call_id, start.tool, said)
        for start, said in zip(starts, told, strict=True)
    ]


def finish_of(events: list[StreamEvent]) -> Finish:
    finish = events[-1]
    assert isinstance(finish, Finish)
    return finish


def items_of(events: list[StreamEvent]) -> object:
    replay = finish_of(events).replay
    assert replay is not None
    return msgspec.json.decode(replay.payload)["output"]


def assert_in_order(events: list[StreamEvent]) -> None:
    """What a stream promises: blocks begin once, end once, and say nothing outside."""
    opened: set[str] = set()
    ended: set[str] = set()
    assert isinstance(events[0], Start)
    for said in events:
        match said:
            case BlockStart(key=key):
                assert key not in opened
                opened.add(key)
            case TextDelta(key=key) | ToolArgumentsDelta(key=key):
                assert key in opened - ended
            case BlockEnd(key=key):
                assert key in opened - ended
                ended.add(key)
            case _:
                continue
    assert opened == ended
    assert sum(isinstance(said, Finish) for said in events) == 1


# Recordings


def test_recorded_text_is_exact() -> None:
    events = decode_stream((RECORDINGS / "resp_text_stream.sse").read_bytes())

    assert events[:3] == [
        Start("asked", response_id="resp_P8FhHXCgJg8nPqhpSA5jQBHbKbJCC0Yf"),
        BlockStart("0.text.0", BlockKind.TEXT),
        TextDelta("0.text.0", "1. Grapefruit\n2. Oranges\n3"),
    ]
    assert events[3:5] == [
        BlockEnd("0.text.0"),
        UsageUpdate(Usage(input_tokens=22, output_tokens=12, cached_tokens=12)),
    ]
    assert finish_of(events).reason is StopReason.STOP


def test_a_recorded_call_is_exact() -> None:
    events = decode_stream((RECORDINGS / "resp_tools_stream.sse").read_bytes())

    assert calls_of(events) == [
        (
            "call_Hylf5BkJNTi9HoAWzwzvAy4sfWIV15w1",
            "get_weather",
            '{"city": "Paris", "unit": "celsius"}',
        )
    ]
    assert finish_of(events).reason is StopReason.TOOL_CALLS


def test_a_recorded_answer_in_one_piece_tells_reasoning_and_text() -> None:
    body = (RECORDINGS / "resp_reasoning_nonstream.json").read_bytes()

    events = decode(body)

    assert text_of(events, BlockKind.REASONING) == ["I add 3 and 3.\n"]
    assert text_of(events) == ["The sum is 6."]
    assert items_of(events) == msgspec.json.decode(body)["output"]


@pytest.mark.requirement("providers:capture:any-cut")
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_a_recording_byte_by_byte_says_the_same(path: Path) -> None:
    stream = path.read_bytes()

    assert decode_stream(stream, [1]) == decode_stream(stream)
    assert_in_order(decode_stream(stream))


@pytest.mark.requirement("providers:capture:any-cut")
@settings(deadline=None, max_examples=40)
@given(
    path=st.sampled_from(STREAMS),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=9),
)
def test_a_recording_cut_anywhere_says_the_same(path: Path, sizes: list[int]) -> None:
    stream = path.read_bytes()

    assert decode_stream(stream, sizes) == decode_stream(stream)


@pytest.mark.requirement("providers:cut:exact-prefix")
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_a_recording_that_ends_early_is_an_exact_prefix_and_truncated(
    path: Path,
) -> None:
    stream = path.read_bytes()
    whole = decode_stream(stream)
    ends_at = stream.index(b"event: response.completed")
    sse, decoder = SseDecoder(), ResponsesDecoder(model="asked")
    said: list[StreamEvent] = []

    for at in range(ends_at):
        for sent in sse.feed(stream[at : at + 1]):
            said += decoder.feed(sent.data, event=sent.event)
        assert not decoder.is_done
        with pytest.raises((TruncatedFailure, ProtocolFailure)):
            decoder.finish()
        told = "".join([*text_of(said), *(call[2] for call in calls_of(said))])
        complete = "".join([*text_of(whole), *(call[2] for call in calls_of(whole))])
        assert complete.startswith(told)
    ends = [end for end in decoder.abandon() if isinstance(end, BlockEnd)]
    assert all(end.is_incomplete for end in ends)


@pytest.mark.requirement("providers:unknown:costs-nothing")
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_unknown_events_and_fields_change_nothing(path: Path) -> None:
    stream = path.read_bytes()
    strange = (
        b'event: response.later.invented\ndata: {"type":"response.later.invented",'
        b'"delta":"no","item":{"type":"message"},"output_index":7}\n\n'
        b'data: {"type":"later.invented","delta":"no"}\n\n'
        b"event: ping\ndata: not JSON\n\n"
        b'data: {"nothing":"known"}\n\n'
    )
    blocks = [*stream.rstrip(b"\n").split(b"\n\n")]
    filled = b"".join(strange + block + b"\n\n" for block in blocks)
    filled = filled.replace(
        b'data: {"type":"response.', b'data: {"?":[{}],"type":"response.'
    )

    assert decode_stream(filled) == decode_stream(stream)


def test_unknown_items_and_parts_say_nothing_and_are_kept() -> None:
    later = {"type": "later_invented", "id": "x_1", "text": "no", "content": "no"}
    answer = message(output_text("Yes."), {"type": "later_part", "text": "no"})

    events = decode(
        created(),
        added(0, later),
        done(0, later),
        text("Yes.", 1),
        done(1, answer),
        completed(),
    )

    assert text_of(events) == ["Yes."]
    assert items_of(events) == [later, answer]


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_a_recorded_error_with_status_200_is_a_failure(path: Path) -> None:
    with pytest.raises(InvalidRequestFailure):
        decode(path.read_bytes())


def test_there_is_a_recording_of_each_kind() -> None:
    assert (len(STREAMS), len(WHOLE), len(ERRORS)) == (3, 3, 4)


# What the stream of OpenAI says


def test_calls_whose_fragments_are_mixed_are_kept_apart() -> None:
    second = {**CALL, "id": "fc_2", "call_id": "call_2", "name": "listen"}

    events = decode(
        created(),
        added(0, {**CALL, "arguments": ""}),
        added(1, {**second, "arguments": ""}),
        arguments('{"a"', 0),
        arguments('{"b"', 1),
        arguments(":1}", 0),
        arguments(":2}", 1),
        done(1, {**second, "arguments": '{"b":2}', "status": "completed"}),
        done(0, {**CALL, "arguments": '{"a":1}', "status": "completed"}),
        completed(),
    )

    assert calls_of(events) == [
        ("call_1", "look", '{"a":1}'),
        ("call_2", "listen", '{"b":2}'),
    ]
    assert finish_of(events).reason is StopReason.TOOL_CALLS
    assert_in_order(events)


def test_summaries_are_a_block_each_and_their_item_goes_back_encrypted() -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "encrypted_content": "gAAAA",
        "summary": [
            {"type": "summary_text", "text": "First."},
            {"type": "summary_text", "text": "Second."},
        ],
    }

    def summary(number: int, ending: str, **fields: object) -> bytes:
        name = f"response.reasoning_summary_text.{ending}"
        return event(name, output_index=0, summary_index=number, **fields)

    events = decode(
        created(),
        added(0, {"type": "reasoning", "id": "rs_1", "summary": []}),
        summary(0, "delta", delta="Fir"),
        summary(0, "delta", delta="st."),
        summary(0, "done", text="First."),
        summary(1, "delta", delta="Second."),
        done(0, thought),
        text("So.", 1),
        done(1, message(output_text("So."), phase="final_answer")),
        completed(),
    )

    assert text_of(events, BlockKind.REASONING) == ["First.", "Second."]
    assert items_of(events) == [
        thought,
        message(output_text("So."), phase="final_answer"),
    ]
    assert_in_order(events)


def test_raw_reasoning_that_ends_after_the_text_overlaps_it() -> None:
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "content": [{"type": "reasoning_text", "text": "Hm."}],
    }

    events = decode(
        created(),
        added(None, {"type": "reasoning", "id": "rs_1"}),
        event("response.reasoning_text.delta", item_id="rs_1", delta="Hm."),
        added(None, MESSAGE),
        event("response.output_text.delta", item_id="msg_1", delta="Yes."),
        done(None, thought),
        done(None, message(output_text("Yes."))),
        completed(thought, message(output_text("Yes."))),
    )

    assert text_of(events, BlockKind.REASONING) == ["Hm."]
    assert text_of(events) == ["Yes."]
    assert items_of(events) == [thought, message(output_text("Yes."))]
    assert_in_order(events)


def test_a_refusal_is_no_text() -> None:
    refusal = {"type": "refusal", "refusal": "I will not."}

    events = decode(
        created(),
        event("response.refusal.delta", output_index=0, delta="I will "),
        event("response.refusal.done", output_index=0, refusal="I will not."),
        done(0, message(refusal)),
        completed(),
    )

    assert text_of(events, BlockKind.REFUSAL) == ["I will not."]
    assert finish_of(events).reason is StopReason.CONTENT_FILTER


def test_sources_are_cited_once() -> None:
    page = {"type": "url_citation", "url": "https://a.example/", "title": "A"}
    file = {"type": "file_citation", "filename": "b.pdf"}

    events = decode(
        created(),
        text("It is so."),
        event("response.output_text.annotation.added", output_index=0, annotation=page),
        event("response.output_text.annotation.added", output_index=0, annotation={}),
        done(0, message(output_text("It is so.", page, file, {"type": "odd"}))),
        completed(),
    )

    assert [said for said in events if isinstance(said, Citation)] == [
        Citation("0.text.0", "A", "https://a.example/"),
        Citation("0.text.0", "b.pdf"),
    ]


def test_a_source_may_come_before_the_text() -> None:
    page = {"type": "url_citation", "url": "https://a.example/"}

    events = decode(
        event("response.output_text.annotation.added", output_index=0, annotation=page),
        text("So."),
        completed(),
    )

    assert Citation("0.text.0", "https://a.example/", "https://a.example/") in events
    assert_in_order(events)


def test_work_at_the_server_is_a_sign_of_life_and_its_item_goes_back() -> None:
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}

    events = decode(
        created(),
        added(0, search),
        event("response.web_search_call.searching", output_index=0),
        event("response.code_interpreter_call_code.delta", output_index=0, delta="x"),
        done(0, search),
        completed(),
    )

    assert events.count(KeepAlive()) == 2
    assert items_of(events) == [search]


def test_named_work_is_a_sign_of_life_whatever_it_says() -> None:
    assert ResponsesDecoder().feed(
        "?", event="response.image_generation_call.partial_image"
    ) == [KeepAlive()]


def test_an_answer_that_hit_the_limit_says_so_and_its_cut_call_is_incomplete() -> None:
    events = decode(
        created(),
        added(0, CALL),
        arguments('{"a', 0),
        done(0, {**CALL, "arguments": '{"a', "status": "incomplete"}),
        event(
            "response.incomplete",
            response={
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
        ),
    )

    assert BlockEnd("0.call", is_incomplete=True) in events
    assert finish_of(events).reason is StopReason.LENGTH
    assert finish_of(events).raw_reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("details", "reason", "raw_reason"),
    [
        ({"reason": "content_filter"}, StopReason.CONTENT_FILTER, "content_filter"),
        ({"reason": "steered"}, StopReason.UNKNOWN, "steered"),
        ({"reason": 5}, StopReason.UNKNOWN, "incomplete"),
        (None, StopReason.UNKNOWN, "incomplete"),
    ],
)
def test_why_an_answer_is_incomplete_is_told(
    details: object, reason: StopReason, raw_reason: str
) -> None:
    events = decode(
        created(),
        text("Half"),
        event("response.incomplete", response={"incomplete_details": details}),
    )

    assert text_of(events) == ["Half"]
    assert finish_of(events).reason is reason
    assert finish_of(events).raw_reason == raw_reason


def test_what_only_the_end_tells_is_said_then() -> None:
    first, second = message(output_text("One.")), {**CALL, "arguments": "{}"}

    events = decode(created(), text("On"), done(0, first), completed(first, second))

    assert text_of(events) == ["One."]
    assert calls_of(events) == [("call_1", "look", "{}")]
    assert items_of(events) == [first, second]


def test_an_end_without_output_leaves_what_was_finished() -> None:
    events = decode(
        created(),
        done(0, message(output_text("One."))),
        event("response.completed", response={"output": None}),
    )

    assert text_of(events) == ["One."]
    assert items_of(events) == [message(output_text("One."))]


def test_items_are_kept_in_the_order_of_their_places() -> None:
    events = decode(
        created(),
        done(1, {**MESSAGE, "id": "b"}),
        done(0, {**MESSAGE, "id": "a"}),
        completed(),
    )

    assert items_of(events) == [{**MESSAGE, "id": "a"}, {**MESSAGE, "id": "b"}]


def test_items_are_kept_byte_for_byte() -> None:
    item = '{"type":"message", "n":1e400,"id":"m","content":[ ]}'

    events = decode(
        '{"type":"response.output_item.done","item":' + item + "}", completed()
    )

    replay = finish_of(events).replay
    assert replay is not None
    assert (replay.provider, replay.payload) == ("openai", f'{{"output":[{item}]}}')


def test_an_answer_without_items_has_nothing_to_give_back() -> None:
    events = decode(created(), text("Yes."), completed())

    assert finish_of(events).replay is None
    assert text_of(events) == ["Yes."]


def test_counts_are_told_once_and_absurd_ones_not() -> None:
    usage = {
        "input_tokens": 40,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 5},
        "output_tokens": -1,
        "output_tokens_details": {"reasoning_tokens": 7},
    }

    events = decode(created(), completed(usage=usage))

    assert [said for said in events if isinstance(said, UsageUpdate)] == [
        UsageUpdate(
            Usage(
                input_tokens=40,
                cached_tokens=30,
                cache_write_tokens=5,
                reasoning_tokens=7,
            )
        )
    ]


@pytest.mark.parametrize("usage", [None, {}, "many", {"input_tokens": "40"}])
def test_an_answer_without_counts_has_none(usage: object) -> None:
    events = decode(created(), completed(usage=usage))

    assert not any(isinstance(said, UsageUpdate) for said in events)


# What other servers do


def test_an_answer_of_the_allowed_length_was_cut_though_it_is_called_complete() -> None:
    events = decode(
        created(), text("One, two"), completed(usage={"output_tokens": 4}), max_tokens=4
    )

    assert finish_of(events).reason is StopReason.LENGTH


def test_a_call_cut_by_the_limit_is_incomplete_though_it_is_called_complete() -> None:
    call = {**CALL, "arguments": '{"a', "status": "completed"}

    events = decode(
        created(), done(0, call), completed(usage={"output_tokens": 4}), max_tokens=4
    )

    assert BlockEnd("0.call", is_incomplete=True) in events
    assert finish_of(events).reason is StopReason.LENGTH


def test_a_whole_call_of_exactly_the_allowed_length_is_a_call() -> None:
    events = decode(
        created(),
        done(0, {**CALL, "arguments": "{}"}),
        completed(usage={"output_tokens": 4}),
        max_tokens=4,
    )

    assert finish_of(events).reason is StopReason.TOOL_CALLS


def test_a_shorter_answer_is_complete() -> None:
    events = decode(
        created(), text("One"), completed(usage={"output_tokens": 3}), max_tokens=4
    )

    assert finish_of(events).reason is StopReason.STOP


def test_items_without_any_name_are_told_apart_by_their_beginnings() -> None:
    events = decode(
        created(),
        added(None, {"type": "message"}),
        event("response.output_text.delta", delta="One."),
        done(None, {"type": "message", "content": [output_text("One.")]}),
        added(None, {"type": "message"}),
        event("response.output_text.delta", delta="Two."),
        done(None, {"type": "message", "content": [output_text("Two.")]}),
        event("response.output_text.delta", delta="Three."),
        completed(),
    )

    assert text_of(events) == ["One.", "Two.", "Three."]


def test_an_item_that_is_first_known_by_its_id_gets_its_place_later() -> None:
    events = decode(
        created(),
        event("response.output_text.delta", item_id="msg_1", delta="One"),
        event("response.output_text.delta", item_id="msg_1", output_index=0, delta="."),
        done(0, message(output_text("One."))),
        completed(),
    )

    assert text_of(events) == ["One."]


def test_two_places_with_one_id_are_two_items() -> None:
    events = decode(
        created(),
        event("response.output_text.delta", item_id="m", output_index=0, delta="One"),
        event("response.output_text.delta", item_id="m", output_index=1, delta="Two"),
        completed(),
    )

    assert text_of(events) == ["One", "Two"]


def test_a_final_text_that_goes_on_is_said_and_another_one_is_not() -> None:
    events = decode(
        created(),
        text("On", 0),
        event("response.output_text.done", output_index=0, text="One."),
        text("late", 0),
        text("Two", 1),
        event("response.output_text.done", output_index=1, text="too"),
        event("response.output_text.done", output_index=2, text=""),
        completed(),
    )

    assert text_of(events) == ["One.", "Two"]
    assert_in_order(events)


def test_reasoning_that_is_told_again_under_another_name_is_said_once() -> None:
    thought = {
        "type": "reasoning",
        "content": [{"type": "reasoning_text", "text": "Hm."}],
    }

    events = decode(
        created(),
        event("response.reasoning_summary_text.delta", output_index=0, delta="Hm."),
        done(0, thought),
        completed(),
    )

    assert text_of(events, BlockKind.REASONING) == ["Hm."]


def test_two_parts_that_say_the_same_are_both_said() -> None:
    item = message(output_text("Ha."), output_text("Ha."))

    assert text_of(decode(created(), done(0, item), completed())) == ["Ha.", "Ha."]


def test_a_text_that_ends_twice_is_said_once() -> None:
    ended = event("response.output_text.done", output_index=0, text="One.")

    assert text_of(decode(created(), ended, ended, completed())) == ["One."]


def test_an_item_that_is_finished_twice_is_said_once() -> None:
    item = message(output_text("One."))

    events = decode(created(), done(0, item), done(0, item), completed())

    assert text_of(events) == ["One."]
    assert items_of(events) == [item]


def test_an_event_that_comes_twice_is_read_once_where_events_are_numbered() -> None:
    def numbered(number: int, delta: str) -> bytes:
        return event("response.output_text.delta", sequence_number=number, delta=delta)

    events = decode(
        numbered(1, "ha"),
        numbered(2, "ha"),
        numbered(2, "ha"),
        numbered(2, "!"),
        completed(),
    )

    assert text_of(events) == ["haha!"]


def test_events_that_all_have_the_same_number_are_all_read() -> None:
    same = event("response.output_text.delta", sequence_number=0, delta="ha")

    events = decode(
        same,
        same,
        event("response.output_text.delta", sequence_number=-1, delta="!"),
        event("response.output_text.delta", sequence_number=-1, delta="!"),
        completed(),
    )

    assert text_of(events) == ["haha!!"]


# Calls


def test_a_call_whose_name_comes_last_loses_nothing() -> None:
    events = decode(
        created(),
        arguments('{"a":', 0),
        arguments("1}", 0),
        done(0, {**CALL, "arguments": '{"a":1}'}),
        completed(),
    )

    assert calls_of(events) == [("call_1", "look", '{"a":1}')]


def test_a_call_that_never_gets_a_name_is_told_all_the_same() -> None:
    events = decode(created(), arguments('{"a":1}', 0), completed())

    assert calls_of(events) == [("call_0", "unknown", '{"a":1}')]


@pytest.mark.parametrize("said", ["", "null", None, 5])
def test_a_call_without_arguments_has_an_empty_object(said: object) -> None:
    events = decode(created(), done(0, {**CALL, "arguments": said}), completed())

    assert calls_of(events) == [("call_1", "look", "{}")]


def test_arguments_that_are_an_object_are_taken_as_they_are() -> None:
    events = decode(created(), done(0, {**CALL, "arguments": {"a": 1}}), completed())

    assert calls_of(events) == [("call_1", "look", '{"a":1}')]


def test_final_arguments_go_on_from_what_was_said() -> None:
    events = decode(
        created(),
        added(0, CALL),
        arguments('{"a"', 0),
        event(
            "response.function_call_arguments.done", output_index=0, arguments='{"a":1'
        ),
        event("response.function_call_arguments.done", output_index=0, arguments=""),
        event("response.function_call_arguments.delta", output_index=0, delta=""),
        done(0, {**CALL, "arguments": '{"a":1}'}),
        arguments("late", 0),
        completed(),
    )

    assert calls_of(events) == [("call_1", "look", '{"a":1}')]


def test_final_arguments_take_the_place_of_what_nobody_heard() -> None:
    events = decode(
        created(),
        arguments('{"b":2}', 0),
        done(0, {**CALL, "arguments": '{"a":1}'}),
        event(
            "response.function_call_arguments.done", output_index=0, arguments="late"
        ),
        completed(),
    )

    assert calls_of(events) == [("call_1", "look", '{"a":1}')]


def test_arguments_that_are_only_spelled_in_another_way_stay() -> None:
    events = decode(
        created(),
        added(0, CALL),
        arguments('{"a":1}', 0),
        done(0, {**CALL, "arguments": '{ "a" : 1 }'}),
        completed(),
    )

    assert calls_of(events) == [("call_1", "look", '{"a":1}')]


@pytest.mark.parametrize("said", ['{"a":1}', "{ "])
def test_arguments_in_two_versions_are_a_failure(said: str) -> None:
    decoder = ResponsesDecoder()
    feed_all(decoder, created(), added(0, CALL), arguments(said, 0))

    with pytest.raises(ProtocolFailure):
        decoder.feed(done(0, {**CALL, "arguments": '{"a":2}'}))

    assert decoder.abandon() == [BlockEnd("0.call", is_incomplete=True)]


def test_arguments_that_are_no_json_are_a_complete_call_in_a_complete_answer() -> None:
    events = decode(created(), done(0, {**CALL, "arguments": "{a}"}), completed())

    assert BlockEnd("0.call") in events
    assert finish_of(events).reason is StopReason.TOOL_CALLS


def test_the_input_of_a_free_tool_is_any_text() -> None:
    free = {"type": "custom_tool_call", "call_id": "call_1", "name": "sql"}

    events = decode(
        created(),
        added(0, free),
        event("response.custom_tool_call_input.delta", output_index=0, delta="SELECT"),
        event("response.custom_tool_call_input.done", output_index=0, input="SELECT 1"),
        done(0, {**free, "input": "SELECT 1"}),
        done(1, {**free, "call_id": "call_2", "input": ""}),
        completed(),
    )

    assert calls_of(events) == [("call_1", "sql", "SELECT 1"), ("call_2", "sql", "")]


def test_a_call_that_was_not_announced_is_not_ended_by_a_failure() -> None:
    decoder = ResponsesDecoder()
    feed_all(
        decoder, created(), arguments("{", 0), done(1, {**CALL, "arguments": "{}"})
    )

    assert decoder.abandon() == []


# Ends and failures


def test_nothing_is_read_after_the_end() -> None:
    decoder = ResponsesDecoder()
    feed_all(decoder, created(), completed())

    assert decoder.is_done
    assert decoder.is_whole
    assert decoder.feed(text("late")) == []
    assert decoder.feed("no JSON") == []


def test_finishing_twice_is_harmless() -> None:
    decoder = ResponsesDecoder()
    feed_all(decoder, created(), completed())
    decoder.finish()

    assert decoder.finish() == []
    assert decoder.abandon() == []


def test_the_word_done_is_no_end() -> None:
    decoder = ResponsesDecoder()
    feed_all(decoder, created(), text("Half"), "[DONE]")

    with pytest.raises(TruncatedFailure):
        decoder.finish()
    assert decoder.abandon() == [BlockEnd("0.text.0", is_incomplete=True)]


def test_a_stream_that_said_nothing_is_truncated() -> None:
    with pytest.raises(TruncatedFailure):
        ResponsesDecoder().finish()


def test_a_stream_of_something_else_is_no_answer() -> None:
    decoder = ResponsesDecoder()
    decoder.feed('{"hello":"world"}')

    with pytest.raises(ProtocolFailure):
        decoder.finish()


def test_a_response_that_is_not_done_yet_is_no_answer() -> None:
    with pytest.raises(ProtocolFailure):
        decode('{"object":"response","status":"queued"}')


def test_a_whole_response_needs_no_status() -> None:
    body = {
        "object": "response",
        "model": "m",
        "output": [message(output_text("Yes."))],
    }

    events = decode(msgspec.json.encode(body))

    assert text_of(events) == ["Yes."]
    assert events[0] == Start("m")


def test_a_stream_of_unnamed_events_is_read_by_their_type() -> None:
    decoder = ResponsesDecoder(request_id="req_1")

    events = [
        *decoder.feed(created(), event="message"),
        *decoder.feed(text("Yes."), event="response.output_text.delta"),
        *decoder.feed(completed()),
        *decoder.finish(),
    ]

    assert events[0] == Start("gpt-9", response_id="resp_1", request_id="req_1")
    assert text_of(events) == ["Yes."]


def test_an_event_without_a_type_is_read_by_its_name() -> None:
    decoder = ResponsesDecoder()

    events = decoder.feed('{"delta":"Yes."}', event="response.output_text.delta")

    assert text_of(events) == ["Yes."]


FLAT = {"code": "rate_limit_exceeded", "message": "Slow down.", "param": None}


@pytest.mark.parametrize(
    ("payload", "name", "kind"),
    [
        (event("error", **FLAT), "", RateLimitFailure),
        (event("error", **FLAT), "error", RateLimitFailure),
        (event("error", error=FLAT), "", RateLimitFailure),
        (msgspec.json.encode({"error": FLAT}), "", RateLimitFailure),
        (
            msgspec.json.encode({"error": {"message": "x", "code": 503}}),
            "",
            OverloadFailure,
        ),
        (
            event("error", status=429, error={"type": "insufficient_quota"}),
            "",
            BillingFailure,
        ),
        (b"no JSON at all", "error", ServerFailure),
        (b'{"object":"error","message":"no"}', "", ServerFailure),
        (
            event("response.failed", response={"error": {"code": "server_error"}}),
            "",
            ServerFailure,
        ),
        (
            event("response.failed", response={"error": {"code": "invalid_prompt"}}),
            "",
            InvalidRequestFailure,
        ),
        (
            event("response.failed", response={"error": {"code": "image_too_large"}}),
            "",
            InvalidRequestFailure,
        ),
        (event("response.failed"), "", ServerFailure),
        (event("response.cancelled", response={}), "", ServerFailure),
        (b'{"object":"response","status":"failed","error":null}', "", ServerFailure),
    ],
)
def test_an_error_is_a_failure_of_its_kind(
    payload: bytes, name: str, kind: type[ProviderFailure]
) -> None:
    with pytest.raises(ProviderFailure) as caught:
        ResponsesDecoder(provider="xai").feed(payload, event=name)

    assert type(caught.value) is kind


def test_the_headers_in_an_error_say_how_long_to_wait() -> None:
    error = {**FLAT, "headers": {"Retry-After": "7", "x-odd": 5}}

    with pytest.raises(RateLimitFailure) as caught:
        ResponsesDecoder().feed(event("error", status=429, error=error))

    assert caught.value.retry_after_s == 7


def test_a_failure_after_text_leaves_the_text() -> None:
    decoder = ResponsesDecoder()
    events = feed_all(decoder, created(), text("Half"))

    with pytest.raises(ServerFailure):
        decoder.feed(
            event("response.failed", response={"error": {"code": "server_error"}})
        )

    assert text_of(events) == ["Half"]
    assert decoder.abandon() == [BlockEnd("0.text.0", is_incomplete=True)]


# Anything at all


def test_fields_of_the_wrong_type_cost_no_text() -> None:
    events = decode(
        event("response.created", response=5),
        event("response.output_item.added", output_index="first", item=5),
        event(
            "response.output_text.delta",
            output_index=[0],
            item_id=5,
            content_index="x",
            sequence_number=1.5,
            error={"a": 1},
            delta="Yes.",
        ),
        event("response.output_text.delta", delta=["no"], item={"a": 1}),
        event("response.output_item.done", output_index=0, item="no"),
        event("response.output_item.done", output_index=0),
        event("response.output_item.done", item={"type": 5, "content": {"a": 1}}),
        event("response.completed", response=[1]),
    )

    assert text_of(events) == ["Yes."]


def test_halves_of_a_pair_cost_no_text() -> None:
    events = decode(
        '{"type":"response.output_text.delta","delta":"a\\ud83d"}',
        '{"type":"response.output_text.delta","delta":"b\0"}'.replace("\0", "\\u0000"),
        b'{"type":"response.output_text.delta","delta":"c\xff"}',
        completed(),
    )

    assert text_of(events) == ["a\ufffdbc\ufffd"]


def test_a_whole_answer_with_halves_of_a_pair_is_read() -> None:
    body = (
        '{"object":"response","status":"completed","output":[{"type":"message",'
        '"content":[5,{"type":"output_text","text":"a\\ud83d"}]}]}'
    )

    assert text_of(decode(body)) == ["a\ufffd"]


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"type":"response.output_item.done","item":' + b"[" * 100_000,
        b'{"type":"response.created","response":' + b'{"a":' * 100_000,
        b"not JSON",
        b"",
        b"5",
        b'"text"',
        b"\xff\xfe",
    ],
    ids=range(9),
)
def test_what_is_no_event_is_a_failure(payload: bytes) -> None:
    with pytest.raises(ProtocolFailure):
        ResponsesDecoder().feed(payload)


@pytest.mark.parametrize("field", ["delta", "output_index", "sequence_number", "item"])
def test_a_number_of_5000_digits_is_as_good_as_absent(field: str) -> None:
    payload = b'{"type":"response.output_text.delta","%b":%b}' % (
        field.encode(),
        b"1" * 5000,
    )

    assert ResponsesDecoder().feed(payload) == []


JSON: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        *(
            f"response.{kind}.{ending}"
            for kind in (
                "output_text",
                "refusal",
                "reasoning_text",
                "reasoning_summary_text",
                "function_call_arguments",
                "custom_tool_call_input",
                "output_item",
                "web_search_call",
            )
            for ending in ("added", "delta", "done")
        ),
        "response.created",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.output_text.annotation.added",
        "response",
        "error",
        "later",
        "",
    ]
)
FIELDS = st.sampled_from(
    [
        "item",
        "response",
        "delta",
        "text",
        "output_index",
        "content_index",
        "item_id",
        "arguments",
        "error",
        "annotation",
        "status",
        "object",
        "sequence_number",
    ]
)


def words(*known: str) -> st.SearchStrategy[object]:
    """One of them, or anything."""
    return st.sampled_from(known) | JSON


def objects(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Objects with some of these fields."""
    pairs = [
        st.tuples(st.just(name), value) | st.none() for name, value in fields.items()
    ]
    return st.tuples(*pairs).map(lambda found: dict(filter(None, found)))


PARTS = objects(
    type=words("output_text", "refusal", "reasoning_text", "summary_text"),
    text=words("", "a", "ab"),
    annotations=JSON,
)
ITEMS = objects(
    type=words("message", "reasoning", "function_call", "custom_tool_call"),
    id=words("a", "b"),
    call_id=words("c"),
    name=words("look"),
    arguments=words("{}", "{"),
    status=words("incomplete", "completed"),
    content=objects() | st.lists(PARTS, max_size=2),
)
VALUES: st.SearchStrategy[object] = ITEMS | st.integers(0, 2) | JSON


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            NAMES,
            NAMES,
            st.dictionaries(FIELDS, VALUES),
        ),
        max_size=8,
    )
)
def test_any_events_give_an_orderly_stream_or_a_failure_of_the_tree(
    sent: list[tuple[str, str, dict[str, object]]],
) -> None:
    decoder = ResponsesDecoder()
    said: list[StreamEvent] = []
    try:
        for name, kind, fields in sent:
            said += decoder.feed(
                msgspec.json.encode({"type": kind, **fields}), event=name
            )
        said += decoder.finish()
    except Failure:
        said += [*decoder.abandon(), Finish(StopReason.UNKNOWN)]
    said = [event for event in said if not isinstance(event, KeepAlive)]

    if len(said) > 1:
        assert_in_order(said)
    assert decoder.abandon() == []


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=20))
def test_any_bytes_raise_nothing_but_failures(data: bytes, name: str) -> None:
    decoder = ResponsesDecoder()
    try:
        decoder.feed(data, event=name)
        decoder.feed(data)
    except Failure:
        assert not decoder.is_done
