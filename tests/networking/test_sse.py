from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import TooLargeFailure
from tina.networking.sse import ServerSentEvent, SseDecoder


def decode(chunks: Iterable[bytes]) -> list[ServerSentEvent]:
    decoder = SseDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def event(
    data: str, name: str = "message", event_id: str = "", retry: int | None = None
) -> ServerSentEvent:
    return ServerSentEvent(data, name, event_id, retry)


CASES = [
    pytest.param(b"data: a\n\n", [event("a")], id="lf"),
    pytest.param(b"data:a\r\n\r\ndata:b\r\r", [event("a"), event("b")], id="crlf-cr"),
    pytest.param(b"data: a\r\n\ndata: b\n\r\n", [event("a"), event("b")], id="mixed"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [event("a")], id="bom"),
    pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", [], id="second-bom"),
    pytest.param(b"\n\xef\xbb\xbfdata: a\n\n", [], id="bom-later"),
    pytest.param(b"\xef\xbbdata: a\n\n", [], id="half-bom"),
    pytest.param(b"\xefdata: a\n\ndata: b\n\n", [event("b")], id="third-of-bom"),
    pytest.param(
        "data: \u2028\x85\x0c\n\n".encode(), [event("\u2028\x85\x0c")], id="u2028"
    ),
    pytest.param(b"data: a\ndata\ndata:  b\n\n", [event("a\n\n b")], id="data-lines"),
    pytest.param(b"data\n\n", [event("")], id="empty-data"),
    pytest.param(b"data\ndata\n\n", [event("\n")], id="two-empty-data"),
    pytest.param(b"event: ping\n\ndata: a\n\n", [event("a")], id="no-data-no-event"),
    pytest.param(
        b"event: x\ndata: a\n\ndata: b\n\n", [event("a", "x"), event("b")], id="type"
    ),
    pytest.param(b"event: x\nevent\ndata: a\n\n", [event("a")], id="type-taken-back"),
    pytest.param(
        b"id: 1\ndata: a\n\ndata: b\n\n",
        [event("a", event_id="1"), event("b", event_id="1")],
        id="id-persists",
    ),
    pytest.param(
        b"id: 1\n\ndata: b\n\n", [event("b", event_id="1")], id="id-without-data"
    ),
    pytest.param(b"id: 1\nid\ndata: b\n\n", [event("b")], id="id-reset"),
    pytest.param(b"id: 1\0\ndata: b\n\n", [event("b")], id="id-with-nul"),
    pytest.param(
        b"retry: 10\ndata: a\n\ndata: b\n\n",
        [event("a", retry=10), event("b")],
        id="retry",
    ),
    pytest.param(
        b"retry: 10\n\ndata: b\n\n", [event("b")], id="retry-of-another-block"
    ),
    pytest.param(
        "retry: 1x\nretry\nretry: -1\nretry: \u0661\ndata: b\n\n".encode(),
        [event("b")],
        id="retry-that-is-no-number",
    ),
    pytest.param(
        b"retry: " + b"9" * 5_000 + b"\ndata: b\n\n", [event("b")], id="endless-retry"
    ),
    pytest.param(b": data: a\n:\ndata: b\n\n", [event("b")], id="comments"),
    pytest.param(b"Data: a\n data: a\ndata : a\nx: y\n\n", [], id="other-fields"),
    pytest.param(b"data: \xff\xe2\x82\n\n", [event("\ufffd\ufffd")], id="bad-utf8"),
    pytest.param(
        b"data: \xf0\x9f\x98\x80\0\n\n", [event("\N{GRINNING FACE}\0")], id="utf8"
    ),
    pytest.param(b"data: a\n", [], id="unfinished"),
    pytest.param(b"data: a\n\ndata: b", [event("a")], id="unfinished-line"),
    pytest.param(b"", [], id="nothing"),
    pytest.param(b"\r\n\r\n\n\r", [], id="blank-lines"),
]


@pytest.mark.requirement("networking:sse:any-cut")
@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_the_cut_changes_nothing(
    stream: bytes, expected: list[ServerSentEvent]
) -> None:
    whole = decode([stream])
    in_bytes = decode(bytewise(stream))

    assert whole == expected
    assert in_bytes == whole


LINE_PIECES = [b"data", b"event", b"id", b"retry", b":", b" ", b"\r", b"\n", b"\r\n"]
ODD_PIECES = [b"\0", b"7", b"\xef\xbb\xbf", b"\xef", b"\xe2\x82", b"\xff", b"a"]
PIECES = st.sampled_from([*LINE_PIECES, *ODD_PIECES, "\u2028".encode()])
STREAMS = st.lists(PIECES | st.binary(max_size=3), max_size=40).map(b"".join)


def standard(stream: bytes) -> list[ServerSentEvent]:
    """The standard's algorithm, written as it is told, over the whole text."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[:-1]
    events: list[ServerSentEvent] = []
    data, name, event_id, retry = "", "", "", None
    for line in lines:
        if line == "":
            if data:
                events.append(event(data[:-1], name or "message", event_id, retry))
            data, name, retry = "", "", None
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data += value + "\n"
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            event_id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            retry = int(value)
    return events


@pytest.mark.requirement("networking:sse:any-cut")
@given(stream=STREAMS, cuts=st.lists(st.integers(0, 120), max_size=12))
def test_it_reads_as_the_standard_says_however_it_is_cut(
    stream: bytes, cuts: list[int]
) -> None:
    borders = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(borders)]

    assert decode(chunks) == standard(stream)
    assert decode(bytewise(stream)) == standard(stream)


PENDING = [
    pytest.param(b"data: a\n\n", None, id="nothing-left"),
    pytest.param(b"data: a\n", "a", id="the-blank-line-is-missing"),
    pytest.param(b"data: a", "a", id="the-line-end-is-missing"),
    pytest.param(b"data: a\ndata: b", "a\nb", id="two-lines"),
    pytest.param(b"data: a\nid: 1", "a", id="another-field"),
    pytest.param(b"event: a", None, id="no-data"),
    pytest.param(b"\xef\xbb", None, id="half-a-byte-order-mark"),
    pytest.param(b"", None, id="nothing"),
]


@pytest.mark.parametrize(("stream", "expected"), PENDING)
def test_what_the_end_cuts_off_can_be_seen(stream: bytes, expected: str | None) -> None:
    decoder = SseDecoder()
    for chunk in bytewise(stream):
        decoder.feed(chunk)

    assert decoder.pending == expected


def test_the_reconnection_time_is_known_without_an_event() -> None:
    decoder = SseDecoder()

    decoder.feed(b"retry: 1500\n\n")

    assert decoder.retry_ms == 1500


LIMIT = 20
FITTING = [
    pytest.param(b"data: " + b"a" * 14 + b"\n\n", id="line"),
    pytest.param(b"data: aaaaa\ndata: abcdefgh\n\n", id="data-and-line"),
    pytest.param(b"data: a\n\n" * 30, id="many-events"),
    pytest.param(b": " + b"c" * 18 + b"\n" + b"data: a\n\n", id="comment"),
    pytest.param(b": ccccccccc\n" * 30 + b"data: a\n\n", id="many-comments"),
    pytest.param(b"\xef\xbb\xbfdata: " + b"a" * 14 + b"\n\n", id="byte-order-mark"),
]


@pytest.mark.parametrize("stream", FITTING)
def test_an_event_at_the_limit_is_read(stream: bytes) -> None:
    for chunks in ([stream], bytewise(stream)):
        decoder = SseDecoder(max_event_bytes=LIMIT)

        events = [event for chunk in chunks for event in decoder.feed(chunk)]

        assert events == standard(stream)


TOO_LARGE = [
    pytest.param(b"data: " + b"a" * 15, id="line"),
    pytest.param(b"data: " + b"a" * 15 + b"\n\n", id="whole-event"),
    pytest.param(b"data: aaaaa\ndata: abcdefghi", id="data-and-line"),
    pytest.param(b"data\n" * 18, id="empty-data-lines"),
    pytest.param(b": " + b"c" * 19, id="comment"),
    pytest.param(b"event: " + b"e" * 14, id="another-field"),
]


def feed_in_vain(decoder: SseDecoder, chunks: list[bytes]) -> None:
    for chunk in chunks:
        assert decoder.feed(chunk) == []


@pytest.mark.requirement("networking:sse:bounded")
@pytest.mark.parametrize("stream", TOO_LARGE)
def test_one_byte_more_is_refused_at_once_and_for_ever(stream: bytes) -> None:
    for chunks in ([stream], bytewise(stream)):
        decoder = SseDecoder(max_event_bytes=LIMIT)

        with pytest.raises(TooLargeFailure):
            feed_in_vain(decoder, chunks)

        with pytest.raises(TooLargeFailure):
            decoder.feed(b"\n\n")
        with pytest.raises(TooLargeFailure):
            _ = decoder.pending


@pytest.mark.requirement("networking:sse:bounded")
@pytest.mark.parametrize("stream", TOO_LARGE)
def test_events_before_the_one_that_is_too_large_are_kept(stream: bytes) -> None:
    decoder = SseDecoder(max_event_bytes=LIMIT)

    events = decoder.feed(b"data: a\n\n" + stream)

    assert events == [event("a")]
    with pytest.raises(TooLargeFailure):
        decoder.feed(b"")
