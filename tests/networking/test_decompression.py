import gzip
import zlib
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.failures import ProtocolFailure, TooLargeFailure, TruncatedFailure
from tina.networking.decompression import (
    FREE_BYTES,
    MAX_RATIO,
    PIECE_BYTES,
    Inflater,
    inflater_for,
)


def inflater(coding: str) -> Inflater:
    made = inflater_for(coding, "models.example")
    assert made is not None
    return made


def pieces(coding: str, chunks: Iterable[bytes]) -> list[bytes]:
    made = inflater(coding)
    got: list[bytes] = []
    for chunk in chunks:
        made.feed(chunk)
        while piece := made.take():
            got.append(piece)
    made.finish()
    return got


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush()


TEXT = b"Once upon a time. " * 50
CASES = [
    pytest.param("gzip", gzip.compress(TEXT), id="gzip"),
    pytest.param(" GZip ", gzip.compress(TEXT), id="any-case"),
    pytest.param("x-gzip", gzip.compress(TEXT), id="old-name"),
    pytest.param("deflate", zlib.compress(TEXT), id="deflate"),
    pytest.param("deflate", raw_deflate(TEXT), id="deflate-without-wrapper"),
    pytest.param(
        "gzip", gzip.compress(TEXT[:7]) + gzip.compress(TEXT[7:]), id="two-members"
    ),
    pytest.param(
        "gzip", gzip.compress(TEXT) + gzip.compress(b""), id="an-empty-member"
    ),
]


@pytest.mark.parametrize(("coding", "compressed"), CASES)
def test_the_cut_changes_nothing(coding: str, compressed: bytes) -> None:
    whole = b"".join(pieces(coding, [compressed]))
    in_bytes = b"".join(pieces(coding, bytewise(compressed)))

    assert whole == TEXT
    assert in_bytes == TEXT


@given(
    data=st.binary(max_size=3_000),
    coding=st.sampled_from(["gzip", "deflate", "raw"]),
    cuts=st.lists(st.integers(0, 4_000), max_size=8),
)
def test_what_was_compressed_comes_back_however_it_is_cut(
    data: bytes, coding: str, cuts: list[int]
) -> None:
    make = {"gzip": gzip.compress, "deflate": zlib.compress, "raw": raw_deflate}
    compressed = make[coding](data)
    borders = sorted({0, len(compressed), *(cut % len(compressed) for cut in cuts)})
    chunks = [compressed[start:end] for start, end in pairwise(borders)]

    got = pieces("deflate" if coding == "raw" else coding, chunks)

    assert b"".join(got) == data


@given(data=st.binary(max_size=200), coding=st.sampled_from(["gzip", "deflate"]))
def test_any_bytes_raise_nothing_but_failures(data: bytes, coding: str) -> None:
    try:
        got = pieces(coding, [data])
    except (ProtocolFailure, TooLargeFailure, TruncatedFailure):
        got = []

    assert len(b"".join(got)) <= max(FREE_BYTES, MAX_RATIO * len(data))


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_what_is_not_compressed_needs_nothing(coding: str) -> None:
    assert inflater_for(coding, "models.example") is None


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "\0"])
def test_an_unknown_coding_is_refused(coding: str) -> None:
    with pytest.raises(ProtocolFailure, match=r"models\.example"):
        inflater_for(coding, "models.example")


def test_an_empty_body_is_whole() -> None:
    assert pieces("gzip", []) == []
    assert pieces("deflate", [b""]) == []


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_cut_anywhere_is_truncated(coding: str) -> None:
    compressed = gzip.compress(TEXT) if coding == "gzip" else zlib.compress(TEXT)
    for cut in range(1, len(compressed)):
        with pytest.raises(TruncatedFailure):
            pieces(coding, [compressed[:cut]])


BROKEN = [
    pytest.param("gzip", b"<!doctype html>", id="html"),
    pytest.param("gzip", gzip.compress(TEXT) + b"xx", id="more-behind-gzip"),
    pytest.param("deflate", zlib.compress(TEXT) + b"x", id="more-behind-deflate"),
    pytest.param("gzip", gzip.compress(TEXT)[:-8] + b"\0" * 8, id="wrong-sum"),
    pytest.param("gzip", gzip.compress(b"") * 1_001, id="nothing-but-members"),
]


@pytest.mark.parametrize(("coding", "compressed"), BROKEN)
def test_what_is_not_what_it_says_is_refused(coding: str, compressed: bytes) -> None:
    with pytest.raises(ProtocolFailure):
        pieces(coding, [compressed])


def test_no_piece_is_larger_than_it_may_be() -> None:
    words = b"".join(b"Once upon a time, number %d. " % n for n in range(50_000))

    got = pieces("deflate", [zlib.compress(words)])

    assert b"".join(got) == words
    assert max(map(len, got)) <= PIECE_BYTES


@pytest.mark.parametrize("body_bytes", [FREE_BYTES - 1, FREE_BYTES])
def test_a_small_body_may_grow_as_it_likes(body_bytes: int) -> None:
    got = pieces("gzip", [gzip.compress(b"\0" * body_bytes)])

    assert len(b"".join(got)) == body_bytes


def test_one_byte_more_than_free_is_held_to_the_ratio() -> None:
    bomb = gzip.compress(b"\0" * (FREE_BYTES + 1))

    with pytest.raises(TooLargeFailure):
        pieces("gzip", [bomb])


def test_a_bomb_is_stopped_after_a_hundredfold() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    made = inflater("gzip")
    made.feed(bomb)
    got: list[int] = []

    def take_all() -> None:
        while piece := made.take():
            got.append(len(piece))

    with pytest.raises(TooLargeFailure):
        take_all()
    assert sum(got) <= MAX_RATIO * len(bomb)
