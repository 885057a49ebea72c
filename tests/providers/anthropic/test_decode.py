from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.anthropic.streams import (
    RECORDINGS,
    Data,
    arguments_of,
    begin,
    call,
    content_of,
    decode,
    delta,
    encoded,
    end,
    finish_of,
    heard,
    read_out,
    sse,
    start,
    stop,
    text,
    text_of,
)
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
    UsageUpdate,
    merge_deltas,
)
from tina.domain.failures import (
    BillingFailure,
    Failure,
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
    ServerFailure,
    TruncatedFailure,
)
from tina.domain.ids import ToolCallId
from tina.providers.anthropic.decode import MessagesDecoder
from tina.providers.lenient import is_mapping

LENGTH, CALLS = StopReason.LENGTH, StopReason.TOOL_CALLS
CAPTURES: dict[str, tuple[str | None, StopReason, int]] = {
    "msg_auth_x_api_key_ok.sse": ("I'd be", LENGTH, 12),
    "msg_ping_comments_stream.sse": ("You can't just", LENGTH, 1510),
    "msg_text_nonstream.json": ("1. Bananas\n2. Oranges\n3.", LENGTH, 13),
    "msg_text_stream.sse": ("1. Grapefruit\n2. Oranges\n3", LENGTH, 22),
    "msg_thinking_nonstream.json": (
        "I add 3 and 3.\nThe sum is 6.",
        StopReason.STOP,
        188,
    ),
    "msg_tools_nonstream.json": ("", CALLS, 459),
    "msg_tools_stream.sse": ("", CALLS, 459),
    "ok_msg_missing_max_tokens.json": (None, StopReason.STOP, 13),
    "ok_msg_unknown_block_ignored.sse": ("I'd love to discuss", LENGTH, 4),
}
STREAMS = sorted(name for name in CAPTURES if name.endswith(".sse"))


def test_every_recorded_answer_is_in_the_table() -> None:
    found = {
        path.name
        for path in (*RECORDINGS.glob("msg_*"), *RECORDINGS.glob("ok_msg_*"))
        if path.suffix != ".txt" and "_err_" not in path.name
    }

    assert found - {"msg_count_tokens.json"} == set(CAPTURES)


def read_recording(name: str) -> list[StreamEvent]:
    path = RECORDINGS / name
    if path.suffix == ".sse":
        events, failure = read_out([path.read_bytes()])
        assert failure is None
        return events
    decoder = MessagesDecoder()
    return [*decoder.feed(path.read_bytes()), *decoder.finish()]


@pytest.mark.parametrize(("name", "expected"), CAPTURES.items())
def test_a_recorded_answer_is_read_whole(
    name: str, expected: tuple[str | None, StopReason, int]
) -> None:
    events = read_recording(name)

    said, reason, input_tokens = expected
    usage = [event.usage for event in events if isinstance(event, UsageUpdate)][-1]
    starts = [event.key for event in events if isinstance(event, BlockStart)]
    ends = [event.key for event in events if isinstance(event, BlockEnd)]
    assert isinstance(events[0], Start)
    assert finish_of(events).reason is reason
    assert text_of(events) == (said_in(name) if said is None else said)
    assert usage.input_tokens == input_tokens
    assert (usage.output_tokens or 0) > 0
    assert sorted(starts) == sorted(ends)
    assert sum(isinstance(event, Finish) for event in events) == 1


def said_in(name: str) -> str:
    body = msgspec.json.decode((RECORDINGS / name).read_bytes())
    return "".join(block["text"] for block in body["content"])


def test_a_recorded_call_is_put_together() -> None:
    events = read_recording("msg_tools_stream.sse")

    call_id = ToolCallId("8vAm2PYyWGa54AxnbrwaOTudQ31f5Vz6")
    assert BlockStart("0", BlockKind.TOOL_CALL, call_id, "get_weather") in events
    assert msgspec.json.decode(arguments_of(events, "0")) == {
        "city": "Paris",
        "unit": "celsius",
    }
    assert finish_of(events).replay is None


def test_recorded_thinking_without_a_signature_is_kept_for_its_server() -> None:
    events = read_recording("msg_thinking_nonstream.json")

    assert BlockStart("0", BlockKind.REASONING) in events
    assert content_of(finish_of(events).replay)[0] == {
        "type": "thinking",
        "thinking": "I add 3 and 3.\n",
        "signature": "",
    }


SIGNATURE = "RXJjQkM=" * 8
SEARCH: Data = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search"}
FOUND: Data = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "encrypted_content": "x", "n": 1.50}],
}
SOURCE: Data = {
    "type": "web_search_result_location",
    "url": "https://example.org/a",
    "title": "A page",
    "encrypted_index": "abc",
    "cited_text": "words",
}
RICH: list[Data] = [
    start(input_tokens=3, cache_read_input_tokens=20, output_tokens=1),
    {"type": "ping"},
    begin(0, {"type": "thinking", "thinking": "", "signature": ""}),
    delta(0, "thinking_delta", thinking="I have to "),
    delta(0, "thinking_delta", thinking="search.", estimated_tokens=3),
    delta(0, "signature_delta", signature=SIGNATURE),
    end(0),
    begin(1, {"type": "redacted_thinking", "data": "b3BhcXVl"}),
    end(1),
    begin(2, {**SEARCH, "input": {}}),
    delta(2, "input_json_delta", partial_json=""),
    delta(2, "input_json_delta", partial_json='{"query": "lo'),
    delta(2, "input_json_delta", partial_json='ng"}'),
    end(2),
    begin(3, FOUND),
    end(3),
    begin(4, {"type": "text", "text": "", "citations": []}),
    delta(4, "citations_delta", citation=SOURCE),
    delta(4, "text_delta", text="It is \u2028long\N{GRINNING FACE}. "),
    end(4),
    *call(5, "toolu_1", "", '{"q":', '"a"}', caller={"type": "direct"}),
    *call(6, "toolu_2", '{"q":"b"}', toolset_name="t"),
    *stop("tool_use", container={"id": "c_1"}),
]


def test_everything_of_an_answer_is_told() -> None:
    events = heard(decode(*RICH))

    assert events == [
        Start("claude", response_id="msg_1"),
        UsageUpdate(Usage(input_tokens=23, output_tokens=1, cached_tokens=20)),
        BlockStart("0", BlockKind.REASONING),
        TextDelta("0", "I have to "),
        TextDelta("0", "search."),
        BlockEnd("0"),
        BlockStart("4", BlockKind.TEXT),
        Citation("4", "A page", "https://example.org/a"),
        TextDelta("4", "It is \u2028long\N{GRINNING FACE}. "),
        BlockEnd("4"),
        BlockStart("5", BlockKind.TOOL_CALL, ToolCallId("toolu_1"), "look"),
        *[event for event in events if getattr(event, "key", "") == "5"][1:-1],
        BlockEnd("5"),
        BlockStart("6", BlockKind.TOOL_CALL, ToolCallId("toolu_2"), "look"),
        *[event for event in events if getattr(event, "key", "") == "6"][1:-1],
        BlockEnd("6"),
        UsageUpdate(Usage(input_tokens=23, output_tokens=31, cached_tokens=20)),
        finish_of(events),
    ]
    assert arguments_of(events, "5") == '{"q":"a"}'
    assert arguments_of(events, "6") == '{"q":"b"}'
    assert finish_of(events).reason is CALLS
    assert finish_of(events).raw_reason == "tool_use"


def test_the_replay_is_the_content_as_it_came() -> None:
    kept = content_of(finish_of(decode(*RICH)).replay)

    assert kept == [
        {"type": "thinking", "thinking": "I have to search.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {**SEARCH, "input": {"query": "long"}},
        FOUND,
        {
            "type": "text",
            "text": "It is \u2028long\N{GRINNING FACE}. ",
            "citations": [SOURCE],
        },
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "look",
            "input": {"q": "a"},
            "caller": {"type": "direct"},
        },
        {
            "type": "tool_use",
            "id": "toolu_2",
            "name": "look",
            "input": {"q": "b"},
            "toolset_name": "t",
        },
    ]


def test_an_answer_in_one_piece_is_told_like_a_streamed_one() -> None:
    content = content_of(finish_of(decode(*RICH)).replay)
    whole: Data = {
        "type": "message",
        "id": "msg_1",
        "model": "claude",
        "content": content,
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 1},
    }

    events = decode(whole)

    streamed = decode(*RICH)
    assert text_of(events) == text_of(streamed)
    assert arguments_of(events, "5") == '{"q":"a"}'
    assert Citation("4", "A page", "https://example.org/a") in events
    assert content_of(finish_of(events).replay) == content
    assert finish_of(events).reason is CALLS


def test_signatures_may_come_late_and_blocks_may_overlap() -> None:
    """As llama.cpp sends them."""
    events = decode(
        start(),
        begin(0, {"type": "thinking", "thinking": ""}),
        delta(0, "thinking_delta", thinking="hm"),
        begin(1, {"type": "text", "text": ""}),
        delta(1, "text_delta", text="Hi"),
        delta(0, "signature_delta", signature=""),
        end(0),
        end(1),
        *stop(),
    )

    assert [event for event in events if isinstance(event, BlockEnd)] == [
        BlockEnd("0"),
        BlockEnd("1"),
    ]
    assert text_of(events) == "hmHi"
    assert content_of(finish_of(events).replay)[0]["signature"] == ""


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


SSE_STREAMS = {name: (RECORDINGS / name).read_bytes() for name in STREAMS} | {
    "rich": sse(*RICH)
}


@pytest.mark.requirement("providers:capture:any-cut")
@pytest.mark.parametrize("name", SSE_STREAMS)
def test_a_stream_byte_by_byte_says_the_same(name: str) -> None:
    data = SSE_STREAMS[name]

    bytewise = read_out(data[i : i + 1] for i in range(len(data)))

    assert bytewise == read_out([data])
    assert bytewise[1] is None


@pytest.mark.requirement("providers:capture:any-cut")
@given(name=st.sampled_from(sorted(SSE_STREAMS)), cuts=st.lists(st.integers(0, 2**20)))
def test_the_cuts_change_nothing(name: str, cuts: list[int]) -> None:
    data = SSE_STREAMS[name]

    assert read_out(chunked(data, cuts)) == read_out([data])


@pytest.mark.requirement("providers:cut:exact-prefix")
@pytest.mark.parametrize("name", SSE_STREAMS)
def test_a_stream_that_breaks_off_is_never_complete(name: str) -> None:
    """Its text is an exact prefix, and each block that began has ended."""
    data = SSE_STREAMS[name].rstrip(b"\n")
    whole = text_of(read_out([data])[0])

    for cut in range(len(data)):
        events, failure = read_out([data[:cut]])

        starts = [event.key for event in events if isinstance(event, BlockStart)]
        ends = [event.key for event in events if isinstance(event, BlockEnd)]
        assert isinstance(failure, TruncatedFailure)
        assert not any(isinstance(event, Finish) for event in events)
        assert whole.startswith(text_of(events))
        assert sorted(starts) == sorted(ends)


NOVELTIES: list[bytes] = [
    b":\n\n",
    b": keep-alive\n",
    b'event: ping\ndata: {"type": "ping"}\n\n',
    b'event: news\ndata: {"type": "news", "delta": "odd", "index": "x"}\n\n',
    b'event: news\ndata: {"type": "news", "error": {"message": "not one"}}\n\n',
    b"event: news\ndata: {}\n\n",
    b'data: {"type": ["odd"], "content_block": 3}\n\n',
    b'data: {"type": 7}\n\n',
    b"data: {}\n\n",
    sse(begin(90, {"type": "news", "text": "not for people"})),
    sse(
        begin(91, {"type": "news"}),
        delta(91, "text_delta", text="no"),
        delta(91, "thinking_delta", thinking="no"),
        delta(91, "input_json_delta", partial_json="{"),
        delta(91, "news_delta", news={"a": [1]}),
        delta(91, "citations_delta", citation=SOURCE),
        end(91),
    ),
    sse(begin(92, None), begin(93, 3), begin(94, []), end(95), delta(96, "news_delta")),
    sse({"type": "content_block_delta", "index": 0}, {"type": "message_delta"}),
    sse(delta(0, "news_delta", text=5), delta(0, "citations_delta")),
]


@pytest.mark.requirement("providers:unknown:costs-nothing")
@pytest.mark.parametrize("novelty", NOVELTIES)
@pytest.mark.parametrize("name", SSE_STREAMS)
def test_what_is_unknown_changes_nothing(name: str, novelty: bytes) -> None:
    frames = SSE_STREAMS[name].split(b"\n\n")
    plain, _ = read_out([SSE_STREAMS[name]])
    first = next(n for n, each in enumerate(frames) if b"message_start" in each) + 1

    for place in range(first, len(frames) - 1):
        frame = b"\n\n".join(frames[:place]) + b"\n\n"
        rest = b"\n\n".join(frames[place:])
        events, failure = read_out([frame + novelty + rest])

        assert failure is None
        assert unkeyed(events) == unkeyed(plain)


def unkeyed(events: list[StreamEvent]) -> list[object]:
    """Events whose keys only say which belong together, and without the replay."""
    keys: dict[str, int] = {}
    plain: list[object] = []
    for event in merge_deltas(heard(events)):
        fields = msgspec.structs.asdict(event)
        fields.pop("replay", None)
        if "key" in fields:
            fields["key"] = keys.setdefault(fields["key"], len(keys))
        plain.append((type(event), fields))
    return plain


@pytest.mark.requirement("providers:unknown:costs-nothing")
@given(
    st.dictionaries(
        st.text(min_size=1).map("x_{}".format),
        st.recursive(
            st.none() | st.integers(-9, 9) | st.text(), st.lists, max_leaves=5
        ),
        max_size=3,
    )
)
def test_unknown_fields_change_nothing(fields: Data) -> None:
    grown: list[Data] = []
    for event in RICH:
        inner = {name: with_fields(value, fields) for name, value in event.items()}
        grown.append({**inner, **fields})

    assert unkeyed(decode(*grown)) == unkeyed(decode(*RICH))


def with_fields(value: object, fields: Data) -> object:
    return {**value, **fields} if is_mapping(value) else value


def test_an_unknown_block_with_unknown_fields_is_sent_back() -> None:
    block: Data = {"type": "news", "n": 10**4, "deep": [{"a": None}], "text": "x"}

    events = decode(
        start(), begin(0, block), delta(0, "text_delta", text="y"), end(0), *stop()
    )

    assert text_of(events) == ""
    assert content_of(finish_of(events).replay) == [{**block, "text": "y"}]


ENDS: list[tuple[list[Data], StopReason]] = [
    (stop("end_turn"), StopReason.STOP),
    (stop("end_turn", stop_sequence="###"), StopReason.STOP_SEQUENCE),
    (stop("max_tokens"), LENGTH),
    (stop("model_context_window_exceeded"), StopReason.CONTEXT_FULL),
    (stop("pause_turn"), StopReason.PAUSED),
    (stop("compaction"), StopReason.PAUSED),
    (stop("refusal"), StopReason.CONTENT_FILTER),
    (stop("something_new"), StopReason.UNKNOWN),
    (stop(None), StopReason.UNKNOWN),
    ([{"type": "message_stop"}], StopReason.UNKNOWN),
    ([*stop("max_tokens")[:1], *stop("end_turn")], StopReason.STOP),
    ([*stop("max_tokens")[:1], *stop(None)], LENGTH),
]


@pytest.mark.parametrize(("ending", "reason"), ENDS)
def test_the_reason_is_understood(ending: list[Data], reason: StopReason) -> None:
    assert finish_of(decode(start(), *text(0, "Hi"), *ending)).reason is reason


def test_a_refusal_says_why_and_is_not_sent_back() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    thought = [begin(0, {"type": "thinking", "thinking": "hm"}), end(0)]

    events = decode(start(), *thought, *stop("refusal", stop_details=details))

    assert events[-4:-1] == [
        BlockStart("refusal", BlockKind.REFUSAL),
        TextDelta("refusal", "Not this."),
        BlockEnd("refusal"),
    ]
    assert finish_of(events).replay is None


def test_an_empty_answer_is_an_answer() -> None:
    assert finish_of(decode(start(), *stop())).reason is StopReason.STOP


@pytest.mark.parametrize(
    ("reason", "is_incomplete", "expected"),
    [("max_tokens", True, LENGTH), ("tool_use", False, CALLS)],
)
def test_a_call_without_whole_arguments_is_cut_or_nonsense(
    reason: str, is_incomplete: bool, expected: StopReason
) -> None:
    events = decode(start(), *call(0, "1", "{}"), *call(1, "2", '{"a'), *stop(reason))

    assert BlockEnd("0") in events
    assert BlockEnd("1", is_incomplete=is_incomplete) in events
    assert finish_of(events).reason is expected


def test_an_answer_whose_only_call_was_cut_asks_for_nothing() -> None:
    events = decode(start(), *call(0, "1", "{"), *stop("max_tokens"))

    assert finish_of(events).reason is LENGTH


def test_a_call_counts_more_than_the_word_for_the_end() -> None:
    assert finish_of(decode(start(), *call(0, "1"), *stop())).reason is CALLS
    assert finish_of(decode(start(), *call(0, "1"), *stop("new"))).reason is CALLS


def test_counts_are_overwritten_and_not_added() -> None:
    counts: list[Data] = [
        {"type": "message_delta", "usage": {"output_tokens": 5}},
        {
            "type": "message_delta",
            "usage": {
                "output_tokens": 9,
                "output_tokens_details": {"thinking_tokens": 4},
            },
        },
    ]
    first = start(input_tokens=2, cache_creation_input_tokens=3, output_tokens=1)

    events = decode(first, *counts, {"type": "message_stop"})

    assert [event for event in events if isinstance(event, UsageUpdate)] == [
        UsageUpdate(Usage(input_tokens=5, output_tokens=1, cache_write_tokens=3)),
        UsageUpdate(Usage(input_tokens=5, output_tokens=5, cache_write_tokens=3)),
        UsageUpdate(
            Usage(
                input_tokens=5,
                output_tokens=9,
                cache_write_tokens=3,
                reasoning_tokens=4,
            )
        ),
    ]


def test_the_start_names_who_answers_and_the_request() -> None:
    decoder = MessagesDecoder(model="asked", request_id="req_1")

    events = decoder.feed(encoded(begin(0, {"type": "text", "text": "Hi"})))

    assert events == [
        Start("asked", request_id="req_1"),
        BlockStart("0", BlockKind.TEXT),
        TextDelta("0", "Hi"),
    ]


def test_a_second_beginning_of_the_message_is_ignored() -> None:
    events = decode(start(), start(), *text(0, "Hi"), *stop())

    assert sum(isinstance(event, Start) for event in events) == 1


def test_a_ping_is_a_heartbeat() -> None:
    assert MessagesDecoder().feed('{"type":"ping"}', event="ping") == [KeepAlive()]
    assert MessagesDecoder().feed('{"delta":7}', event="ping") == [KeepAlive()]


def test_the_name_of_an_event_serves_where_its_data_has_none() -> None:
    decoder = MessagesDecoder()
    decoder.feed(encoded(start()))

    assert decoder.feed("{}", event="message_stop") == []
    assert decoder.is_done
    assert decoder.is_whole


def test_what_follows_the_end_is_ignored() -> None:
    decoder = MessagesDecoder()
    for event in (start(), *text(0, "Hi"), *stop()):
        decoder.feed(encoded(event))

    assert decoder.feed("garbage") == []
    assert len(decoder.finish()) == 1
    assert decoder.finish() == []
    assert decoder.abandon() == []


def test_a_reason_without_the_end_of_the_message_is_not_the_end() -> None:
    decoder = MessagesDecoder()
    for event in (start(), *text(0, "Hi"), stop()[0]):
        decoder.feed(encoded(event))

    assert not decoder.is_whole
    with pytest.raises(TruncatedFailure):
        decoder.finish()


def test_an_end_without_an_answer_is_a_protocol_failure() -> None:
    with pytest.raises(ProtocolFailure, match="without saying anything"):
        decode({"type": "message_stop"})


OVERLOADED = b'{"type":"overloaded_error","message":"Overloaded"}'
ERRORS: list[tuple[bytes, type[ProviderFailure], str | None]] = [
    (
        b'event: error\ndata: {"type":"error","error":%b,"request_id":"r"}'
        % OVERLOADED,
        OverloadFailure,
        "r",
    ),
    (b'data: {"type":"error","error":%b}' % OVERLOADED, OverloadFailure, "header"),
    (
        b'event: error\ndata: {"code":500,"message":"x","type":"server_error"}',
        ServerFailure,
        "header",
    ),
    (b"event: error\ndata: it broke", ServerFailure, "header"),
    (b'data: {"error":{"type":"billing_error"}}', BillingFailure, "header"),
]


@pytest.mark.parametrize(("frame", "kind", "request_id"), ERRORS)
def test_an_error_in_the_stream_ends_it(
    frame: bytes, kind: type[ProviderFailure], request_id: str | None
) -> None:
    decoder = MessagesDecoder(request_id="header")
    decoder.feed(encoded(start()))
    decoder.feed(encoded(begin(0, {"type": "text", "text": "Hi"})))
    lines = frame.decode().split("\n")
    name = lines[0].removeprefix("event: ") if len(lines) > 1 else "message"

    with pytest.raises(kind) as caught:
        decoder.feed(lines[-1].removeprefix("data: "), event=name)

    assert caught.value.request_id == request_id
    assert decoder.abandon() == [BlockEnd("0", is_incomplete=True)]


def test_an_error_that_says_nothing_is_none() -> None:
    assert MessagesDecoder().feed('{"error":null}') == []
    assert MessagesDecoder().feed('{"error":{}}') == []


NO_EVENTS: list[bytes | str] = [
    b"",
    b"<html>",
    b"[]",
    b"3",
    b"[DONE]",
    b'{"type":"content_block_delta","index":"0","delta":{}}',
    b'{"type":"content_block_delta","index":0,"delta":"text"}',
    b'{"type":"message_delta","delta":[]}',
    b'{"type":"content_block_delta","index":' + b"1" * 5_000 + b"}",
    b'{"type":"x","a":' + b"[" * 100_000,
    b'{"type":{"a":[]},"delta":3}',
]


@pytest.mark.parametrize("payload", NO_EVENTS)
def test_what_is_no_event_is_a_protocol_failure(payload: bytes | str) -> None:
    with pytest.raises(ProtocolFailure):
        MessagesDecoder().feed(payload)


def test_text_that_is_no_text_is_a_protocol_failure() -> None:
    with pytest.raises(ProtocolFailure, match="where text should be"):
        decode(start(), begin(0, {"type": "text"}), delta(0, "text_delta", text=5))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (rb'"\ud83dx"', "\ufffdx"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (b'"\xff"', "\ufffd"),
        (b'"a\\u0000b"', "ab"),
    ],
)
def test_broken_characters_are_replaced(raw: bytes, said: str) -> None:
    decoder = MessagesDecoder()
    decoder.feed(encoded(begin(0, {"type": "text", "text": ""})))

    events = decoder.feed(
        b'{"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":' + raw + b"}}"
    )

    assert events == [TextDelta("0", said)]


NAMES = [
    *("type", "index", "delta", "content_block", "message", "usage", "error", "text"),
    *("thinking", "partial_json", "signature", "citation", "citations", "id", "name"),
    *("input", "model", "content", "stop_reason", "stop_sequence", "stop_details"),
    *("input_tokens", "output_tokens", "request_id", "category", "url", "title"),
]
WORDS = [
    *(
        "",
        "text",
        "thinking",
        "tool_use",
        "server_tool_use",
        "message",
        "error",
        "ping",
    ),
    *("content_block_start", "content_block_delta", "content_block_stop", "refusal"),
    *(
        "message_start",
        "message_delta",
        "message_stop",
        "text_delta",
        "citations_delta",
    ),
    *("input_json_delta", "thinking_delta", "signature_delta", "compaction_delta", "{"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(WORDS)
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=24,
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(WORDS), "index": st.integers(0, 2)},
    optional=dict.fromkeys(NAMES[2:7], JSON),
)
PAYLOADS = st.binary() | st.text() | (JSON | EVENTS).map(msgspec.json.encode)


@given(st.lists(st.tuples(PAYLOADS, st.sampled_from(WORDS)), max_size=8))
def test_no_bytes_raise_anything_but_failures(
    arrived: list[tuple[bytes | str, str]],
) -> None:
    decoder = MessagesDecoder()
    events: list[StreamEvent] = []

    try:
        for data, name in arrived:
            events += decoder.feed(data, event=name)
        events += decoder.finish()
    except Failure:
        events += decoder.abandon()

    starts = [event.key for event in events if isinstance(event, BlockStart)]
    ends = [event.key for event in events if isinstance(event, BlockEnd)]
    assert len(set(starts)) == len(starts)
    assert sorted(starts) == sorted(ends)


def test_an_answer_may_begin_with_its_text() -> None:
    events = decode(delta(0, "text_delta", text="Hi"), *stop())

    assert events[0] == Start("asked")
    assert text_of(events) == "Hi"
