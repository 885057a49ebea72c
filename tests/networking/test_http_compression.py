"""Bodies that are compressed though nobody asked for it."""

import gzip
import zlib

import pytest

from tests.networking.clients import failure_of, fetch, open_client, request_to
from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ProtocolFailure,
    ProviderFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.http import HttpClient
from tina.testing.server import Ending, Framing, PlaybackServer, Recording

pytestmark = pytest.mark.anyio


def compressed(
    coding: str, *chunks: bytes, ending: Ending = Ending.COMPLETE
) -> Recording:
    headers = (("Content-Encoding", coding),)
    return Recording(chunks=chunks, headers=headers, ending=ending)


def bytewise(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[at : at + 1] for at in range(len(data)))


@pytest.mark.parametrize("framing", [Framing.CHUNKED, Framing.LENGTH, Framing.CLOSE])
@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", gzip.compress(b"hello", mtime=0)), ("deflate", zlib.compress(b"hello"))],
)
async def test_a_compressed_body_is_read(
    coding: str, body: bytes, framing: Framing
) -> None:
    headers = (("Content-Encoding", coding),)
    recording = Recording(chunks=bytewise(body), headers=headers, framing=framing)
    async with PlaybackServer(recording) as server, open_client() as client:
        got = await fetch(client, server.base_url)

    assert got == b"hello"


async def test_a_connection_is_kept_once_a_compressed_answer_was_read() -> None:
    recording = compressed("gzip", gzip.compress(b"hello", mtime=0))
    async with PlaybackServer(recording) as server, open_client() as client:
        for _ in range(2):
            await fetch(client, server.base_url)

    assert server.connections == 1


async def test_what_is_flushed_arrives_before_the_end() -> None:
    deflate = zlib.compressobj(wbits=31)
    begun = deflate.compress(b"first") + deflate.flush(zlib.Z_SYNC_FLUSH)
    recording = compressed("gzip", begun, ending=Ending.HANG)
    async with (
        PlaybackServer(recording) as server,
        open_client() as client,
        client.open(request_to(server.base_url), deadlines=Deadlines()) as response,
    ):
        first = await anext(response.chunks())

    assert first == b"first"


async def test_a_compressed_answer_without_its_end_is_truncated() -> None:
    recording = compressed("gzip", gzip.compress(b"hello" * 100, mtime=0)[:-9])
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, TruncatedFailure)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br", "x-unknown"])
async def test_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    async with (
        PlaybackServer(compressed(coding, b"hello")) as server,
        open_client() as client,
    ):
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ProtocolFailure)


async def test_what_is_not_compressed_as_it_says_is_refused() -> None:
    recording = compressed("gzip", b"<!doctype html>")
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ProtocolFailure)


async def fetch_at_most(client: HttpClient, url: str, most_bytes: int) -> bytes:
    async with client.open(
        request_to(url), deadlines=Deadlines(), max_body_bytes=most_bytes
    ) as response:
        return await response.read(limit_bytes=10_000_000)


@pytest.mark.parametrize(
    ("body", "most_bytes", "kind"),
    [
        pytest.param(b"\0" * 20_000_000, 64_000_000, TooLargeFailure, id="bomb"),
        pytest.param(b"ab" * 6_000, 11_999, TooLargeFailure, id="over-the-limit"),
    ],
)
async def test_what_grows_too_much_is_stopped(
    body: bytes, most_bytes: int, kind: type[ProviderFailure]
) -> None:
    recording = compressed("gzip", gzip.compress(body, mtime=0))
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch_at_most(client, server.base_url, most_bytes))

    assert isinstance(failure, kind)


async def test_a_compressed_body_at_the_limit_is_read() -> None:
    recording = compressed("gzip", gzip.compress(b"ab" * 6_000, mtime=0))
    async with PlaybackServer(recording) as server, open_client() as client:
        got = await fetch_at_most(client, server.base_url, 12_000)

    assert len(got) == 12_000


async def test_a_long_body_that_holds_nothing_is_stopped() -> None:
    nothing = zlib.compress(b"")[:2] + b"\0\0\0\xff\xff" * 10_000  # empty blocks
    recording = compressed("deflate", nothing)
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch_at_most(client, server.base_url, 40_000))

    assert isinstance(failure, TooLargeFailure)
