"""Requests that go through a proxy, and those that must not."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ssl import SSLContext

import pytest
from aiohttp.test_utils import unused_port

from tests.networking.certificates import Authority
from tests.networking.clients import failure_of, fetch, open_client, request_to, send
from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ConnectionFailure,
    InvalidRequestFailure,
    PermissionFailure,
    ProviderFailure,
)
from tina.networking.http import HttpClient, HttpRequest
from tina.testing.server import PlaybackServer, Recording

pytestmark = pytest.mark.anyio

# A made-up password.
PASSWORD = "s-fe%40"  # noqa: S105
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
HELLO = Recording(chunks=(b"hello",))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


class TunnelProxy:
    """Answers CONNECT, and then is the server itself, so that nothing leaves."""

    def __init__(self, reply: bytes, tls: SSLContext | None) -> None:
        self.port = 0
        self.heads: list[bytes] = []
        self._reply = reply
        self._tls = tls

    @property
    def environment(self) -> dict[str, str]:
        return {"HTTPS_PROXY": f"http://ada:{PASSWORD}@127.0.0.1:{self.port}"}

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self._reply)
            await writer.drain()
            if self._tls is not None:
                await writer.start_tls(self._tls)
                while True:
                    await reader.readuntil(b"private words")
                    writer.write(ANSWER)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client hung up
        finally:
            writer.close()


@asynccontextmanager
async def proxying(
    reply: bytes = b"HTTP/1.1 200 OK\r\n\r\n", tls: SSLContext | None = None
) -> AsyncGenerator[TunnelProxy]:
    proxy = TunnelProxy(reply, tls)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield proxy


async def fetch_failing(client: HttpClient, url: str) -> ProviderFailure:
    """The failure; the proxy's password is nowhere in it."""
    failure = await failure_of(fetch(client, url))
    text = f"{failure!r} {failure.__cause__!r} {failure.__context__!r}"
    assert "s-fe" not in text
    return failure


async def test_https_goes_through_a_tunnel_with_its_own_tls(
    authority: Authority,
) -> None:
    tls = authority.serving("DNS:models.example")
    async with (
        proxying(tls=tls) as proxy,
        open_client(environment=proxy.environment, tls=authority.trusting()) as client,
    ):
        got = [await fetch(client, "https://models.example/v1") for _ in range(2)]

    head = proxy.heads[0]
    assert got == [b"hello", b"hello"]
    assert len(proxy.heads) == 1
    assert head.startswith(b"CONNECT models.example:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic YWRhOnMtZmVA\r\n" in head
    assert b"sk-very-secret" not in head


async def test_a_certificate_counts_behind_a_proxy_too(authority: Authority) -> None:
    tls = authority.serving("DNS:other.example")
    async with (
        proxying(tls=tls) as proxy,
        open_client(environment=proxy.environment, tls=authority.trusting()) as client,
    ):
        failure = await fetch_failing(client, "https://models.example/v1")

    assert isinstance(failure, ConnectionFailure)
    assert "'models.example': its certificate belongs to another name" in (
        failure.message
    )


REFUSALS = [
    (b"407 Proxy Authentication Required", PermissionFailure, "wants a user and a"),
    (b"403 Forbidden", PermissionFailure, "does not connect to 'models.example'"),
    (b"502 Bad Gateway", ConnectionFailure, "does not connect to 'models.example'"),
]


@pytest.mark.parametrize(("status", "kind", "said"), REFUSALS)
async def test_a_proxy_that_refuses_is_named(
    status: bytes, kind: type[ProviderFailure], said: str
) -> None:
    reply = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    async with (
        proxying(reply) as proxy,
        open_client(environment=proxy.environment) as client,
    ):
        failure = await fetch_failing(client, "https://models.example/v1")

    assert type(failure) is kind
    assert failure.status == int(status[:3])
    assert "The proxy '127.0.0.1'" in failure.message
    assert said in failure.message


async def test_a_proxy_that_does_not_answer_is_named() -> None:
    environment = {"ALL_PROXY": f"http://ada:{PASSWORD}@127.0.0.1:{unused_port()}"}
    async with open_client(environment=environment) as client:
        failure = await fetch_failing(client, "https://models.example/v1")

    assert isinstance(failure, ConnectionFailure)
    assert "The proxy '127.0.0.1' does not answer" in failure.message
    assert "ALL_PROXY" in failure.message


async def test_a_proxy_that_hangs_up_is_a_connection_failure() -> None:
    async with (
        proxying(b"") as proxy,
        open_client(environment=proxy.environment) as client,
    ):
        failure = await fetch_failing(client, "https://models.example/v1")

    assert isinstance(failure, ConnectionFailure)


async def test_a_proxy_that_cannot_be_used_is_not_gone_around() -> None:
    environment = {"ALL_PROXY": f"socks5://ada:{PASSWORD}@127.0.0.1:1"}
    async with open_client(environment=environment) as client:
        failure = await fetch_failing(client, "https://models.example/v1")

    assert isinstance(failure, InvalidRequestFailure)


def plain(url: str) -> HttpRequest:
    return HttpRequest(
        method="POST", url=url, headers=request_to(url).headers, allow_http=True
    )


async def test_plain_http_that_is_allowed_goes_through_the_proxy() -> None:
    async with PlaybackServer(HELLO) as proxy:
        address = f"http://ada:{PASSWORD}@127.0.0.1:{proxy.port}"
        async with open_client(environment={"http_proxy": address}) as client:
            got = await send(client, plain("http://models.lan:8080/v1"))

    request = proxy.requests[0]
    assert got == b"hello"
    assert request.path == "http://models.lan:8080/v1"
    assert request.headers["host"] == "models.lan:8080"
    assert request.headers["proxy-authorization"] == "Basic YWRhOnMtZmVA"


async def test_a_plain_proxy_that_wants_a_password_is_named() -> None:
    async with PlaybackServer(Recording(status=407)) as proxy:
        environment = {"HTTP_PROXY": f"127.0.0.1:{proxy.port}"}
        async with open_client(environment=environment) as client:
            failure = await failure_of(send(client, plain("http://models.lan/v1")))

    assert isinstance(failure, PermissionFailure)
    assert "HTTP_PROXY" in failure.message


async def test_a_407_of_a_server_is_not_the_word_of_a_proxy() -> None:
    async with (
        PlaybackServer(Recording(status=407)) as server,
        open_client() as client,
        client.open(request_to(server.base_url), deadlines=Deadlines()) as response,
    ):
        status = response.status

    assert status == 407


async def test_this_machine_is_reached_without_a_proxy() -> None:
    async with proxying() as proxy, PlaybackServer(HELLO) as server:
        address = f"http://127.0.0.1:{proxy.port}"
        everything: dict[str, str] = dict.fromkeys(VARIABLES, address)
        async with open_client(environment=everything) as client:
            got = await fetch(client, server.base_url)

    assert (got, proxy.heads) == (b"hello", [])


async def test_the_environment_of_the_process_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with proxying() as proxy, PlaybackServer(HELLO) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        async with open_client() as client:
            await fetch(client, server.base_url)

    assert proxy.heads == []
