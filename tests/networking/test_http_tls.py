"""Whom a client trusts, what it says if it does not, and what TLS costs."""

import asyncio
import ssl
import tracemalloc
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.networking.certificates import Authority, self_signed
from tests.networking.clients import (
    failure_of,
    fetch,
    open_client,
    request_to,
)
from tina.domain.chat import Deadlines
from tina.domain.failures import ConnectionFailure, TimeoutFailure

pytestmark = pytest.mark.anyio

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


class Server:
    def __init__(self) -> None:
        self.url = ""
        self.arrived = b""


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext, *, answer: bytes = ANSWER
) -> AsyncGenerator[Server]:
    """A server that answers each request, and hangs up once the client does."""
    server = Server()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(65_536):
                server.arrived += piece
                if piece.endswith(b"private words"):
                    writer.write(answer)
        except OSError:
            pass  # the client broke off
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server.url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    async with listener:
        yield server


async def test_a_server_with_a_good_certificate_is_spoken_to(
    authority: Authority,
) -> None:
    tls = authority.serving("IP:127.0.0.1")
    async with serving(tls) as server, open_client(tls=authority.trusting()) as client:
        got = [await fetch(client, server.url) for _ in range(2)]

    assert got == [b"hello", b"hello"]


async def refused(tls: ssl.SSLContext, trust: ssl.SSLContext | None) -> str:
    """What a person is told; nothing reached the server, and it is not asked again."""
    async with serving(tls) as server, open_client(tls=trust) as client:
        failure = await failure_of(fetch(client, server.url))

    assert isinstance(failure, ConnectionFailure)
    assert failure.should_retry is False
    assert isinstance(failure.__cause__, ssl.SSLCertVerificationError)
    assert server.arrived == b""
    assert "'127.0.0.1'" in failure.message
    return failure.message


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    expired = authority.serving("IP:127.0.0.1", days=-1)

    said = await refused(expired, authority.trusting())

    assert "its certificate has expired" in said


async def test_a_certificate_of_another_host_is_refused(authority: Authority) -> None:
    other = authority.serving("DNS:models.example")

    said = await refused(other, authority.trusting())

    assert "belongs to another address" in said


async def test_a_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    said = await refused(self_signed(tmp_path), None)

    assert "was signed by the server itself" in said


async def test_a_certificate_of_an_unknown_authority_is_refused(
    authority: Authority,
) -> None:
    said = await refused(authority.serving("IP:127.0.0.1"), None)

    assert "was signed by somebody this machine does not know" in said


async def test_a_reset_in_the_handshake_is_told() -> None:
    async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _.read(1)
        writer.transport.abort()

    listener = await asyncio.start_server(reset, "127.0.0.1", 0)
    async with listener, open_client() as client:
        port = listener.sockets[0].getsockname()[1]
        failure = await failure_of(fetch(client, f"https://127.0.0.1:{port}/v1"))

    assert isinstance(failure, ConnectionFailure)
    assert "closed the connection before it answered" in failure.message


async def test_a_handshake_that_hangs_has_its_deadline() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    listener = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with listener, open_client() as client:
        port = listener.sockets[0].getsockname()[1]
        url = f"https://127.0.0.1:{port}/v1"
        failure = await failure_of(fetch(client, url, Deadlines(connect_timeout_s=0.2)))

    assert isinstance(failure, TimeoutFailure)
    assert "connect_timeout_s" in failure.message


async def test_a_tls_stream_that_waits_holds_little_memory(
    authority: Authority,
) -> None:
    """Python's asyncio alone would hold 256 KiB for each end of each connection."""
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"
    tls = authority.serving("IP:127.0.0.1")
    async with (
        serving(tls, answer=begun) as server,
        open_client(tls=authority.trusting()) as client,
        AsyncExitStack() as stack,
    ):

        async def open_stream() -> None:
            opened = client.open(request_to(server.url), deadlines=Deadlines())
            response = await stack.enter_async_context(opened)
            await anext(response.chunks())

        await open_stream()
        tracemalloc.start()
        try:
            for _ in range(10):
                await open_stream()
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert held / 10 < 2 * 64 * 1024
