"""The recordings are not captured: they are handmade, from the shapes in Ollama's
documentation and in its server's source, because no Ollama runs where Tina is tested.
"""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.chat import StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
    merge_deltas,
)
from tina.domain.failures import (
    ContextOverflowFailure,
    Failure,
    InvalidRequestFailure,
    ProtocolFailure,
    ProviderFailure,
    ServerFailure,
    TruncatedFailure,
)
from tina.domain.ids import ToolCallId
from tina.networking.ndjson import NdjsonDecoder
from tina.providers.dialect import Framing
from tina.providers.lenient import is_list, is_mapping
from tina.providers.ollama.decode import OllamaDecoder
from tina.providers.streams import make_reader

RECORDINGS = Path(__file__).parents[2] / "recordings"
STREAMS = (
    "ollama_length_stream",
    "ollama_old_tools_stream",
    "ollama_text_stream",
    "ollama_thinking_stream",
    "ollama_tools_stream",
)
BROKEN = "ollama_error_midway_stream"


def recording(name: str) -> bytes:
    return (RECORDINGS / f"{name}.ndjson").read_bytes()


def lines_of(name: str) -> list[bytes]:
    return recording(name).splitlines()


def decode(*payloads: bytes | str) -> list[StreamEvent]:
    decoder = OllamaDecoder()
    events = [event for payload in payloads for event in decoder.feed(payload)]
    return events + decoder.finish()


def read(chunks: Iterable[bytes], decoder: OllamaDecoder) -> list[StreamEvent]:
    """As the driver does it: framing, decoding, and what stands behind the last line.

    Raises:
        ProviderFailure: after the events before it were seen to close every block.
    """
    reader = make_reader(Framing.NDJSON, decoder)
    events: list[StreamEvent] = []
    for chunk in chunks:
        said, failure = reader.feed(chunk)
        events += said
        if failure is not None:
            raise failure
    said, failure = reader.end()
    events += said
    assert failure is None
    return events


def whole(data: bytes) -> list[StreamEvent]:
    decoder = OllamaDecoder()
    return merge_deltas([*read([data], decoder), *decoder.finish()])


def text_of(events: Iterable[StreamEvent], key: str = "text") -> str:
    deltas = (event for event in events if isinstance(event, TextDelta))
    return "".join(delta.text for delta in deltas if delta.key == key)


def calls_of(events: list[StreamEvent]) -> list[tuple[str | None, str | None, str]]:
    """Id, tool and arguments of each call."""
    said = {
        event.key: event.fragment
        for event in events
        if isinstance(event, ToolArgumentsDelta)
    }
    return [
        (event.call_id, event.tool, said[event.key])
        for event in events
        if isinstance(event, BlockStart) and event.kind is BlockKind.TOOL_CALL
    ]


def finish_of(events: list[StreamEvent]) -> Finish:
    finish = events[-1]
    assert isinstance(finish, Finish)
    return finish


def line(message: object = None, **rest: object) -> bytes:
    said = {} if message is None else {"message": message}
    return msgspec.json.encode({"model": "m", **said, "done": False, **rest})


def called(name: object, arguments: object, **rest: object) -> dict[str, object]:
    return {**rest, "function": {"name": name, "arguments": arguments}}


END = line({"role": "assistant", "content": ""}, done=True, done_reason="stop")


def test_every_recording_is_read_here() -> None:
    found = {path.stem for path in RECORDINGS.glob("ollama_*.ndjson")}

    assert found == {*STREAMS, BROKEN}


def test_a_recorded_answer_is_read_whole() -> None:
    events = whole(recording("ollama_text_stream"))

    assert events == [
        Start("qwen3:4b"),
        BlockStart("text", BlockKind.TEXT),
        TextDelta("text", "Grüße aus Köln \N{GRINNING FACE}\na < b\u2028"),
        BlockEnd("text"),
        UsageUpdate(Usage(input_tokens=26, output_tokens=9)),
        Finish(StopReason.STOP, raw_reason="stop"),
    ]


def test_what_it_thinks_is_a_block_of_its_own() -> None:
    events = whole(recording("ollama_thinking_stream"))

    starts = [event for event in events if isinstance(event, BlockStart)]
    assert starts == [
        BlockStart("reasoning", BlockKind.REASONING),
        BlockStart("text", BlockKind.TEXT),
    ]
    assert text_of(events, "reasoning") == "I add 3 and 3.\n"
    assert text_of(events) == "The sum is 6."


def test_calls_come_whole_in_any_line() -> None:
    events = whole(recording("ollama_tools_stream"))

    assert calls_of(events) == [
        ("call_ab12cd34", "get_weather", '{"city":"Paris","unit":"celsius"}'),
        ("call_ef56gh78", "get_weather", '{"city":"Köln"}'),
    ]
    assert events[3:6] == [
        BlockStart(
            "tool:0",
            BlockKind.TOOL_CALL,
            call_id=ToolCallId("call_ab12cd34"),
            tool="get_weather",
        ),
        ToolArgumentsDelta("tool:0", '{"city":"Paris","unit":"celsius"}'),
        BlockEnd("tool:0"),
    ]
    assert finish_of(events) == Finish(StopReason.TOOL_CALLS, raw_reason="stop")


def test_an_old_server_gives_calls_no_ids_and_they_get_some() -> None:
    events = whole(recording("ollama_old_tools_stream"))

    stamp = "20261101T100000900000001Z"
    assert calls_of(events) == [
        (f"call_0_{stamp}", "get_weather", '{"city":"Paris"}'),
        (f"call_1_{stamp}", "now", "{}"),
    ]


def test_an_answer_ends_at_its_length() -> None:
    events = whole(recording("ollama_length_stream"))

    assert finish_of(events).reason is StopReason.LENGTH
    assert UsageUpdate(Usage(output_tokens=3)) in events


def test_an_error_in_the_middle_ends_the_answer() -> None:
    decoder = OllamaDecoder(model="m")

    with pytest.raises(ServerFailure, match="runner process has terminated"):
        read([recording(BROKEN)], decoder)

    assert decoder.abandon() == [BlockEnd("text", is_incomplete=True)]


def test_an_answer_in_one_piece_is_the_same_line() -> None:
    events = decode((RECORDINGS / "ollama_text_nonstream.json").read_bytes())

    assert text_of(events, "reasoning") == "Short."
    assert text_of(events) == "Grüße."
    assert finish_of(events).reason is StopReason.STOP


@pytest.mark.requirement("providers:capture:any-cut")
@pytest.mark.parametrize("name", STREAMS)
def test_byte_by_byte_it_is_the_same_answer(name: str) -> None:
    data = recording(name)
    decoder = OllamaDecoder()

    events = read((data[at : at + 1] for at in range(len(data))), decoder)

    assert merge_deltas([*events, *decoder.finish()]) == whole(data)


@given(st.sampled_from(STREAMS), st.lists(st.floats(0, 1), max_size=20))
def test_the_cut_into_chunks_changes_nothing(name: str, places: list[float]) -> None:
    data = recording(name)
    cuts = sorted({0, len(data), *(int(place * len(data)) for place in places)})
    decoder = OllamaDecoder()

    chunks = (data[start:end] for start, end in pairwise(cuts))
    events = read(chunks, decoder)

    assert merge_deltas([*events, *decoder.finish()]) == whole(data)


@pytest.mark.requirement("providers:cut:exact-prefix")
@pytest.mark.parametrize("name", STREAMS)
def test_cut_at_any_byte_it_is_an_exact_prefix_and_never_complete(name: str) -> None:
    data = recording(name)
    entire = whole(data)
    end = data.rstrip().rindex(b"}") + 1
    for at in range(end):
        decoder = OllamaDecoder()

        events = read([data[:at]], decoder)

        with pytest.raises(TruncatedFailure):
            decoder.finish()
        events += decoder.abandon()
        for key in ("text", "reasoning"):
            assert text_of(entire, key).startswith(text_of(events, key))
        assert calls_of(entire)[: len(calls_of(events))] == calls_of(events)
        starts = [event.key for event in events if isinstance(event, BlockStart)]
        ends = [event.key for event in events if isinstance(event, BlockEnd)]
        assert sorted(starts) == sorted(ends)
        assert not any(isinstance(event, Finish) for event in events)


def test_a_last_line_without_its_end_completes_the_answer() -> None:
    data = recording("ollama_text_stream")

    assert whole(data.rstrip(b"\n")) == whole(data)


ADDED = [
    b'{"status":"loading"}',
    b"{}",
    b'{"message":null}',
    b'{"message":{"role":"assistant","images":["aGk="],"mood":3}}',
    b'{"error":null,"warning":"hm"}',
    b'{"done":"yes","message":{"content":""}}',
    b'{"done":1}',
    b"",
    b" \r",
]


@given(
    st.sampled_from(STREAMS),
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from(ADDED)), max_size=6),
)
def test_unknown_lines_anywhere_change_nothing(
    name: str, added: list[tuple[int, bytes]]
) -> None:
    lines = lines_of(name)
    for place, extra in added:
        lines.insert(max(1, place), extra)

    assert whole(b"\n".join(lines)) == whole(recording(name))


@pytest.mark.requirement("providers:unknown:costs-nothing")
@pytest.mark.parametrize("name", STREAMS)
def test_unknown_fields_anywhere_change_nothing(name: str) -> None:
    def grown(value: object) -> object:
        if is_list(value):
            return [grown(each) for each in value]
        if not is_mapping(value):
            return value
        # What a tool is called with is the model's own, and nobody may add to it.
        fields = {
            key: each if key == "arguments" else grown(each)
            for key, each in value.items()
        }
        return {**fields, "new": {"field": [1, None]}}

    lines = [
        msgspec.json.encode(grown(msgspec.json.decode(each))) for each in lines_of(name)
    ]

    assert whole(b"\n".join(lines)) == whole(recording(name))


REASONS = [
    ("stop", StopReason.STOP),
    ("length", StopReason.LENGTH),
    ("load", StopReason.UNKNOWN),
    ("unload", StopReason.UNKNOWN),
    ("cancelled", StopReason.UNKNOWN),
]


@pytest.mark.parametrize(("raw", "reason"), REASONS)
def test_the_reason_is_translated_and_kept(raw: str, reason: StopReason) -> None:
    finish = finish_of(decode(line({"content": "Hi"}, done=True, done_reason=raw)))

    assert (finish.reason, finish.raw_reason) == (reason, raw)


@pytest.mark.parametrize("raw", ["", None, 7])
def test_a_reason_that_is_missing_is_unknown(raw: object) -> None:
    finish = finish_of(decode(line({"content": "Hi"}, done=True, done_reason=raw)))

    assert (finish.reason, finish.raw_reason) == (StopReason.UNKNOWN, None)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [("stop", StopReason.TOOL_CALLS), ("length", StopReason.LENGTH)],
)
def test_a_call_is_the_reason_unless_the_answer_was_cut(
    raw: str, reason: StopReason
) -> None:
    asked = line({"tool_calls": [called("look", {})]})

    assert finish_of(decode(asked, line(done=True, done_reason=raw))).reason is reason


USAGES: list[tuple[dict[str, object], Usage | None]] = [
    ({}, None),
    (
        {"prompt_eval_count": 5, "eval_count": 7},
        Usage(input_tokens=5, output_tokens=7),
    ),
    ({"prompt_eval_count": 5}, Usage(input_tokens=5, output_tokens=0)),
    ({"eval_count": 7}, Usage(output_tokens=7)),
    ({"prompt_eval_count": "5", "eval_count": -1}, None),
    ({"prompt_eval_count": True, "eval_count": 2**60}, None),
]


@pytest.mark.parametrize(("counts", "usage"), USAGES)
def test_usage_is_what_is_credible(
    counts: dict[str, object], usage: Usage | None
) -> None:
    events = decode(line({"content": "Hi"}, done=True, **counts))

    updates = [event.usage for event in events if isinstance(event, UsageUpdate)]
    assert updates == ([] if usage is None else [usage])
    assert text_of(events) == "Hi"


CALLS = [
    pytest.param(called("a", {"x": [1]}, id="1"), ("1", "a", '{"x":[1]}'), id="whole"),
    pytest.param(called("a", '{"x":1}', id="1"), ("1", "a", '{"x":1}'), id="text"),
    pytest.param(called("a", "", id="1"), ("1", "a", "{}"), id="empty-text"),
    pytest.param(called("a", "\0", id="1"), ("1", "a", "{}"), id="unholdable-text"),
    pytest.param(called("a", None, id="1"), ("1", "a", "{}"), id="null"),
    pytest.param(called("a", [1], id="1"), ("1", "a", "[1]"), id="no-object"),
    pytest.param({"id": "1"}, ("1", "unknown", "{}"), id="no-function"),
    pytest.param(
        {"id": "1", "function": {"name": "a"}}, ("1", "a", "{}"), id="no-arguments"
    ),
    pytest.param(called(3, {}, id=7), ("call_0", "unknown", "{}"), id="odd-types"),
    pytest.param(called("a\0", {}, id="\0"), ("call_0", "a", "{}"), id="unholdable"),
]


@pytest.mark.parametrize(("call", "expected"), CALLS)
def test_a_call_is_read_leniently(call: object, expected: tuple[str, str, str]) -> None:
    assert calls_of(decode(line({"tool_calls": [call]}), END)) == [expected]


def test_arguments_stay_as_the_model_wrote_them() -> None:
    long = b"9" * 5_000
    payload = (
        b'{"message":{"tool_calls":[{"id":"1","function":{"name":"a","arguments":'
        b'{ "n":' + long + b'}}}]},"done":true}'
    )

    ((_, _, arguments),) = calls_of(decode(payload))

    assert arguments == '{ "n":' + long.decode() + "}"


def test_ids_that_are_given_are_new_in_the_answer_and_in_the_history() -> None:
    decoder = OllamaDecoder(taken=("call_0", "call_2"))
    nameless = [called("a", {}), called("b", {}), called("c", {})]

    events = [*decoder.feed(line({"tool_calls": nameless})), *decoder.feed(END)]

    assert [call_id for call_id, _, _ in calls_of(events)] == [
        "call_1",
        "call_3",
        "call_4",
    ]


def test_ids_that_are_given_differ_from_answer_to_answer() -> None:
    ids = set[str | None]()
    for second in range(3):
        created_at = f"2026-11-01T10:00:0{second}.1Z"
        said = line({"tool_calls": [called("a", {})]}, created_at=created_at)

        ids |= {call_id for call_id, _, _ in calls_of(decode(said, END))}

    assert len(ids) == 3


def test_the_start_says_who_answers() -> None:
    named = OllamaDecoder(model="asked", request_id="req_1").feed(line())
    nameless = OllamaDecoder(model="asked", request_id="req_1").feed(b'{"model":3}')

    assert named == [Start("m", request_id="req_1")]
    assert nameless == [Start("asked", request_id="req_1")]


@pytest.mark.parametrize("reason", ["load", "unload", "stop"])
def test_an_end_without_anything_is_no_answer(reason: str) -> None:
    with pytest.raises(ProtocolFailure, match="answered with nothing"):
        decode(f'{{"done":true,"done_reason":"{reason}"}}')


def test_an_answer_without_words_that_was_counted_is_one() -> None:
    events = decode('{"done":true,"done_reason":"stop","eval_count":1}')

    assert finish_of(events).reason is StopReason.STOP


def test_nothing_follows_the_end() -> None:
    decoder = OllamaDecoder()
    decoder.feed(line({"content": "Hi"}))
    assert not decoder.is_done
    assert not decoder.is_whole
    decoder.feed(END)

    assert decoder.is_done
    assert decoder.is_whole
    assert decoder.feed(line({"content": "more"})) == []
    assert decoder.feed(b'{"error":"late"}') == []
    assert len(decoder.finish()) == 2
    assert decoder.finish() == []
    assert decoder.abandon() == []


ERRORS = [
    (b'{"error":"it broke"}', ServerFailure),
    (b'{"error":"it broke","done":true}', ServerFailure),
    (b'{"error":{"code":400,"message":"no"}}', InvalidRequestFailure),
    (
        b'{"error":"the input length exceeds the context length"}',
        ContextOverflowFailure,
    ),
    (b'{"error":"model requires more system memory (9 GiB)"}', InvalidRequestFailure),
    (b'{"error":"half \\ud83d a pair"}', ServerFailure),
    (b'{"error":' + b"9" * 5_000 + b"}", ServerFailure),
]


@pytest.mark.parametrize(("payload", "kind"), ERRORS)
def test_an_error_goes_before_everything(
    payload: bytes, kind: type[ProviderFailure]
) -> None:
    with pytest.raises(kind):
        decode(line({"content": "Hi"}), payload)


@pytest.mark.parametrize("nothing", [b"null", b'""', b"false", b"{}"])
def test_an_error_that_says_nothing_is_none(nothing: bytes) -> None:
    events = decode(b'{"error":' + nothing + b',"done":true,"eval_count":1}')

    assert finish_of(events).reason is StopReason.UNKNOWN


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"<html>",
        b"[]",
        b"3",
        b'{"message":3}',
        b'{"message":{"content":3}}',
        b'{"message":{"tool_calls":{}}}',
        b'{"a":' * 100_000,
        b'{"message":{"tool_calls":[{"function":{"arguments":' + b"[" * 100_000,
        "\ud800",
    ],
)
def test_what_is_no_line_is_a_protocol_failure(payload: bytes | str) -> None:
    with pytest.raises(ProtocolFailure, match="without /v1"):
        decode(payload)


HALVES = [
    (rb'"\ud83dx"', "\ufffdx"),
    (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
    (b'"\xff"', "\ufffd"),
    (rb'"a\u0000b"', "ab"),
]


@pytest.mark.parametrize(("content", "text"), HALVES)
def test_broken_characters_are_replaced(content: bytes, text: str) -> None:
    payload = b'{"message":{"content":' + content + b"}}"

    assert text_of(decode(payload, END)) == text


def test_odd_thinking_costs_no_text() -> None:
    events = decode(line({"content": "Hi", "thinking": True, "role": 3}), END)

    assert text_of(events) == "Hi"
    assert text_of(events, "reasoning") == ""


NAMES = [
    *("model", "created_at", "message", "done", "done_reason", "error", "content"),
    *("thinking", "tool_calls", "function", "name", "arguments", "id", "role"),
    *("eval_count", "prompt_eval_count", "status"),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "stop", "null", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=24,
)
LINES = st.fixed_dictionaries({"message": JSON})


@given(
    st.lists(
        st.binary() | st.text() | (JSON | LINES).map(msgspec.json.encode), max_size=6
    )
)
def test_no_bytes_raise_anything_but_failures(payloads: list[bytes | str]) -> None:
    decoder = OllamaDecoder()
    events: list[StreamEvent] = []
    try:
        for payload in payloads:
            events += decoder.feed(payload)
        events += decoder.finish()
    except Failure:
        events += decoder.abandon()

    starts = [event.key for event in events if isinstance(event, BlockStart)]
    ends = [event.key for event in events if isinstance(event, BlockEnd)]
    assert sorted(starts) == sorted(ends)


def test_the_framing_gives_the_lines_that_are_recorded() -> None:
    for name in STREAMS:
        assert NdjsonDecoder().feed(recording(name)) == lines_of(name)
