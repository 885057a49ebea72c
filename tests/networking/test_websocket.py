import asyncio
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import anyio
import pytest
from aiohttp import WSMsgType, web

from tests.networking.clients import SECRET, failure_of, open_client
from tina.domain.chat import Deadlines
from tina.domain.failures import (
    AuthenticationFailure,
    ClosedFailure,
    ConnectionFailure,
    InvalidRequestFailure,
    OverloadFailure,
    PermissionFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    RefusedOriginFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.domain.secret import Secret
from tina.networking.http import Credential, HttpClient, HttpRequest
from tina.networking.origin import Origin
from tina.networking.websocket import WebSocket

pytestmark = pytest.mark.anyio

TRANSPORT = web.ResponseKey("transport", asyncio.Transport)
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Server:
    """A WebSocket server on loopback that says what the test wants it to."""

    def __init__(self, port: int) -> None:
        self.origin = Origin("http", "127.0.0.1", port)
        self.url = f"ws://127.0.0.1:{port}/v1/responses"
        self.requests: list[Mapping[str, str]] = []
        self.close_codes: list[int | None] = []
        self.is_over = asyncio.Event()


@asynccontextmanager
async def serving(talk: Talk, *, autoping: bool = True) -> AsyncGenerator[Server]:
    servers: list[Server] = []

    async def handle(request: web.Request) -> web.WebSocketResponse:
        server = servers[0]
        server.requests.append(request.headers)
        socket = web.WebSocketResponse(autoping=autoping, max_msg_size=0, timeout=0.5)
        await socket.prepare(request)
        assert request.transport is not None
        socket[TRANSPORT] = request.transport
        try:
            await talk(socket)
            async for _ in socket:
                pass
        except ConnectionResetError:
            pass  # the client hung up
        finally:
            server.close_codes.append(socket.close_code)
            server.is_over.set()
        return socket

    async with serving_http(handle, is_told_of_loss=False) as server:
        servers.append(server)
        yield server


@asynccontextmanager
async def serving_http(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
    *,
    is_told_of_loss: bool = True,
) -> AsyncGenerator[Server]:
    app = web.Application()
    app.router.add_get("/v1/responses", handle)
    runner = web.AppRunner(
        app, shutdown_timeout=0.1, handler_cancellation=is_told_of_loss
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield Server(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    talk: Talk, *, deadlines: Deadlines | None = None, autoping: bool = True
) -> AsyncGenerator[tuple[WebSocket, Server]]:
    async with (
        serving(talk, autoping=autoping) as server,
        open_client() as client,
        client.websocket(
            request_to(server.url), deadlines=deadlines or Deadlines()
        ) as socket,
    ):
        yield socket, server


def request_to(url: str) -> HttpRequest:
    key = Credential(
        secret=Secret(SECRET), origin=Origin("http", "127.0.0.1", port_of(url))
    )
    return HttpRequest(method="GET", url=url, credential=key)


def port_of(url: str) -> int:
    return int(url.split(":")[2].split("/")[0])


async def read_all(socket: WebSocket) -> list[str]:
    async with aclosing(socket.messages()) as messages:
        return [text async for text in messages]


async def read_into(got: list[str], socket: WebSocket) -> None:
    async with aclosing(socket.messages()) as messages:
        while (text := await anext(messages, None)) is not None:
            got.append(text)


async def open_and_leave(client: HttpClient, request: HttpRequest) -> None:
    async with client.websocket(request, deadlines=Deadlines()):
        pytest.fail("it was opened")


async def say_nothing(_: web.WebSocketResponse) -> None:
    pass


async def echo(socket: web.WebSocketResponse) -> None:
    async for message in socket:
        await socket.send_str(message.data)


async def test_what_is_sent_and_said_arrives_in_order() -> None:
    texts = ["Why?", "\N{GRINNING FACE}\u2028\0", "", "x" * 200_000]
    async with connected(echo) as (socket, server):
        for text in texts:
            await socket.send(text)
        async with aclosing(socket.messages()) as messages:
            got = [await anext(messages) for _ in texts]

    headers = server.requests[0]
    assert got == texts
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["User-Agent"] == "tina/test"
    assert "Sec-WebSocket-Extensions" not in headers
    assert socket.headers["UPGRADE"] == "websocket"


async def test_leaving_says_goodbye() -> None:
    async with connected(say_nothing) as (socket, server):
        pass

    assert (socket.close_code, server.close_codes) == (1000, [1000])


async def test_a_message_in_bytes_is_read_as_text() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"{}\xff")
        await socket.close()

    async with connected(talk) as (socket, _):
        got = await read_all(socket)

    assert got == ["{}\ufffd"]


async def test_a_normal_end_of_the_server_ends_the_messages() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str("a")
        await socket.close()

    async with connected(talk) as (socket, _):
        got = await read_all(socket)
        failure = await failure_of(socket.send("more"))

    assert (got, socket.close_code) == (["a"], 1000)
    assert isinstance(failure, ConnectionFailure)
    assert failure.code == "1000"


CODES = [
    (1001, ConnectionFailure, TruncatedFailure),
    (1002, ProtocolFailure, ProtocolFailure),
    (1008, PermissionFailure, PermissionFailure),
    (1009, TooLargeFailure, TooLargeFailure),
    (1011, ServerFailure, ServerFailure),
    (1012, ConnectionFailure, TruncatedFailure),
    (1013, OverloadFailure, OverloadFailure),
    (3000, AuthenticationFailure, AuthenticationFailure),
    (4999, ConnectionFailure, TruncatedFailure),
]


@pytest.mark.parametrize(("code", "kind", "kind_in_the_middle"), CODES)
async def test_a_close_code_is_told_as_a_failure(
    code: int, kind: type[ProviderFailure], kind_in_the_middle: type[ProviderFailure]
) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        if await socket.receive_str() == "say something":
            await socket.send_str("some")
        await socket.close(code=code, message=SECRET.encode())

    async with connected(talk) as (socket, _):
        await socket.send("say nothing")
        failure = await failure_of(read_all(socket))
    async with connected(talk) as (socket, _):
        await socket.send("say something")
        in_the_middle = await failure_of(read_all(socket))

    assert (type(failure), failure.code) == (kind, str(code))
    assert (type(in_the_middle), in_the_middle.code) == (kind_in_the_middle, str(code))
    assert socket.close_code == code


def transport_of(socket: web.WebSocketResponse) -> asyncio.Transport:
    """What is below the WebSocket, for what no server library would send."""
    return socket[TRANSPORT]


async def test_a_lost_connection_is_told_after_what_came_before() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.receive()
        await socket.send_str("some")
        transport_of(socket).close()

    got: list[str] = []
    async with connected(talk) as (socket, _):
        await socket.send("Why?")
        failure = await failure_of(read_into(got, socket))

    assert got == ["some"]
    assert isinstance(failure, TruncatedFailure)
    assert socket.close_code == 1006


async def test_a_close_frame_without_a_code_is_no_normal_end() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        transport_of(socket).write(b"\x88\x00")

    async with connected(talk) as (socket, _):
        failure = await failure_of(read_all(socket))

    assert isinstance(failure, ConnectionFailure)
    assert socket.close_code == 1005


def frame(opcode: int, payload: bytes) -> bytes:
    return bytes([0x80 | opcode, 127]) + struct.pack("!Q", len(payload)) + payload


BROKEN = [
    pytest.param(b"\xf1\x01a", id="reserved-bits"),
    pytest.param(b"\x83\x01a", id="unknown-opcode"),
    pytest.param(b"\x80\x01a", id="continues-nothing"),
    pytest.param(b"\x81\x01\xff", id="no-utf-8"),
    pytest.param(b"\x88\x02\x03\xe7", id="close-code-999"),
    pytest.param(b"\xc1\x05\xaaV*J\x05", id="compressed-unasked"),
]


@pytest.mark.parametrize("raw", BROKEN)
async def test_what_is_no_websocket_message_is_a_protocol_failure(raw: bytes) -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        transport_of(socket).write(raw)

    async with connected(talk) as (socket, _):
        failure = await failure_of(read_all(socket))

    assert isinstance(failure, ProtocolFailure)


async def test_a_message_at_the_limit_is_read_and_one_over_it_refused() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * 1_000)
        await socket.send_str("x" * 1_001)

    got: list[str] = []
    async with serving(talk) as server, open_client() as client:
        async with client.websocket(
            request_to(server.url), deadlines=Deadlines(), max_message_bytes=1_000
        ) as socket:
            failure = await failure_of(read_into(got, socket))
        await server.is_over.wait()

    assert got == ["x" * 1_000]
    assert isinstance(failure, TooLargeFailure)
    assert server.close_codes == [1009]


async def test_fragments_that_never_end_are_refused_at_the_limit() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        transport = transport_of(socket)
        transport.write(b"\x01\x7e" + struct.pack("!H", 500) + b"x" * 500)
        for _ in range(5):
            transport.write(b"\x00\x7e" + struct.pack("!H", 500) + b"x" * 500)

    async with (
        serving(talk) as server,
        open_client() as client,
        client.websocket(
            request_to(server.url), deadlines=Deadlines(), max_message_bytes=2_000
        ) as socket,
    ):
        failure = await failure_of(read_all(socket))

    assert isinstance(failure, TooLargeFailure)


async def test_a_server_that_is_not_read_from_has_to_wait() -> None:
    sent = 0
    has_stopped = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        nonlocal sent
        with anyio.move_on_after(0.5):
            for _ in range(400):
                await socket.send_str("x" * 100_000)
                sent += 1
        has_stopped.set()

    async with connected(talk):
        await has_stopped.wait()

    # The inbox and aiohttp's queue have 1.5 MB, the system's buffers some more.
    assert sent * 100_000 < 20_000_000


async def test_all_of_a_long_answer_is_read_by_a_slow_reader() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        for number in range(3_000):
            await socket.send_str(f"{number:01000}")
        await socket.close()

    got: list[int] = []
    async with connected(talk) as (socket, _), aclosing(socket.messages()) as messages:
        async for text in messages:
            got.append(int(text))
            if len(got) % 100 == 0:
                await asyncio.sleep(0)

    assert got == list(range(3_000))


async def test_pings_are_answered_while_nobody_reads() -> None:
    pongs: list[bytes] = []
    has_pong = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"are you there")
        message = await socket.receive()
        if message.type is WSMsgType.PONG:
            pongs.append(message.data)
        has_pong.set()

    async with connected(talk, autoping=False):
        await has_pong.wait()

    assert pongs == [b"are you there"]


async def test_a_silent_server_is_pinged_and_stays_if_it_answers() -> None:
    pings = 0
    has_pinged = asyncio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        nonlocal pings
        async for message in socket:
            if message.type is WSMsgType.PING:
                await socket.pong(message.data)
                pings += 1
                if pings == 3:
                    has_pinged.set()
                    await socket.send_str("here")

    quick = Deadlines(idle_timeout_s=0.15)
    async with (
        connected(talk, deadlines=quick, autoping=False) as (socket, _),
        aclosing(socket.messages()) as messages,
    ):
        got = await anext(messages)

    assert (got, has_pinged.is_set()) == ("here", True)


async def test_a_server_that_does_not_answer_a_ping_is_given_up() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        async for _ in socket:
            pass

    quick = Deadlines(idle_timeout_s=0.15)
    async with connected(talk, deadlines=quick, autoping=False) as (socket, server):
        failure = await failure_of(read_all(socket))
        await server.is_over.wait()

    assert isinstance(failure, TimeoutFailure)
    assert failure.message.endswith("-o idle_timeout_s 1")


async def test_a_server_that_only_lives_is_given_up_by_who_waits() -> None:
    quick = Deadlines(idle_timeout_s=0.03, heartbeat_timeout_s=0.2)
    async with connected(say_nothing, deadlines=quick) as (socket, _):
        failure = await failure_of(read_all(socket))

    assert isinstance(failure, TimeoutFailure)
    assert failure.message.endswith("-o heartbeat_timeout_s 1")


async def test_a_server_that_does_not_read_is_given_up_by_who_sends() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        transport_of(socket).pause_reading()
        await asyncio.Event().wait()

    async def send(socket: WebSocket) -> None:
        for _ in range(100):
            await socket.send("x" * 1_000_000)

    quick = Deadlines(idle_timeout_s=0.3)
    async with connected(talk, deadlines=quick) as (socket, _):
        failure = await failure_of(send(socket))

    assert isinstance(failure, TimeoutFailure)


async def test_a_ping_that_cannot_be_answered_any_more_is_a_loss() -> None:
    texts = ["x" * 500_000, "y" * 500_000, "z" * 3_000_000]

    async def talk(socket: web.WebSocketResponse) -> None:
        for text in texts:
            await socket.send_str(text)
        await socket.ping()
        transport_of(socket).close()

    got: list[str] = []
    async with connected(talk) as (socket, server):
        await server.is_over.wait()
        for _ in range(20):  # until the end has arrived, too
            await anyio.lowlevel.checkpoint()
        # The ping is read once there is room for more than the texts before it.
        failure = await failure_of(read_into(got, socket))

    assert got == texts
    assert isinstance(failure, TruncatedFailure)


async def test_sending_on_a_connection_that_was_just_lost_is_told() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        for _ in range(3):
            await socket.send_str("x" * 500_000)
        transport_of(socket).close()

    async def send_on(socket: WebSocket) -> None:
        while True:
            await socket.send("Why?")
            await anyio.lowlevel.checkpoint()

    async with connected(talk) as (socket, server):
        await server.is_over.wait()
        # It is not known yet: the texts that nobody has read come first.
        assert socket.close_code is None
        failure = await failure_of(send_on(socket))

    assert isinstance(failure, ConnectionFailure)


async def test_cancelling_closes_the_socket() -> None:
    has_begun = anyio.Event()

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x")

    async def read(client: HttpClient, server: Server) -> None:
        async with (
            client.websocket(request_to(server.url), deadlines=Deadlines()) as socket,
            aclosing(socket.messages()) as messages,
        ):
            async for _ in messages:
                has_begun.set()
        pytest.fail("it went on after it was cancelled")

    async with serving(talk) as server, open_client() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(read, client, server)
            await has_begun.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(2):
            await server.is_over.wait()

    assert server.close_codes == [1000]


async def test_cancelling_the_handshake_closes_the_socket() -> None:
    has_come = asyncio.Event()
    is_gone = asyncio.Event()

    async def handle(_: web.Request) -> web.StreamResponse:
        has_come.set()
        try:
            await asyncio.Event().wait()
        finally:
            is_gone.set()
        raise AssertionError

    async with serving_http(handle) as server, open_client() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(open_and_leave, client, request_to(server.url))
            await has_come.wait()
            group.cancel_scope.cancel()
        await is_gone.wait()

    assert is_gone.is_set()


async def test_closing_is_bounded_if_the_server_does_not_say_goodbye() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        transport_of(socket).pause_reading()
        await asyncio.Event().wait()

    begun_s = 0.0
    async with connected(talk):
        begun_s = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() - begun_s < 2.5


async def test_closing_is_bounded_if_the_server_never_stops() -> None:
    async def talk(socket: web.WebSocketResponse) -> None:
        while True:
            await socket.send_str("x" * 1_000)

    async with connected(talk) as (socket, _):
        async with aclosing(socket.messages()) as messages:
            await anext(messages)
        await socket.close()
        rest = await read_all(socket)

    assert set(rest) <= {"x" * 1_000}
    assert socket.close_code == 1000


async def test_closing_ends_a_wait_for_messages() -> None:
    async with connected(say_nothing) as (socket, _):
        got: list[list[str]] = []

        async def read() -> None:
            got.append(await read_all(socket))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.lowlevel.checkpoint()
            await socket.close()
            await socket.close()

    assert got == [[]]


async def test_a_failure_of_the_caller_passes_as_it_is() -> None:
    async def fail(client: HttpClient, server: Server) -> None:
        async with client.websocket(request_to(server.url), deadlines=Deadlines()):
            raise LookupError

    async with serving(say_nothing) as server, open_client() as client:
        with pytest.raises(LookupError):
            await fail(client, server)
        await server.is_over.wait()

    assert server.close_codes == [1000]


REFUSALS = [
    (401, AuthenticationFailure),
    (403, PermissionFailure),
    (404, InvalidRequestFailure),
    (429, RateLimitFailure),
    (500, ServerFailure),
    (503, OverloadFailure),
    (200, InvalidRequestFailure),
]


@pytest.mark.parametrize(("status", "kind"), REFUSALS)
async def test_a_refused_handshake_has_its_kind(
    status: int, kind: type[ProviderFailure]
) -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Retry-After": "7"}, text=SECRET)

    async with serving_http(handle) as server, open_client() as client:
        failure = await failure_of(open_and_leave(client, request_to(server.url)))

    assert (type(failure), failure.status) == (kind, status)
    assert failure.retry_after_s == 7


async def test_the_caller_may_read_what_a_refusal_says() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=400, headers={"X-Why": "b"}, body=b"x" * 100_000)

    def refusal(
        status: int, body: bytes, headers: Mapping[str, str]
    ) -> ProviderFailure:
        return ProviderFailure(f"{len(body)} {headers['x-why']}", status=status)

    async def call(client: HttpClient, server: Server) -> None:
        async with client.websocket(
            request_to(server.url), deadlines=Deadlines(), refusal=refusal
        ):
            pytest.fail("it was opened")

    async with serving_http(handle) as server, open_client() as client:
        failure = await failure_of(call(client, server))

    assert (failure.message, failure.status) == ("65536 b", 400)


@pytest.mark.parametrize("location", ["/elsewhere", "https://evil.example/x?k=1"])
async def test_a_redirect_of_the_handshake_is_not_followed(location: str) -> None:
    requests = 0

    async def handle(_: web.Request) -> web.StreamResponse:
        nonlocal requests
        requests += 1
        return web.Response(status=307, headers={"Location": location})

    async with serving_http(handle) as server, open_client() as client:
        failure = await failure_of(open_and_leave(client, request_to(server.url)))

    assert isinstance(failure, RefusedOriginFailure)
    assert requests == 1


@pytest.mark.parametrize(
    "url",
    ["ws://models.example/v1", "http://models.example/v1", "ftp://127.0.0.1/v1"],
)
async def test_a_plain_websocket_to_another_machine_is_refused(url: str) -> None:
    async with open_client() as client:
        request = HttpRequest(method="GET", url=url)
        failure = await failure_of(open_and_leave(client, request))

    assert isinstance(failure, RefusedOriginFailure)


async def test_a_key_of_another_origin_is_not_sent() -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(say_nothing))
        other = await stack.enter_async_context(serving(say_nothing))
        client = await stack.enter_async_context(open_client())
        key = Credential(secret=Secret(SECRET), origin=other.origin)
        request = HttpRequest(method="GET", url=server.url, credential=key)

        failure = await failure_of(open_and_leave(client, request))

    assert isinstance(failure, RefusedOriginFailure)
    assert server.requests == []


async def test_nobody_there_is_a_connection_failure() -> None:
    async with serving(say_nothing) as server:
        url = server.url
    async with open_client() as client:
        failure = await failure_of(open_and_leave(client, request_to(url)))

    assert isinstance(failure, ConnectionFailure)


async def test_a_handshake_that_is_false_is_a_protocol_failure() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        headers = {"Upgrade": "websocket", "Connection": "upgrade"}
        return web.Response(status=101, headers=headers)

    async with serving_http(handle) as server, open_client() as client:
        failure = await failure_of(open_and_leave(client, request_to(server.url)))

    assert isinstance(failure, ProtocolFailure)


async def test_opening_has_its_deadline() -> None:
    async def handle(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async def call(client: HttpClient, server: Server) -> None:
        quick = Deadlines(connect_timeout_s=0.1)
        async with client.websocket(request_to(server.url), deadlines=quick):
            pytest.fail("it was opened")

    async with serving_http(handle) as server, open_client() as client:
        failure = await failure_of(call(client, server))

    assert isinstance(failure, TimeoutFailure)
    assert failure.message.endswith("-o connect_timeout_s 1")


async def test_a_closed_client_opens_none() -> None:
    async with serving(say_nothing) as server, open_client() as client:
        await client.close()

        with pytest.raises(ClosedFailure):
            await open_and_leave(client, request_to(server.url))

    assert server.requests == []
