"""Every recorded exchange, in all the ways in which it may arrive."""

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.reading import joined
from tina.domain.events import (
    BlockEnd,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
)
from tina.domain.failures import ProtocolFailure, ProviderFailure, TruncatedFailure
from tina.networking.sse import SseDecoder
from tina.providers.openai.chat.decode import ChatDecoder
from tina.providers.openai.chat.quirks import ThinkTags

RECORDINGS = Path(__file__).parents[3] / "recordings"
STREAMS = sorted(path.name for path in RECORDINGS.glob("chat_*.sse"))
BODIES = sorted(path.name for path in RECORDINGS.glob("chat_*.json"))
REFUSALS = sorted(path.name for path in RECORDINGS.glob("err_*.json"))
Told = tuple[list[StreamEvent], ProviderFailure | None]


def told(chunks: Iterable[bytes], tags: ThinkTags = ThinkTags.NONE) -> Told:
    """What the bytes of one stream say, and the failure that ended it, if any."""
    sse, decoder = SseDecoder(), ChatDecoder(think_tags=tags)
    events: list[StreamEvent] = []
    try:
        for chunk in chunks:
            for event in sse.feed(chunk):
                events += decoder.feed(event.data, event=event.event)
        events += decoder.finish()
    except ProviderFailure as failure:
        return joined(events + decoder.abandon()), failure
    return joined(events), None


def said(events: list[StreamEvent]) -> dict[str, str]:
    """The text or the arguments of each block."""
    texts: dict[str, str] = {}
    for event in events:
        match event:
            case BlockStart(key=key):
                texts[key] = ""
            case (
                TextDelta(key=key, text=text)
                | ToolArgumentsDelta(key=key, fragment=text)
            ):
                texts[key] += text
            case _:
                continue
    return texts


def cut(body: bytes, cuts: Iterable[int]) -> list[bytes]:
    borders = sorted({0, len(body), *(at % (len(body) + 1) for at in cuts)})
    return [body[a:b] for a, b in pairwise(borders)]


@pytest.mark.requirement("providers:capture:any-cut")
@pytest.mark.parametrize("tags", ThinkTags)
@pytest.mark.parametrize("name", STREAMS)
def test_a_recording_says_the_same_however_it_is_cut(
    name: str, tags: ThinkTags
) -> None:
    body = (RECORDINGS / name).read_bytes()

    events, failure = told([body], tags)

    assert failure is None
    assert [type(event) for event in events].count(Finish) == 1
    assert isinstance(events[-1], Finish)
    assert told((body[at : at + 1] for at in range(len(body))), tags) == (events, None)
    assert told(cut(body, range(0, len(body), 37)), tags) == (events, None)


@pytest.mark.requirement("providers:capture:any-cut")
@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 9_999), max_size=12), name=st.sampled_from(STREAMS))
def test_random_cuts_change_nothing(cuts: list[int], name: str) -> None:
    body = (RECORDINGS / name).read_bytes()

    assert told(cut(body, cuts)) == told([body])


def end_of_answer(body: bytes) -> int:
    """Where the chunk that says why the model stopped is whole, with its blank line."""
    match = re.search(
        rb'\{"choices":\[\{"finish_reason":"[a-z_]+","index":0,.*\n\n', body
    )
    assert match is not None
    return match.end()


@pytest.mark.requirement("providers:cut:exact-prefix")
@pytest.mark.parametrize("tags", [ThinkTags.NONE, ThinkTags.BOTH])
@pytest.mark.parametrize("name", STREAMS)
def test_a_recording_cut_at_any_byte_is_a_prefix_and_never_whole(
    name: str, tags: ThinkTags
) -> None:
    body = (RECORDINGS / name).read_bytes()
    end = end_of_answer(body)
    full = said(told([body])[0])

    for at in range(len(body)):
        events, failure = told([body[:at]], tags)
        starts = [event.key for event in events if isinstance(event, BlockStart)]
        ends = [event for event in events if isinstance(event, BlockEnd)]
        finishes = sum(isinstance(event, Finish) for event in events)
        assert sorted(starts) == sorted(event.key for event in ends)
        if at >= end:
            assert (failure, finishes, said(events)) == (None, 1, full)
            continue
        assert isinstance(failure, TruncatedFailure)
        assert finishes == 0
        assert all(event.is_incomplete for event in ends)
        assert all(full[key].startswith(text) for key, text in said(events).items())


@pytest.mark.parametrize("name", BODIES)
def test_a_recorded_body_is_an_answer_only_if_it_is_whole(name: str) -> None:
    body = (RECORDINGS / name).read_bytes().strip()
    decoder = ChatDecoder()
    events = [*decoder.feed(body), *decoder.finish()]

    assert isinstance(events[0], Start)
    assert isinstance(events[-1], Finish)
    assert any(isinstance(event, TextDelta | ToolArgumentsDelta) for event in events)
    for at in range(len(body)):
        with pytest.raises(ProtocolFailure):
            ChatDecoder().feed(body[:at])


@pytest.mark.parametrize("name", REFUSALS)
def test_a_recorded_refusal_is_one_in_a_stream_and_in_a_body_too(name: str) -> None:
    body = (RECORDINGS / name).read_bytes().strip()
    message = msgspec.json.decode(body)["error"]["message"]
    frames = (b"data: %s\n\n" % body, b"event: error\ndata: %s\n\n" % body)

    whole = [told([frame]) for frame in frames]
    bytewise = [
        told(frame[at : at + 1] for at in range(len(frame))) for frame in frames
    ]
    with pytest.raises(ProviderFailure) as caught:
        ChatDecoder().feed(body)

    for events, failure in (*whole, *bytewise):
        assert events == []
        assert failure is not None
        assert failure.message == caught.value.message
        assert " ".join(message.split()) in failure.message


UNKNOWN = {
    "x_unknown": {"deep": [1, {"a": None}]},
    "obfuscation": "x9",
    "service_tier": "default",
    "provider": "Someone",
    "native_finish_reason": None,
}
FRAMES = [
    b": keep-alive\n\n",
    b":\n\n",
    b"event: unknown\nid: 7\nretry: 3\n\n",
    b'event: telemetry\ndata: {"choices":[]}\n\n',
    b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
    b'data: {"choices":null,"moderation":{}}\n\n',
    b'data: {"choices":[{"index":1,"delta":{"content":"no"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"unknown":[1]},"finish_reason":""}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":null}],"usage":null,"error":null}\n\n',
]


def with_unknown(value: object) -> object:
    """The same JSON with a field that nobody knows in each object."""
    if isinstance(value, dict):
        fields = msgspec.convert(value, dict[str, object])
        return UNKNOWN | {name: with_unknown(field) for name, field in fields.items()}
    if isinstance(value, list):
        return [with_unknown(each) for each in msgspec.convert(value, list[object])]
    return value


@pytest.mark.requirement("providers:unknown:costs-nothing")
@pytest.mark.parametrize("name", STREAMS)
def test_unknown_fields_change_nothing(name: str) -> None:
    body = (RECORDINGS / name).read_bytes()

    stuffed = re.sub(
        rb"data: (\{.*)",
        lambda found: (
            b"data: " + msgspec.json.encode(with_unknown(msgspec.json.decode(found[1])))
        ),
        body,
    )

    assert len(stuffed) > 2 * len(body)
    assert told([stuffed]) == told([body])


@pytest.mark.requirement("providers:unknown:costs-nothing")
@pytest.mark.parametrize("name", STREAMS)
def test_unknown_frames_change_nothing(name: str) -> None:
    """Those that look like an answer come behind the first, which says whose it is."""
    body = (RECORDINGS / name).read_bytes()
    at = body.index(b"data:")
    first, *rest = body[at:].split(b"\n\n")
    frames = [first, *(b"".join(FRAMES) + frame for frame in rest)]
    stuffed = body[:at] + b"".join(FRAMES[:6]) + b"\n\n".join(frames)

    assert told([stuffed]) == told([body])
