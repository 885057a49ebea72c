"""Where a key and a body may go: to the origin they are meant for, and nowhere else."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from tests.networking.clients import SECRET, failure_of, fetch, open_client, send
from tina.domain.chat import Deadlines
from tina.domain.failures import (
    RefusedOriginFailure,
    TimeoutFailure,
)
from tina.domain.secret import Secret
from tina.networking.http import Credential, HttpRequest
from tina.networking.origin import Origin
from tina.testing.server import PlaybackServer, Recording

pytestmark = pytest.mark.anyio

HELLO = Recording(chunks=(b"hello",))


class Listener:
    """Counts what arrives, whatever it is."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.arrived = b""


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener]:
    listener = Listener()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        listener.connections += 1
        listener.arrived += await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    listener.port = server.sockets[0].getsockname()[1]
    async with server:
        yield listener


REDIRECTS = [
    pytest.param("http://127.0.0.1:{other}/v1", id="other-port"),
    pytest.param("http://localhost:{other}/v1", id="other-host"),
    pytest.param("//127.0.0.1:{other}/v1", id="without-scheme"),
    pytest.param("https://127.0.0.1:{other}/v1", id="other-scheme"),
    pytest.param("http://user:pass@127.0.0.1:{other}/v1", id="with-user"),
    pytest.param("http://127.0.0.1:{own}/v1/again", id="loop"),
    pytest.param("/v1/again", id="relative"),
    pytest.param("file:///etc/passwd", id="file"),
    pytest.param("http://169.254.169.254/latest/meta-data/", id="metadata"),
    pytest.param("https://evil.example/steal?token=abc", id="elsewhere"),
    pytest.param("http://[", id="nonsense"),
    pytest.param("", id="empty"),
]


@pytest.mark.requirement("networking:origin:no-redirect")
@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", REDIRECTS)
async def test_a_redirect_carries_nothing_anywhere(location: str, status: int) -> None:
    def redirect(_: object) -> Recording:
        where = location.format(other=other.port, own=server.port)
        return Recording(status=status, headers=(("Location", where),))

    async with (
        listening() as other,
        PlaybackServer(redirect) as server,
        open_client() as client,
    ):
        failure = await failure_of(fetch(client, server.base_url))
        for _ in range(20):
            await asyncio.sleep(0)

    assert isinstance(failure, RefusedOriginFailure)
    assert len(server.requests) == 1
    assert (other.connections, other.arrived) == (0, b"")
    assert "token" not in failure.message
    assert "pass" not in failure.message


@pytest.mark.requirement("networking:origin:no-redirect")
async def test_a_redirect_names_where_it_would_have_gone() -> None:
    recording = Recording(status=307, headers=(("Location", "https://evil.example/x"),))
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert "'evil.example'" in failure.message


@pytest.mark.requirement("networking:origin:no-redirect")
async def test_a_redirect_to_another_port_names_the_port() -> None:
    there = ("Location", "http://127.0.0.1:9/v1")
    recording = Recording(status=307, headers=(there,))
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert "on to 'http://127.0.0.1:9', and" in failure.message


def key_for(origin: Origin) -> Credential:
    return Credential(secret=Secret(SECRET), origin=origin)


async def test_a_key_goes_to_its_origin() -> None:
    async with PlaybackServer(HELLO) as server, open_client() as client:
        plain = Origin("http", "127.0.0.1", server.port)
        own_header = Credential(
            secret=Secret(SECRET), origin=plain, header="x-api-key", prefix=""
        )
        for key in (key_for(plain), own_header):
            request = HttpRequest(
                method="POST", url=server.base_url, credential=key, body=b"{}"
            )
            await send(client, request)

    first, second = (request.headers for request in server.requests)
    assert first["authorization"] == f"Bearer {SECRET}"
    assert second["x-api-key"] == SECRET
    assert "authorization" not in second


OTHERS = [
    pytest.param(Origin("https", "127.0.0.1", 0), id="scheme"),
    pytest.param(Origin("http", "localhost", 0), id="host"),
    pytest.param(Origin("http", "127.0.0.2", 0), id="address"),
    pytest.param(Origin("http", "127.0.0.1", 1), id="port"),
]


@pytest.mark.parametrize("other", OTHERS)
async def test_a_key_goes_nowhere_else(other: Origin) -> None:
    async with PlaybackServer(HELLO) as server, open_client() as client:
        origin = other._replace(port=other.port or server.port)
        request = HttpRequest(
            method="POST", url=server.base_url, credential=key_for(origin)
        )

        failure = await failure_of(send(client, request))

    assert isinstance(failure, RefusedOriginFailure)
    assert f":{origin.port}" in failure.message
    assert server.connections == 0


async def test_https_never_falls_back_to_http() -> None:
    quick = Deadlines(connect_timeout_s=0.2)
    async with PlaybackServer(HELLO) as server, open_client() as client:
        url = server.base_url.replace("http:", "https:")
        failure = await failure_of(fetch(client, url, quick))

    assert isinstance(failure, TimeoutFailure)
    assert server.requests == []
