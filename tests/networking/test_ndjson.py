from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import TooLargeFailure
from tina.networking.ndjson import NdjsonDecoder


def decode(chunks: Iterable[bytes]) -> list[bytes]:
    decoder = NdjsonDecoder()
    return [line for chunk in chunks for line in decoder.feed(chunk)]


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


CASES = [
    pytest.param(b'{"a":1}\n', [b'{"a":1}'], id="lf"),
    pytest.param(b"1\r\n2\r\n", [b"1", b"2"], id="crlf"),
    pytest.param(b"1\n\n\r\n \t\n2\n", [b"1", b"2"], id="blank-lines"),
    pytest.param(b" 1 \t\r\n", [b"1"], id="blanks-around"),
    pytest.param(b"1\r2\n", [b"1\r2"], id="cr-is-no-line-end"),
    pytest.param("\u2028\x85\x0c\n".encode(), ["\u2028\x85\x0c".encode()], id="u2028"),
    pytest.param(b"\0\xff\xe2\x82\n", [b"\0\xff\xe2\x82"], id="any-bytes"),
    pytest.param(b"1\n2", [b"1"], id="unfinished-line"),
    pytest.param(b"1", [], id="nothing-but-unfinished"),
    pytest.param(b"", [], id="nothing"),
    pytest.param(b"\n\n\r\n", [], id="nothing-but-line-ends"),
]


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_the_cut_changes_nothing(stream: bytes, expected: list[bytes]) -> None:
    whole = decode([stream])
    in_bytes = decode(bytewise(stream))

    assert whole == expected
    assert in_bytes == whole


PIECES = st.sampled_from([b"\n", b"\r", b"\r\n", b" ", b"{}", b"\xe2\x82", b"\0"])
STREAMS = st.lists(PIECES | st.binary(max_size=3), max_size=40).map(b"".join)


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 120), max_size=12))
def test_it_reads_what_stands_between_line_ends_however_it_is_cut(
    stream: bytes, cuts: list[int]
) -> None:
    borders = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[start:end] for start, end in pairwise(borders)]
    said = [line.strip(b" \t\r") for line in stream.split(b"\n")[:-1]]

    assert decode(chunks) == [line for line in said if line]
    assert decode(bytewise(stream)) == decode(chunks)


PENDING = [
    pytest.param(b"1\n", None, id="nothing-left"),
    pytest.param(b"1\n2", b"2", id="the-line-end-is-missing"),
    pytest.param(b"1\n 2\r", b"2", id="half-a-line-end"),
    pytest.param(b"1\n \t\r", None, id="nothing-but-blanks"),
    pytest.param(b"", None, id="nothing"),
]


@pytest.mark.parametrize(("stream", "expected"), PENDING)
def test_what_the_end_cuts_off_can_be_seen(
    stream: bytes, expected: bytes | None
) -> None:
    decoder = NdjsonDecoder()
    for chunk in bytewise(stream):
        decoder.feed(chunk)

    assert decoder.pending == expected


LIMIT = 20


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"a" * 20 + b"\n", id="line"),
        pytest.param(b"a" * 19 + b"\r\n", id="line-with-cr"),
        pytest.param(b"aaaaaa\n" * 30, id="many-lines"),
        pytest.param(b" " * 20 + b"\n", id="blanks"),
    ],
)
def test_a_line_at_the_limit_is_read(stream: bytes) -> None:
    for chunks in ([stream], bytewise(stream)):
        decoder = NdjsonDecoder(max_line_bytes=LIMIT)

        lines = [line for chunk in chunks for line in decoder.feed(chunk)]

        assert lines == stream.split()


TOO_LARGE = [
    pytest.param(b"a" * 21, id="unfinished"),
    pytest.param(b"a" * 21 + b"\n", id="whole-line"),
    pytest.param(b"a" * 20 + b"\r\n", id="cr-counts"),
    pytest.param(b" " * 21, id="blanks"),
]


def feed_in_vain(decoder: NdjsonDecoder, chunks: list[bytes]) -> None:
    for chunk in chunks:
        assert decoder.feed(chunk) == []


@pytest.mark.parametrize("stream", TOO_LARGE)
def test_one_byte_more_is_refused_at_once_and_for_ever(stream: bytes) -> None:
    for chunks in ([stream], bytewise(stream)):
        decoder = NdjsonDecoder(max_line_bytes=LIMIT)

        with pytest.raises(TooLargeFailure):
            feed_in_vain(decoder, chunks)

        with pytest.raises(TooLargeFailure):
            decoder.feed(b"\n")
        with pytest.raises(TooLargeFailure):
            _ = decoder.pending


@pytest.mark.parametrize("stream", TOO_LARGE)
def test_lines_before_the_one_that_is_too_large_are_kept(stream: bytes) -> None:
    decoder = NdjsonDecoder(max_line_bytes=LIMIT)

    lines = decoder.feed(b"1\n" + stream)

    assert lines == [b"1"]
    with pytest.raises(TooLargeFailure):
        decoder.feed(b"")
