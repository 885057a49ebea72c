from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
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
)
from tina.domain.failures import (
    BillingFailure,
    Failure,
    InvalidRequestFailure,
    ModelNotFoundFailure,
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    ServerFailure,
    TruncatedFailure,
)
from tina.domain.ids import ToolCallId
from tina.networking.sse import SseDecoder
from tina.providers.openai.chat.decode import ChatDecoder
from tina.providers.openai.chat.quirks import ThinkTags

RECORDINGS = Path(__file__).parents[3] / "recordings"


def decode(*payloads: bytes | str) -> list[StreamEvent]:
    decoder = ChatDecoder()
    events = [event for payload in payloads for event in decoder.feed(payload)]
    return events + decoder.finish()


def decode_recording(name: str) -> list[StreamEvent]:
    path = RECORDINGS / name
    if path.suffix == ".json":
        return decode(path.read_bytes(), "[DONE]")
    return decode(*(event.data for event in SseDecoder().feed(path.read_bytes())))


def text_of(events: list[StreamEvent], key: str = "text") -> str:
    deltas = (event for event in events if isinstance(event, TextDelta))
    return "".join(delta.text for delta in deltas if delta.key == key)


def arguments_of(events: list[StreamEvent], key: str = "tool:0") -> str:
    deltas = (event for event in events if isinstance(event, ToolArgumentsDelta))
    return "".join(delta.fragment for delta in deltas if delta.key == key)


def finish_of(events: list[StreamEvent]) -> Finish:
    finish = events[-1]
    assert isinstance(finish, Finish)
    return finish


def chunk(delta: object = None, finish_reason: object = None, **rest: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return msgspec.json.encode({"id": "c1", "model": "m", "choices": [choice], **rest})


END = chunk(finish_reason="stop")


def tools(*calls: object) -> bytes:
    return chunk({"tool_calls": calls})


def called(
    index: object = None,
    name: str | None = None,
    arguments: object = None,
    **rest: object,
) -> dict[str, object]:
    function = {"name": name, "arguments": arguments}
    given = {"index": index, "function": function, **rest}
    return {name: value for name, value in given.items() if value is not None}


CAPTURES = {
    "chat_content_parts_stream.sse": ("Hi, I'm", StopReason.LENGTH),
    "chat_context_full_midway_stream.sse": (None, StopReason.LENGTH),
    "chat_json_schema_stream.sse": (None, StopReason.STOP),
    "chat_logprobs_stream.sse": ("A word is", StopReason.LENGTH),
    "chat_n2_stream.sse": (None, StopReason.LENGTH),
    "chat_ping_comments_stream.sse": ("def find_", StopReason.LENGTH),
    "chat_progress_stream.sse": (None, StopReason.LENGTH),
    "chat_reasoning_stream.sse": ("The sum is 6.", StopReason.STOP),
    "chat_text_stream_no_usage.sse": (None, StopReason.LENGTH),
    "chat_text_stream_usage.sse": (None, StopReason.LENGTH),
    "chat_tools_required_not_enforced_stream.sse": (None, StopReason.LENGTH),
    "chat_tools_stream.sse": ("", StopReason.TOOL_CALLS),
    "chat_reasoning_nonstream.json": ("The sum is 6.", StopReason.STOP),
    "chat_text_nonstream.json": ("1. Grapes\n2. Oranges\n3.", StopReason.LENGTH),
    "chat_tools_nonstream.json": ("", StopReason.TOOL_CALLS),
    "chat_tools_parallel_nonstream.json": ("", StopReason.TOOL_CALLS),
}


def test_every_recorded_answer_is_in_the_table() -> None:
    found = {path.name for path in RECORDINGS.glob("chat_*") if path.suffix != ".txt"}

    assert found == set(CAPTURES)


def said_in(name: str) -> str:
    """The text of choice 0, read in the plainest way."""
    said = ""
    for line in (RECORDINGS / name).read_text().split("\n"):
        if line.startswith("data: {"):
            for choice in msgspec.json.decode(line[6:])["choices"]:
                if choice["index"] == 0:
                    said += choice["delta"].get("content") or ""
    return said


@pytest.mark.parametrize(("name", "expected"), CAPTURES.items())
def test_a_recorded_answer_is_read_whole(
    name: str, expected: tuple[str | None, StopReason]
) -> None:
    events = decode_recording(name)

    text, reason = expected
    starts = [event.key for event in events if isinstance(event, BlockStart)]
    ends = [event.key for event in events if isinstance(event, BlockEnd)]
    assert isinstance(events[0], Start)
    assert finish_of(events).reason is reason
    assert text_of(events) == (said_in(name) if text is None else text)
    assert sorted(starts) == sorted(ends)
    assert sum(isinstance(event, Finish) for event in events) == 1
    assert any(isinstance(event, UsageUpdate) for event in events)


def test_a_recorded_reasoning_is_a_block_of_its_own() -> None:
    for name in ("chat_reasoning_stream.sse", "chat_reasoning_nonstream.json"):
        events = decode_recording(name)

        assert text_of(events, "reasoning") == "I add 3 and 3.\n"
        assert BlockStart("reasoning", BlockKind.REASONING) in events


def test_a_recorded_tool_call_is_put_together() -> None:
    events = decode_recording("chat_tools_stream.sse")

    call_id = ToolCallId("oXo6IOcqXWpAemf07mY6lVwGgvPDutvS")
    assert BlockStart("tool:0", BlockKind.TOOL_CALL, call_id, "get_weather") in events
    assert msgspec.json.decode(arguments_of(events)).keys() == {"city", "unit"}
    assert BlockEnd("tool:0") in events


def test_recorded_parallel_calls_stay_apart() -> None:
    events = decode_recording("chat_tools_parallel_nonstream.json")

    cities = [
        msgspec.json.decode(arguments_of(events, f"tool:{n}"))["city"] for n in (0, 1)
    ]
    assert cities == ["Paris", "Berlin"]


def test_an_answer_has_this_order() -> None:
    events = decode(
        chunk({"role": "assistant"}), chunk({"content": "Hi"}), END, "[DONE]"
    )

    assert events[:-1] == [
        Start("m", response_id="c1"),
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "Hi"),
        BlockEnd("text"),
    ]
    assert finish_of(events).raw_reason == "stop"


def test_the_start_says_who_answers() -> None:
    decoder = ChatDecoder(model="asked", request_id="req_1")

    nobody = decoder.feed(b'{"id":"","model":"","choices":[]}')
    somebody = decoder.feed(b'{"choices":[{"delta":{}}]}')

    assert nobody == []
    assert somebody == [Start("asked", request_id="req_1")]


FULL_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
USAGES = [
    pytest.param(
        {"usage": FULL_USAGE},
        Usage(
            input_tokens=9,
            output_tokens=5,
            cached_tokens=4,
            cache_write_tokens=3,
            reasoning_tokens=2,
        ),
        id="full",
    ),
    pytest.param(
        {"x_groq": {"usage": {"prompt_tokens": 1}}}, Usage(input_tokens=1), id="groq"
    ),
    pytest.param(
        {"timings": {"prompt_n": 5, "cache_n": 2, "predicted_n": 3}},
        Usage(input_tokens=7, output_tokens=3, cached_tokens=2),
        id="timings",
    ),
    pytest.param({"timings": {"prompt_n": 5}}, None, id="half-timings"),
    pytest.param(
        {"usage": {"prompt_tokens": -1, "completion_tokens": 2**60}}, None, id="absurd"
    ),
    pytest.param(
        {"usage": {"prompt_tokens": "7", "completion_tokens": True}}, None, id="types"
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4}},
        Usage(input_tokens=9, cached_tokens=4),
        id="deepseek",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 9, "cached_tokens": 3}},
        Usage(input_tokens=9, cached_tokens=3),
        id="moonshot",
    ),
    pytest.param({"usage": [1]}, None, id="list"),
    pytest.param({"usage": None, "x_groq": 3}, None, id="groq-number"),
    pytest.param({}, None, id="none"),
]


@pytest.mark.parametrize(("rest", "usage"), USAGES)
def test_usage_is_what_is_credible(
    rest: dict[str, object], usage: Usage | None
) -> None:
    events = decode(chunk({"content": "Hi"}, **rest), END)

    updates = [event.usage for event in events if isinstance(event, UsageUpdate)]
    assert updates == ([] if usage is None else [usage])
    assert text_of(events) == "Hi"


def test_a_number_too_large_for_any_type_costs_no_text() -> None:
    events = decode(b'{"usage":1e999,"choices":[{"delta":{"content":"Hi"}}]}', END)

    assert text_of(events) == "Hi"


def test_the_last_usage_counts() -> None:
    usages = [chunk(usage={"completion_tokens": n}) for n in (1, 2, 3)]

    events = decode(*usages, END)

    updates = [event for event in events if isinstance(event, UsageUpdate)]
    assert updates == [UsageUpdate(Usage(output_tokens=3))]


REASONS = [
    ("stop", StopReason.STOP),
    ("eos", StopReason.STOP),
    ("eos_token", StopReason.STOP),
    ("tool_calls", StopReason.STOP),
    ("length", StopReason.LENGTH),
    ("model_length", StopReason.CONTEXT_FULL),
    ("content_filter", StopReason.CONTENT_FILTER),
    ("abort", StopReason.UNKNOWN),
]


@pytest.mark.parametrize(("raw", "reason"), REASONS)
def test_the_reason_is_translated_and_kept(raw: str, reason: StopReason) -> None:
    finish = finish_of(decode(chunk({"content": "Hi"}, raw)))

    assert (finish.reason, finish.raw_reason) == (reason, raw)


@pytest.mark.parametrize("raw", ["stop", "tool_calls", "function_call", "abort", None])
def test_a_complete_call_is_the_reason_whatever_the_server_says(
    raw: str | None,
) -> None:
    call = called(0, "look", "{}", id="1")

    finish = finish_of(decode(tools(call), chunk(finish_reason=raw), "[DONE]"))

    assert finish.reason is StopReason.TOOL_CALLS


def test_a_refusal_is_a_filtered_answer() -> None:
    events = decode(chunk({"refusal": "No."}), END)

    assert text_of(events, "refusal") == "No."
    assert finish_of(events).reason is StopReason.CONTENT_FILTER


@pytest.mark.parametrize(
    "end", [(END,), (END, "[DONE]"), ("[DONE]",), (b" [DONE]", END)]
)
def test_an_answer_is_whole_with_a_reason_or_a_done(
    end: tuple[bytes | str, ...],
) -> None:
    if end[0] == b" [DONE]":
        end = ("[DONE] ", *end[1:])

    events = decode(chunk({"content": "Hi"}), *end)

    assert finish_of(events).reason in (StopReason.STOP, StopReason.UNKNOWN)


@pytest.mark.parametrize("end", [(), (chunk(),), (chunk(finish_reason=""),)])
def test_an_answer_without_an_end_is_truncated(end: tuple[bytes, ...]) -> None:
    with pytest.raises(TruncatedFailure):
        decode(chunk({"content": "Hi"}), *end)


@pytest.mark.parametrize(
    "payloads", [("[DONE]",), (b'{"choices":[]}', "[DONE]"), (b"{}", "[DONE]")]
)
def test_an_end_without_an_answer_is_a_protocol_failure(
    payloads: tuple[bytes | str, ...],
) -> None:
    with pytest.raises(ProtocolFailure):
        decode(*payloads)


def test_nothing_follows_the_end() -> None:
    decoder = ChatDecoder()
    decoder.feed(chunk({"content": "Hi"}, "stop"))
    decoder.feed("[DONE]")

    assert decoder.is_done
    assert decoder.feed(chunk({"content": "more"})) == []
    assert len(decoder.finish()) == 2
    assert decoder.finish() == []
    assert decoder.abandon() == []


def test_an_abandoned_answer_closes_its_blocks_as_incomplete() -> None:
    decoder = ChatDecoder()
    decoder.feed(chunk({"content": "Hi"}))
    decoder.feed(tools(called(0, "look", "{", id="1"), called(1, None, "{")))

    assert decoder.abandon() == [
        BlockEnd("text", is_incomplete=True),
        BlockEnd("tool:0", is_incomplete=True),
    ]


CALLS = [
    pytest.param(
        [called(0, "a", "null", id="1"), *[called(0, None, " ")] * 9],
        [("1", "a", "null" + 9 * " ")],
        id="null-that-was-said",
    ),
    pytest.param(
        [
            called(0, "a", "{", id="1"),
            called(0, None, "}"),
            called(1, "b", "{}", id="2"),
        ],
        [("1", "a", "{}"), ("2", "b", "{}")],
        id="by-index",
    ),
    pytest.param(
        [
            called(0, "a", "{", id="1"),
            called(1, "b", "[", id="2"),
            called(0, None, "}"),
            called(1, None, "]"),
        ],
        [("1", "a", "{}"), ("2", "b", "[]")],
        id="mixed",
    ),
    pytest.param(
        [
            called(None, "a", "{", id="1"),
            called(None, None, "}", id="1"),
            called(None, "b", "{}", id="2"),
        ],
        [("1", "a", "{}"), ("2", "b", "{}")],
        id="by-id",
    ),
    pytest.param(
        [called(None, "a", "{"), called(None, None, "}"), called(None, "a", "{}")],
        [("call_0_c1", "a", "{}"), ("call_1_c1", "a", "{}")],
        id="by-name",
    ),
    pytest.param(
        [
            called(0, "a", "{}", id="1"),
            called(0, "b", "{", id="2"),
            called(0, None, "}"),
        ],
        [("1", "a", "{}"), ("2", "b", "{}")],
        id="one-index-for-all",
    ),
    pytest.param(
        [called(0, None, "{", id="1"), called(0, "a", "}")],
        [("1", "a", "{}")],
        id="name-later",
    ),
    pytest.param(
        [called(0, "a", "{"), called(0, None, "}", id="1")],
        [("1", "a", "{}")],
        id="id-later",
    ),
    pytest.param(
        [called(0, "a", "{", id="1"), called(0, "a", "}")],
        [("1", "a", "{}")],
        id="name-repeated",
    ),
    pytest.param(
        [called(0, "a", "{}", id="")], [("call_0_c1", "a", "{}")], id="empty-id"
    ),
    pytest.param(
        [called(0, "a", {"x": [1]}, id="1")], [("1", "a", '{"x":[1]}')], id="object"
    ),
    pytest.param([called(0, "a", id="1")], [("1", "a", "{}")], id="no-arguments"),
    pytest.param(
        [called(0, "a", "", id="1")], [("1", "a", "{}")], id="empty-arguments"
    ),
    pytest.param(
        [called(0, "a", "null", id="1")], [("1", "a", "{}")], id="null-arguments"
    ),
    pytest.param(
        [called(0, "a", "nu", id="1"), called(0, None, "ll")],
        [("1", "a", "{}")],
        id="cut-null",
    ),
    pytest.param(
        [called(0, "a", " ", id="1"), *[called(0, None, " ")] * 9],
        [("1", "a", "{}")],
        id="blank",
    ),
    pytest.param(
        [called(None, None, "{}")],
        [("call_0_c1", "unknown", "{}")],
        id="nothing-but-arguments",
    ),
    pytest.param(
        [{"index": 0, "id": "1"}, called(0, "a", "{}")],
        [("1", "a", "{}")],
        id="no-function",
    ),
    pytest.param(
        [called(0, "a\0", '{"a":1}', id="\ufffd1")],
        [("\ufffd1", "a", '{"a":1}')],
        id="odd-letters",
    ),
]


@pytest.mark.parametrize(("fragments", "expected"), CALLS)
def test_fragments_become_calls(
    fragments: list[object], expected: list[tuple[str, str, str]]
) -> None:
    for payloads in ([tools(*fragments)], [tools(fragment) for fragment in fragments]):
        events = decode(*payloads, END)

        starts = [event for event in events if isinstance(event, BlockStart)]
        calls = [
            (start.call_id, start.tool, arguments_of(events, start.key))
            for start in starts
        ]
        assert [start.key for start in starts] == [
            f"tool:{n}" for n in range(len(starts))
        ]
        assert calls == expected
        assert finish_of(events).replay is None


def test_the_old_single_call_is_a_call() -> None:
    old = {"function_call": {"name": "look", "arguments": "{}"}}

    events = decode(
        chunk(old), chunk({"function_call": {"arguments": ""}}, "function_call")
    )

    assert arguments_of(events) == "{}"
    assert finish_of(events).reason is StopReason.TOOL_CALLS


@pytest.mark.parametrize(
    ("arguments", "is_incomplete"), [('{"a":', True), ("", True), ('{"a":1}', False)]
)
def test_a_length_limit_makes_the_last_call_doubtful(
    arguments: str, is_incomplete: bool
) -> None:
    calls = (called(0, "a", "{", id="1"), called(1, "b", arguments, id="2"))

    events = decode(tools(*calls), chunk(finish_reason="length"))

    assert finish_of(events).reason is StopReason.LENGTH
    assert BlockEnd("tool:0") in events
    assert BlockEnd("tool:1", is_incomplete=is_incomplete) in events


EXPRESSED = [
    pytest.param([chunk({"content": "Hi"})], id="text"),
    pytest.param(
        [chunk({"reasoning": "hm"}), chunk({"content": "Hi"})], id="reasoning"
    ),
    pytest.param([chunk({"refusal": "No."})], id="refusal"),
    pytest.param([tools(called(0, "look", "{}", id="1"))], id="call"),
    pytest.param(
        [chunk({"content": "Hi", "reasoning_details": None, "audio": None})], id="nulls"
    ),
    pytest.param([tools(called(0, "a", id="1", extra_content=None))], id="null-extra"),
]


@pytest.mark.parametrize("payloads", EXPRESSED)
def test_what_the_parts_express_is_not_told_twice(payloads: list[bytes]) -> None:
    assert finish_of(decode(*payloads, END)).replay is None


def replay_of(events: list[StreamEvent]) -> dict[str, object]:
    replay = finish_of(events).replay
    assert replay is not None
    assert replay.provider == "openai"
    return msgspec.json.decode(replay.payload, type=dict[str, object])


def test_what_the_parts_cannot_express_is_in_the_replay_of_the_whole_message() -> None:
    detail = {"type": "reasoning.encrypted", "index": 0, "data": "x", "format": "f"}

    events = decode(
        chunk({"reasoning": "hm", "reasoning_content": "hm"}),
        chunk({"reasoning_details": [detail]}),
        chunk({"reasoning_details": [{**detail, "data": "y"}]}),
        chunk({"content": "Hi"}),
        END,
    )

    assert replay_of(events) == {
        "role": "assistant",
        "reasoning": "hm",
        "content": "Hi",
        "reasoning_details": [{**detail, "data": "xy"}],
    }


def test_a_signed_call_is_replayed_with_its_signature() -> None:
    signature = {"google": {"thought_signature": "c2ln"}}
    call = called(0, "look", "{}", id="1", extra_content=signature)

    events = decode(tools(call, called(1, "look", "{}", id="2")), END)

    function = {"name": "look", "arguments": "{}"}
    assert replay_of(events)["tool_calls"] == [
        {
            "id": "1",
            "type": "function",
            "function": function,
            "extra_content": signature,
        },
        {"id": "2", "type": "function", "function": function},
    ]


def test_an_error_event_names_the_model_that_was_asked_for() -> None:
    decoder = ChatDecoder(model="asked")

    with pytest.raises(ModelNotFoundFailure) as caught:
        decoder.feed('{"error":{"code":404,"message":"no such model"}}', event="error")

    assert "openai has no model 'asked'" in caught.value.message


ODD = [
    pytest.param({"content": None}, "", id="null"),
    pytest.param({"content": ""}, "", id="empty"),
    pytest.param({"content": "a\0b"}, "ab", id="nul"),
    pytest.param({"content": "\0"}, "", id="only-nul"),
    pytest.param(
        {
            "content": "x",
            "reasoning": {"a": 1},
            "refusal": {"a": 1},
            "audio": 7,
            "role": 3,
            "annotations": 3,
        },
        "x",
        id="odd-fields",
    ),
    pytest.param(
        {
            "content": [
                {"type": "text", "text": "x"},
                {"thinking": [{"text": "t"}, 3]},
                7,
                {"text": 3},
            ]
        },
        "x",
        id="parts",
    ),
]


@pytest.mark.parametrize(("delta", "text"), ODD)
def test_odd_content_costs_no_text(delta: object, text: str) -> None:
    assert text_of(decode(chunk(delta), END)) == text


def test_thinking_parts_are_reasoning() -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]

    assert text_of(decode(chunk({"content": parts}), END), "reasoning") == "hm"


HALVES = [
    (rb'"\ud83dx"', "\ufffdx"),
    (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
    (b'"\xff"', "\ufffd"),
]


@pytest.mark.parametrize(("content", "text"), HALVES)
def test_broken_characters_are_replaced(content: bytes, text: str) -> None:
    payload = b'{"choices":[{"delta":{"content":' + content + b"}}]}"

    assert text_of(decode(payload, END)) == text


def test_other_choices_are_ignored() -> None:
    other = b'{"choices":[{"index":1,"delta":{"content":"no"},"finish_reason":"stop"}]}'
    nameless = (
        b'{"choices":[{"index":null,"delta":{"content":"yes"},"finish_reason":"stop"}]}'
    )

    assert text_of(decode(other, nameless)) == "yes"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<html>",
        b"[]",
        b"3",
        b'{"choices":3}',
        b'{"choices":[{"delta":{"content":3}}]}',
        b'{"a":' * 9_999,
        "\ud800",
    ],
)
def test_what_is_no_chunk_is_a_protocol_failure(payload: bytes | str) -> None:
    with pytest.raises(ProtocolFailure):
        decode(payload)


ERRORS = [
    (b'{"error":{"code":"429","message":"slow"}}', RateLimitFailure),
    (b'{"object":"error","message":"no","code":400}', InvalidRequestFailure),
    (
        b'{"error":{"code":502,"message":"down"},"choices":[{"finish_reason":"error"}]}',
        ServerFailure,
    ),
    (b'{"error":{"type":"insufficient_quota"}}', BillingFailure),
    (b'{"error":"it broke"}', ServerFailure),
    (chunk(finish_reason="error"), ServerFailure),
    (chunk(finish_reason="insufficient_system_resource"), OverloadFailure),
]


@pytest.mark.parametrize(("payload", "kind"), ERRORS)
def test_an_error_in_a_chunk_is_raised(
    payload: bytes, kind: type[ProviderFailure]
) -> None:
    with pytest.raises(kind):
        decode(chunk({"content": "Hi"}), payload)


@pytest.mark.parametrize(
    "data",
    [
        '{"code":429,"message":"slow"}',
        b'{"error":{"code":429}}',
        '{"type":"error","error":{"type":"rate_limit_exceeded"}}',
    ],
)
def test_an_event_named_error_is_one_whatever_it_holds(data: bytes | str) -> None:
    decoder = ChatDecoder()

    with pytest.raises(RateLimitFailure):
        decoder.feed(data, event="error")


@pytest.mark.parametrize("data", ["it broke", "\ud800", b"\xff", "null", "3"])
def test_an_event_named_error_needs_no_json(data: bytes | str) -> None:
    with pytest.raises(ServerFailure):
        ChatDecoder().feed(data, event="error")


def test_an_answer_in_one_piece_needs_no_reason() -> None:
    events = decode(b'{"choices":[{"message":{"content":"Hi"}}]}')

    assert text_of(events) == "Hi"
    assert finish_of(events).reason is StopReason.UNKNOWN


def test_a_chunk_that_repeats_the_whole_message_does_not_end_the_answer() -> None:
    both = b'{"choices":[{"delta":{"content":"%s"},"message":{"content":"Hello"}}]}'

    events = decode(both % b"Hel", both % b"lo", END)

    assert text_of(events) == "Hello"


def test_progress_shows_that_the_server_lives() -> None:
    decoder = ChatDecoder()
    progress = b'{"choices":[{"delta":{"role":"assistant"}}],"prompt_progress":{}}'

    first, second = decoder.feed(progress), decoder.feed(progress)

    assert [type(event) for event in (*first, *second)] == [Start, KeepAlive]


def test_a_spoken_answer_is_its_words() -> None:
    pieces = [{"id": "a1", "data": "UklG"}, {"transcript": "Hel"}, {"transcript": "lo"}]

    events = decode(
        *(chunk({"content": None, "audio": piece}) for piece in pieces), END
    )

    assert text_of(events) == "Hello"
    assert finish_of(events).replay is None


def test_reasoning_that_stands_only_in_its_details_is_shown() -> None:
    details = [
        [{"type": "reasoning.text", "index": 0, "text": "I "}],
        [{"type": "reasoning.summary", "index": 1, "summary": "add."}],
        [{"type": "reasoning.encrypted", "index": 2, "data": "x"}],
    ]

    events = decode(*(chunk({"reasoning_details": each}) for each in details), END)

    assert text_of(events, "reasoning") == "I add."
    assert len(cast("list[object]", replay_of(events)["reasoning_details"])) == 3


NOTE = {
    "type": "url_citation",
    "url_citation": {"url": "https://a.example", "title": "A"},
}


def test_sources_are_told_once() -> None:
    events = decode(
        chunk({"content": "Hi"}, citations=["https://b.example"]),
        chunk({"annotations": [NOTE]}, citations=["https://b.example"]),
        chunk(
            {"content": "!"},
            search_results=[{"title": "C", "url": "https://c.example"}],
            citations=["https://c.example"],
        ),
        END,
    )

    assert [event for event in events if isinstance(event, Citation)] == [
        Citation("text", "https://b.example", "https://b.example"),
        Citation("text", "A", "https://a.example"),
        Citation("text", "C", "https://c.example"),
    ]


def test_sources_of_an_answer_in_one_piece_are_told() -> None:
    message = {"content": "Hi", "annotations": [NOTE]}
    body = msgspec.json.encode({"choices": [{"message": message}]})

    assert Citation("text", "A", "https://a.example") in decode(body)


@pytest.mark.parametrize("content", ["<think>hm</think>\n\nHi", "<think>hm</think>Hi"])
def test_tags_in_the_text_become_reasoning_where_the_server_leaves_them(
    content: str,
) -> None:
    decoder = ChatDecoder(think_tags=ThinkTags.BOTH)

    events = [
        event
        for letter in content
        for event in decoder.feed(chunk({"content": letter}))
    ]
    events += [*decoder.feed(END), *decoder.finish()]

    assert (text_of(events, "reasoning"), text_of(events)) == ("hm", "Hi")
    assert text_of(decode(chunk({"content": content}), END)) == content


def test_what_waits_for_a_tag_is_said_at_the_end_and_never_before_it() -> None:
    ended, cut = (ChatDecoder(think_tags=ThinkTags.BOTH) for _ in range(2))
    for decoder in (ended, cut):
        assert len(decoder.feed(chunk({"content": "1 <"}))) == 3
    ended.feed(END)

    assert text_of(ended.finish()) == "<"
    assert cut.abandon() == [BlockEnd("text", is_incomplete=True)]


def test_a_number_no_machine_counts_with_comes_back_as_it_was() -> None:
    extra = b'{"n":%s,"x":1e999}' % (b"9" * 5_000)
    payload = (
        b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":'
        b'{"name":"look","arguments":{"n":12345678901234567890123}},"extra_content":'
        + extra
        + b"}]}}]}"
    )

    events = decode(payload, END)

    replay = finish_of(events).replay
    assert replay is not None
    assert extra.decode() in replay.payload
    assert arguments_of(events) == '{"n":12345678901234567890123}'


def test_broken_characters_in_what_is_kept_cost_nothing() -> None:
    payload = (
        b'{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"1","function":'
        b'{"name":"look","arguments":"{}"},"extra_content":"\xff"}]}}]}'
    )

    replay = finish_of(decode(payload, END)).replay

    assert replay is not None
    assert '"\ufffd"' in replay.payload


@pytest.mark.parametrize("nothing", [b"null", b"{}", b'""', b"false"])
def test_an_error_that_says_nothing_is_none(nothing: bytes) -> None:
    events = decode(b'{"error":' + nothing + b',"choices":[{"finish_reason":"stop"}]}')

    assert finish_of(events).reason is StopReason.STOP


NAMES = [
    *("choices", "delta", "message", "content", "tool_calls", "index", "id", "name"),
    *("function", "arguments", "finish_reason", "usage", "error", "reasoning", "text"),
    *("reasoning_details", "annotations", "audio", "citations", "extra_content"),
    *("prompt_progress", "url", "url_citation", "object", "transcript", "title"),
    *("refusal", "function_call", "x_groq", "timings", "thinking", "prompt_n", "model"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "stop", "null"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=24,
)
DELTAS = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": JSON}) | JSON)}
)


@given(
    st.lists(
        st.binary() | st.text() | (JSON | DELTAS).map(msgspec.json.encode), max_size=6
    )
)
def test_no_bytes_raise_anything_but_failures(payloads: list[bytes | str]) -> None:
    decoder = ChatDecoder()
    events: list[StreamEvent] = []

    try:
        for payload in payloads:
            events += decoder.feed(payload)
        events += decoder.finish()
    except Failure:
        events += decoder.abandon()

    starts = [event.key for event in events if isinstance(event, BlockStart)]
    ends = [event.key for event in events if isinstance(event, BlockEnd)]
    assert len(set(starts)) == len(starts)
    assert len(ends) == len(set(ends))


HOSTILE = [
    b"[" * 100_000,
    b'{"x":' * 100_000,
    b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":' + b"[" * 100_000,
    b'{"choices":[{"delta":{"content":NaN}}]}',
    b'{"choices":[{"index":' + b"9" * 5_000 + b"}]}",
    b'{"error":' + b"9" * 5_000 + b"}",
    b'{"error":{"message":' + b"[" * 100_000 + b"}}",
    b"\x00",
    '{"choices":[{"delta":{"content":"\ud800\udc00\udc00"}}]}',
    '{"choices":[{"delta":{"reasoning_details":[{"text":"\udc00"}]}}]}',
]


@pytest.mark.parametrize("event", ["", "message", "error"])
@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_sent_to_do_harm_does_none(payload: bytes | str, event: str) -> None:
    decoder = ChatDecoder(think_tags=ThinkTags.BOTH)

    try:
        events = [*decoder.feed(payload, event=event), *decoder.finish()]
    except ProviderFailure:
        events = decoder.abandon()

    assert not any(isinstance(event, Finish) for event in events)
