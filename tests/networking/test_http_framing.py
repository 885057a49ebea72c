"""Answers whose framing is wrong, hostile, or comes twice."""

import asyncio

import anyio.lowlevel
import msgspec
import pytest

from tests.networking.clients import failure_of, fetch, open_client, request_to
from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ProtocolFailure,
    ProviderFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.session import MAX_HEADER_BYTES, MAX_HEADERS
from tina.testing.server import Ending, Framing, PlaybackServer, Recording

pytestmark = pytest.mark.anyio

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def raw(*chunks: bytes, ending: Ending = Ending.COMPLETE) -> Recording:
    return Recording(chunks=chunks, framing=Framing.RAW, ending=ending)


def bytewise(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + 1] for at in range(len(data)))


AMBIGUOUS = [
    pytest.param(
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", id="two-lengths"
    ),
    pytest.param(
        b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", id="the-same-twice"
    ),
    pytest.param(b"Content-Length: 5, 5\r\n\r\nhello", id="two-in-one"),
    pytest.param(b"Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello", id="case"),
    pytest.param(
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        id="length-and-chunked",
    ),
    pytest.param(
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        id="chunked-and-length",
    ),
    pytest.param(b"Content-Length: +5\r\n\r\nhello", id="plus"),
    pytest.param(b"Content-Length: 0x5\r\n\r\nhello", id="hexadecimal"),
    pytest.param(b"Content-Length: \r\n\r\nhello", id="empty"),
    pytest.param(b"Content-Length: 99999999999999999999\r\n\r\nhello", id="huge"),
]


@pytest.mark.parametrize("rest", AMBIGUOUS)
async def test_a_length_that_can_be_read_in_two_ways_is_refused(rest: bytes) -> None:
    recording = raw(b"HTTP/1.1 200 OK\r\n" + rest)
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ProtocolFailure)


BAD_CHUNKS = [
    pytest.param(b"zz\r\nhello\r\n0\r\n\r\n", id="no-number"),
    pytest.param(b"-5\r\nhello\r\n0\r\n\r\n", id="negative"),
    pytest.param(b"0x5\r\nhello\r\n0\r\n\r\n", id="prefix"),
    pytest.param(b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n", id="huge"),
    pytest.param(b"5\r\nhello!\r\n0\r\n\r\n", id="too-short"),
    pytest.param(b"\r\nhello\r\n0\r\n\r\n", id="empty"),
]


@pytest.mark.parametrize("body", BAD_CHUNKS)
async def test_a_bad_chunk_size_is_refused_however_it_is_cut(body: bytes) -> None:
    for recording in (raw(CHUNKED + body), raw(CHUNKED, *bytewise(body))):
        async with PlaybackServer(recording) as server, open_client() as client:
            failure = await failure_of(fetch(client, server.base_url))

        assert isinstance(failure, ProtocolFailure)


GOOD_CHUNKS = [
    pytest.param(b"5\r\nhello\r\n0\r\n\r\n", id="plain"),
    pytest.param(b"005;a=b\r\nhello\r\n0\r\n\r\n", id="zeros-and-extension"),
    pytest.param(b"2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n", id="trailer"),
]


@pytest.mark.parametrize("body", GOOD_CHUNKS)
async def test_good_chunks_are_read_however_they_are_cut(body: bytes) -> None:
    for recording in (raw(CHUNKED + body), raw(CHUNKED, *bytewise(body))):
        async with PlaybackServer(recording) as server, open_client() as client:
            got = await fetch(client, server.base_url)

        assert got == b"hello"


HALF = MAX_HEADER_BYTES // 2
FLOODS = [
    pytest.param((("X-Long", "x" * (MAX_HEADER_BYTES + 1)),), id="one-long"),
    pytest.param((("X-A", "x" * HALF), ("X-B", "x" * HALF)), id="long-together"),
    pytest.param((("x" * (MAX_HEADER_BYTES + 1), "x"),), id="long-name"),
    pytest.param(tuple((f"X-{n}", "x") for n in range(MAX_HEADERS + 1)), id="many"),
]


@pytest.mark.parametrize("headers", FLOODS)
async def test_headers_have_a_limit(headers: tuple[tuple[str, str], ...]) -> None:
    recording = Recording(headers=headers, framing=Framing.CLOSE)
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, TooLargeFailure)


FITTING = [
    # One more, `Connection`, comes from the server.
    pytest.param(tuple((f"X-{n}", "x") for n in range(MAX_HEADERS - 1)), id="many"),
    pytest.param((("X-A", "x" * (HALF - 100)), ("X-B", "x" * HALF)), id="long"),
]


@pytest.mark.parametrize("headers", FITTING)
async def test_headers_at_the_limit_are_read(
    headers: tuple[tuple[str, str], ...],
) -> None:
    recording = Recording(headers=headers, chunks=(b"hello",), framing=Framing.CLOSE)
    async with PlaybackServer(recording) as server, open_client() as client:
        got = await fetch(client, server.base_url)

    assert got == b"hello"


TRAILERS = [
    pytest.param(b"X: y\r\n" * (MAX_HEADERS + 1), id="many"),
    pytest.param(b"X: " + b"y" * (MAX_HEADER_BYTES + 1) + b"\r\n", id="long"),
]


@pytest.mark.parametrize("trailers", TRAILERS)
async def test_trailers_have_a_limit(trailers: bytes) -> None:
    recording = raw(CHUNKED + b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n")
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ProtocolFailure | TooLargeFailure | TruncatedFailure)


SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen"


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param((WHOLE + SECOND,), id="at-once"),
        pytest.param((WHOLE, SECOND), id="right-behind"),
        pytest.param((WHOLE + SECOND[:20], SECOND[20:]), id="half-behind"),
        pytest.param((CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + SECOND,), id="chunked"),
    ],
)
async def test_a_second_response_that_nobody_asked_for_reaches_nobody(
    chunks: tuple[bytes, ...],
) -> None:
    unasked = raw(*chunks, ending=Ending.HANG)
    async with PlaybackServer(unasked, GOOD) as server, open_client() as client:
        first = await fetch(client, server.base_url)
        await arrival_of(server, len(chunks))

        second = await fetch(client, server.base_url)

    assert (first, second) == (b"hello", b"second")
    assert server.connections == 2


class Held:
    """A pause before the second chunk, until it is let go."""

    def __init__(self) -> None:
        self.let_go = asyncio.Event()

    async def __call__(self, number: int) -> None:
        if number == 1:
            await self.let_go.wait()


async def arrival_of(server: PlaybackServer, chunks: int) -> None:
    """Wait until the first answer's chunks are sent, and then are there."""
    while len(server.deliveries[0].sent) < chunks:
        await anyio.lowlevel.checkpoint()
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


GOOD = Recording(chunks=(b"second",), framing=Framing.LENGTH)


async def test_a_second_response_between_two_requests_reaches_nobody() -> None:
    held = Held()
    recording = msgspec.structs.replace(
        raw(WHOLE, SECOND, ending=Ending.HANG), pause=held
    )
    async with PlaybackServer(recording, GOOD) as server, open_client() as client:
        first = await fetch(client, server.base_url)
        held.let_go.set()
        await arrival_of(server, 2)

        second = await fetch(client, server.base_url)

    assert (first, second) == (b"hello", b"second")
    assert server.connections == 2


@pytest.mark.parametrize("second_bytes", [len(SECOND), len(SECOND) - 2])
async def test_a_second_response_in_one_piece_with_the_end_reaches_nobody(
    second_bytes: int,
) -> None:
    held = Held()
    chunks = (WHOLE[:-2], WHOLE[-2:] + SECOND[:second_bytes])
    recording = msgspec.structs.replace(raw(*chunks, ending=Ending.HANG), pause=held)
    async with PlaybackServer(recording, GOOD) as server, open_client() as client:
        request = request_to(server.base_url)
        async with client.open(request, deadlines=Deadlines()) as response:
            held.let_go.set()
            first = await response.read(limit_bytes=10)
        await arrival_of(server, 2)

        second = await fetch(client, server.base_url)

    assert (first, second) == (b"hello", b"second")
    assert server.connections == 2


async def test_an_endless_row_of_interim_answers_has_an_end() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    recording = raw(*([interim] * 50), WHOLE)
    async with PlaybackServer(recording) as server, open_client() as client:
        got = await fetch(client, server.base_url)

    assert got == b"hello"


async def test_nothing_of_a_broken_answer_is_shown_in_the_failure() -> None:
    secret = b"HTTP/1.1 200 OK\r\nContent-Length: sk-very-secret\r\n\r\n"
    async with PlaybackServer(raw(secret)) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ProviderFailure)
