import asyncio
import socket
from collections.abc import Callable
from contextlib import aclosing, suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
from aiohttp.test_utils import unused_port

from tests.conftest import NetworkGuard, NetworkGuardError
from tests.networking.clients import (
    SECRET,
    failure_of,
    fetch,
    open_client,
    request_to,
    send,
)
from tina.domain.chat import Deadlines
from tina.domain.failures import (
    ClosedFailure,
    ConnectionFailure,
    InvalidRequestFailure,
    ProtocolFailure,
    ProviderFailure,
    RefusedOriginFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.networking.http import HttpClient, HttpRequest
from tina.testing.server import (
    Ending,
    Framing,
    PlaybackServer,
    ReceivedRequest,
    Recording,
)

pytestmark = pytest.mark.anyio

HELLO = Recording(chunks=(b"hel", b"lo"))


async def test_a_body_arrives_with_its_status_and_headers() -> None:
    async with PlaybackServer(HELLO) as server, open_client() as client:
        request = request_to(server.base_url)
        async with client.open(request, deadlines=Deadlines()) as response:
            body = await response.read(limit_bytes=5)

    received = server.requests[0]
    assert (response.status, response.headers["CONTENT-TYPE"], body) == (
        200,
        "text/event-stream",
        b"hello",
    )
    assert received.body == b"private words"
    assert received.headers["accept-encoding"] == "identity"
    assert received.headers["user-agent"] == "tina/test"


async def test_a_connection_is_kept_once_its_answer_was_read() -> None:
    async with PlaybackServer(HELLO) as server, open_client() as client:
        for _ in range(3):
            await fetch(client, server.base_url)

    assert server.connections == 1


async def test_a_connection_is_closed_if_its_answer_was_not_read() -> None:
    endless = Recording(chunks=(b"x",), ending=Ending.HANG)
    async with PlaybackServer(endless) as server, open_client() as client:
        request = request_to(server.base_url)
        async with (
            client.open(request, deadlines=Deadlines()) as response,
            aclosing(response.chunks()) as chunks,
        ):
            assert await anext(chunks) == b"x"
        await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


async def test_cancelling_closes_the_socket() -> None:
    endless = Recording(chunks=(b"x",), ending=Ending.HANG)
    has_begun = anyio.Event()

    async def read(client: HttpClient, url: str) -> None:
        async with (
            client.open(request_to(url), deadlines=Deadlines()) as response,
            aclosing(response.chunks()) as chunks,
        ):
            async for _ in chunks:
                has_begun.set()
        pytest.fail("it went on after it was cancelled")

    async with PlaybackServer(endless) as server, open_client() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(read, client, server.base_url)
            await has_begun.wait()
            group.cancel_scope.cancel()
        await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


async def test_cancelling_before_the_headers_closes_the_socket() -> None:
    silent = Recording(framing=Framing.RAW, ending=Ending.HANG)
    async with PlaybackServer(silent) as server, open_client() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(fetch, client, server.base_url)
            while not server.deliveries:
                await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


async def test_draining_makes_the_connection_usable_again() -> None:
    async with PlaybackServer(HELLO) as server, open_client() as client:
        for _ in range(2):
            async with client.open(
                request_to(server.base_url), deadlines=Deadlines()
            ) as response:
                await response.drain(limit_s=1)

    assert server.connections == 1


async def test_draining_gives_up_after_its_time() -> None:
    endless = Recording(chunks=(b"x",), ending=Ending.HANG)
    async with PlaybackServer(endless) as server, open_client() as client:
        async with client.open(
            request_to(server.base_url), deadlines=Deadlines()
        ) as response:
            await response.drain(limit_s=0.01)
        await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


async def wait_for_ever(_: int) -> None:
    await asyncio.Event().wait()


SLOW = [
    pytest.param(
        Recording(framing=Framing.RAW, ending=Ending.HANG),
        Deadlines(headers_timeout_s=0.05),
        "did not begin to answer within 0.05 s",
        "-o headers_timeout_s 1",
        id="headers",
    ),
    pytest.param(
        Recording(framing=Framing.RAW, ending=Ending.HANG),
        Deadlines(total_timeout_s=0.05),
        "did not begin to answer within 0.05 s",
        "-o total_timeout_s 1",
        id="total-before-the-headers",
    ),
    pytest.param(
        Recording(chunks=(b"x",), ending=Ending.HANG),
        Deadlines(idle_timeout_s=0.05),
        "fell silent: nothing more came within 0.05 s",
        "-o idle_timeout_s 1",
        id="idle",
    ),
    pytest.param(
        Recording(chunks=(b"x",), ending=Ending.HANG),
        Deadlines(total_timeout_s=0.1),
        "did not end within 0.1 s",
        "-o total_timeout_s 1",
        id="total",
    ),
]


@pytest.mark.requirement("networking:deadlines")
@pytest.mark.parametrize(("recording", "deadlines", "said", "advice"), SLOW)
async def test_each_wait_has_its_deadline(
    recording: Recording, deadlines: Deadlines, said: str, advice: str
) -> None:
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url, deadlines))
        await server.deliveries[0].is_over.wait()

    assert isinstance(failure, TimeoutFailure)
    assert said in failure.message
    assert failure.message.endswith(advice)
    assert server.deliveries[0].hung_up


def alarms() -> int:
    """How many timers of answers wait in the loop; it has no public way to tell."""
    loop: Any = asyncio.get_running_loop()
    waiting: list[Any] = loop._scheduled
    return sum("_Alarm" in repr(timer) for timer in waiting if not timer.cancelled())


@pytest.mark.requirement("networking:deadlines")
async def test_a_reader_that_is_slow_itself_is_not_told_of_silence() -> None:
    async def pause(number: int) -> None:
        await asyncio.sleep(0.02 * number)

    recording = Recording(chunks=(b"a", b"b", b"c"), pause=pause)
    got = b""
    async with PlaybackServer(recording) as server, open_client() as client:
        limits = Deadlines(idle_timeout_s=0.1)
        async with (
            client.open(request_to(server.base_url), deadlines=limits) as response,
            aclosing(response.chunks()) as chunks,
        ):
            async for chunk in chunks:
                got += chunk
                await asyncio.sleep(0.15)  # longer than silence may be

    assert got == b"abc"


@pytest.mark.requirement("networking:deadlines")
@pytest.mark.parametrize("ending", [Ending.COMPLETE, Ending.CLOSE, Ending.HANG])
async def test_no_timer_stays_behind(ending: Ending) -> None:
    recording = Recording(chunks=(b"a", b"b"), ending=ending)
    async with PlaybackServer(recording) as server, open_client() as client:
        limits = Deadlines(idle_timeout_s=0.05)
        async with client.open(
            request_to(server.base_url), deadlines=limits
        ) as response:
            with suppress(ProviderFailure):
                await response.read(limit_bytes=100)
            during = alarms()

        assert during <= 1
        assert alarms() == 0


@pytest.mark.requirement("networking:deadlines")
async def test_a_wait_for_more_can_be_cancelled_and_leaves_nothing() -> None:
    recording = Recording(chunks=(b"a",), ending=Ending.HANG)
    async with PlaybackServer(recording) as server, open_client() as client:
        with anyio.move_on_after(0.05) as scope:
            await fetch(client, server.base_url)

        assert scope.cancelled_caught
        assert alarms() == 0


@pytest.mark.requirement("networking:deadlines")
async def test_a_steady_stream_still_ends_at_the_total_deadline() -> None:
    async def pause(_: int) -> None:
        await asyncio.sleep(0.01)

    drip = Recording(chunks=(b"x",) * 1_000, pause=pause)
    async with PlaybackServer(drip) as server, open_client() as client:
        limits = Deadlines(total_timeout_s=0.1, idle_timeout_s=0.05)

        failure = await failure_of(fetch(client, server.base_url, limits))

    assert "-o total_timeout_s" in failure.message


@pytest.mark.requirement("networking:deadlines")
@pytest.mark.parametrize("option", ["connect_timeout_s", "total_timeout_s"])
async def test_connecting_has_its_deadline(option: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        # The queue of a listener that never accepts is full after these.
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(address)
        async with open_client() as client:
            url = f"http://127.0.0.1:{address[1]}/v1"
            limits = Deadlines(**{option: 0.05})

            failure = await failure_of(fetch(client, url, limits))
        for one in waiting:
            one.close()

    assert isinstance(failure, TimeoutFailure)
    assert failure.message.endswith(f"-o {option} 1")


async def test_nobody_there_is_a_connection_failure() -> None:
    async with open_client() as client:
        url = f"http://127.0.0.1:{unused_port()}/v1"

        failure = await failure_of(fetch(client, url))

    assert isinstance(failure, ConnectionFailure)
    assert "Nothing answers at '127.0.0.1'" in failure.message


async def test_a_server_without_tls_is_a_connection_failure() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 no TLS here\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server, open_client() as client:
        port = server.sockets[0].getsockname()[1]

        failure = await failure_of(fetch(client, f"https://127.0.0.1:{port}/v1"))

    assert isinstance(failure, ConnectionFailure)
    assert "TLS" in failure.message


BROKEN = [
    pytest.param(Framing.CHUNKED, 3, Ending.CLOSE, TruncatedFailure, id="chunked-fin"),
    pytest.param(
        Framing.CHUNKED, 5, Ending.CLOSE, TruncatedFailure, id="no-last-chunk"
    ),
    pytest.param(Framing.CHUNKED, 3, Ending.RESET, TruncatedFailure, id="chunked-rst"),
    pytest.param(Framing.LENGTH, 3, Ending.CLOSE, TruncatedFailure, id="length-fin"),
    pytest.param(Framing.LENGTH, 3, Ending.RESET, TruncatedFailure, id="length-rst"),
    pytest.param(Framing.RAW, 0, Ending.CLOSE, ConnectionFailure, id="nothing-fin"),
    pytest.param(Framing.RAW, 0, Ending.RESET, ConnectionFailure, id="nothing-rst"),
    pytest.param(Framing.RAW, 5, Ending.CLOSE, ProtocolFailure, id="no-http"),
]


@pytest.mark.parametrize(("framing", "cut", "ending", "kind"), BROKEN)
async def test_a_lost_connection_is_told(
    framing: Framing, cut: int, ending: Ending, kind: type[ProviderFailure]
) -> None:
    recording = Recording(
        chunks=(b"hel", b"lo"), framing=framing, cut_after_bytes=cut, ending=ending
    )
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert type(failure) is kind


async def test_what_arrived_before_the_loss_is_not_lost() -> None:
    recording = Recording(chunks=(b"hello",), ending=Ending.CLOSE)
    got = [b""]

    async def read(client: HttpClient, server: PlaybackServer) -> None:
        request = request_to(server.base_url)
        async with client.open(request, deadlines=Deadlines()) as response:
            await server.deliveries[0].is_over.wait()
            # Both the bytes and the end are there once these rounds have passed.
            for _ in range(20):
                await asyncio.sleep(0)
            async for chunk in response.chunks():
                got[0] += chunk

    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(read(client, server))

    assert got == [b"hello"]
    assert isinstance(failure, TruncatedFailure)


NONSENSE = [
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", id="chunk"
    ),
    pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="status"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\n", id="length"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="ssh"),
]


TRAILED = [
    pytest.param(b"Content-Length: 5\r\n\r\nhello", b"junk", id="after-the-length"),
    pytest.param(
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"junk",
        id="after-the-last-chunk",
    ),
    pytest.param(
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"zz\r\n",
        id="instead-of-the-last-chunk",
    ),
]


@pytest.mark.parametrize(("answer", "junk"), TRAILED)
@pytest.mark.parametrize("cuts", [(), (10,), (18,), (40,)])
async def test_what_came_is_not_lost_to_nonsense_right_behind_it(
    answer: bytes, junk: bytes, cuts: tuple[int, ...]
) -> None:
    """All in one segment, which the library would drop as a whole."""
    whole = b"HTTP/1.1 200 OK\r\n" + answer + junk
    pieces = tuple(whole[a:b] for a, b in pairwise((0, *cuts, len(whole))))
    recording = Recording(chunks=pieces, framing=Framing.RAW, ending=Ending.HANG)
    got = [b""]

    async def read(client: HttpClient, url: str) -> None:
        async with client.open(request_to(url), deadlines=Deadlines()) as response:
            async for chunk in response.chunks():
                got[0] += chunk

    async with PlaybackServer(recording) as server, open_client() as client:
        with suppress(ProtocolFailure):  # the last of them has no end
            await read(client, server.base_url)

    assert got == [b"hello"]


async def test_a_body_that_turns_into_nonsense_is_a_protocol_failure() -> None:
    has_begun = asyncio.Event()

    async def pause(number: int) -> None:
        if number == 1:
            await has_begun.wait()

    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    recording = Recording(chunks=(head, b"zz\r\n"), framing=Framing.RAW, pause=pause)

    async def read(client: HttpClient, url: str) -> None:
        async with client.open(request_to(url), deadlines=Deadlines()) as response:
            async for chunk in response.chunks():
                assert chunk == b"abc"
                has_begun.set()

    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(read(client, server.base_url))

    assert isinstance(failure, ProtocolFailure)


@pytest.mark.parametrize("raw", NONSENSE)
async def test_what_is_no_http_is_a_protocol_failure(raw: bytes) -> None:
    recording = Recording(chunks=(raw,), framing=Framing.RAW)
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ProtocolFailure)


async def fetch_limited(client: HttpClient, url: str) -> bytes:
    request = request_to(url)
    limits = Deadlines()
    async with client.open(request, deadlines=limits, max_body_bytes=100) as response:
        return await response.read(limit_bytes=1_000)


@pytest.mark.parametrize("body_bytes", [99, 100])
async def test_a_body_up_to_the_limit_is_read(body_bytes: int) -> None:
    recording = Recording(chunks=(b"x" * 60, b"x" * (body_bytes - 60)))
    async with PlaybackServer(recording) as server, open_client() as client:
        body = await fetch_limited(client, server.base_url)

    assert len(body) == body_bytes


async def test_a_body_over_the_limit_of_its_reader_is_refused() -> None:
    async def read(client: HttpClient, url: str) -> None:
        async with client.open(request_to(url), deadlines=Deadlines()) as response:
            await response.read(limit_bytes=4)

    async with PlaybackServer(HELLO) as server, open_client() as client:
        failure = await failure_of(read(client, server.base_url))

    assert isinstance(failure, TooLargeFailure)


async def test_a_body_over_the_limit_is_refused() -> None:
    recording = Recording(chunks=(b"x" * 60, b"x" * 41))
    async with PlaybackServer(recording) as server, open_client() as client:
        failure = await failure_of(fetch_limited(client, server.base_url))

    assert isinstance(failure, TooLargeFailure)


@pytest.mark.requirement("networking:origin:https-only")
async def test_plain_http_to_another_machine_is_refused_before_anything_is_sent() -> (
    None
):
    async with open_client() as client:
        failure = await failure_of(fetch(client, "http://192.0.2.1/v1"))

    assert isinstance(failure, RefusedOriginFailure)


async def test_plain_http_is_allowed_for_the_one_request_that_says_so(
    network_guard: NetworkGuard,
) -> None:
    allowed = HttpRequest(method="GET", url="http://192.0.2.1/v1", allow_http=True)
    forbidden = HttpRequest(method="GET", url="http://192.0.2.1/v1")
    async with open_client() as client:

        async def send(request: HttpRequest) -> None:
            async with client.open(request, deadlines=Deadlines()):
                pytest.fail("it was sent")

        with pytest.raises(NetworkGuardError):
            await send(allowed)
        with pytest.raises(RefusedOriginFailure):
            await send(forbidden)

    assert network_guard.refused == ["'192.0.2.1'"]
    network_guard.refused.clear()


async def test_a_key_with_a_line_end_is_refused_without_showing_it() -> None:
    async with open_client() as client:
        headers = {"Authorization": f"Bearer {SECRET}\r\nX: y"}
        request = HttpRequest(method="GET", url="http://127.0.0.1:1", headers=headers)

        async def call() -> None:
            async with client.open(request, deadlines=Deadlines()):
                pytest.fail("it was sent")

        failure = await failure_of(call())

    assert isinstance(failure, InvalidRequestFailure)
    assert SECRET not in repr(request)


def closing_after(answers: int) -> Callable[[ReceivedRequest], Recording]:
    """A server whose connections die with the next request on them."""
    seen: list[ReceivedRequest] = []

    def answer(request: ReceivedRequest) -> Recording:
        seen.append(request)
        dies = len(seen) > answers
        return Recording(framing=Framing.RAW, ending=Ending.RESET) if dies else HELLO

    return answer


async def test_a_kept_connection_that_died_is_replaced_once() -> None:
    dead = Recording(framing=Framing.RAW, ending=Ending.CLOSE)
    async with PlaybackServer(HELLO, dead, HELLO) as server, open_client() as client:
        await fetch(client, server.base_url)

        body = await fetch(client, server.base_url)

    assert (body, len(server.requests), server.connections) == (b"hello", 3, 2)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_kept_connection_is_not_replaced_twice(method: str) -> None:
    answer = closing_after(1)
    async with PlaybackServer(answer) as server, open_client() as client:
        request = request_to(server.base_url, method)
        await send(client, request)

        failure = await failure_of(send(client, request))

    assert isinstance(failure, ConnectionFailure)
    assert len(server.requests) == 3


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET])
async def test_a_kept_connection_that_began_to_answer_is_not_replaced(
    ending: Ending,
) -> None:
    half = Recording(framing=Framing.RAW, chunks=(b"HTTP/1.1 2",), ending=ending)
    async with PlaybackServer(HELLO, half, HELLO) as server, open_client() as client:
        await fetch(client, server.base_url)

        failure = await failure_of(fetch(client, server.base_url))

    assert isinstance(failure, ConnectionFailure)
    assert len(server.requests) == 2


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_new_connection_that_dies_is_not_replaced(method: str) -> None:
    """aiohttp replaces one by itself if the method is GET."""
    answer = closing_after(0)
    async with PlaybackServer(answer) as server, open_client() as client:
        await failure_of(send(client, request_to(server.base_url, method)))

    assert len(server.requests) == 1


async def test_a_closed_client_says_so() -> None:
    async with PlaybackServer(HELLO) as server, open_client() as client:
        await fetch(client, server.base_url)
        await client.close()

        with pytest.raises(ClosedFailure):
            await fetch(client, server.base_url)
