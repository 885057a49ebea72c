import asyncio
import http.client
import threading
from urllib.parse import urlsplit

import anyio
import msgspec
import pytest

from tina.testing.server import (
    Ending,
    Framing,
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
    paced,
    playback_thread,
)

pytestmark = pytest.mark.anyio

GET = b"GET /v1/x HTTP/1.1\r\nHost: h\r\nX-Odd:  Value \r\n\r\n"
POST = b"POST /v1/y HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"


async def exchange(server: PlaybackServer, *requests: bytes) -> bytes:
    """Send requests on one connection and read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        with anyio.fail_after(5):
            writer.write(b"".join(requests))
            writer.write_eof()
            return await reader.read()
    finally:
        writer.close()


FRAMES = [
    (
        Framing.CHUNKED,
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ),
    (Framing.LENGTH, b"Content-Length: 5\r\n\r\nhello"),
    (Framing.CLOSE, b"Connection: close\r\n\r\nhello"),
]


@pytest.mark.parametrize(("framing", "end"), FRAMES)
async def test_a_recording_is_played_in_its_framing(
    framing: Framing, end: bytes
) -> None:
    recording = Recording(
        headers=(("X-A", "b"),), chunks=(b"hel", b"lo"), framing=framing
    )
    async with PlaybackServer(recording) as server:
        # A half-closed client counts as gone, so this one stays.
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        with anyio.fail_after(5):
            answer = await reader.readexactly(
                len(b"HTTP/1.1 200 Recorded\r\nX-A: b\r\n" + end)
            )
        writer.close()

    assert answer == b"HTTP/1.1 200 Recorded\r\nX-A: b\r\n" + end


async def test_a_raw_recording_is_played_as_it_is() -> None:
    async with PlaybackServer(
        Recording(chunks=(b"nonsense",), framing=Framing.RAW)
    ) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        with anyio.fail_after(5):
            assert await reader.read() == b"nonsense"
        writer.close()


async def test_requests_are_recorded_and_the_script_goes_on() -> None:
    script = (Recording(chunks=(b"1",)), Recording(chunks=(b"2",)))
    async with PlaybackServer(*script) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for request in (GET, POST, POST):
            writer.write(request)
            with anyio.fail_after(5):
                await reader.readuntil(b"0\r\n\r\n")
        writer.close()

    assert server.requests[0] == ReceivedRequest(
        method="GET", path="/v1/x", headers={"host": "h", "x-odd": "Value"}, body=b""
    )
    assert server.requests[1].body == b"body"
    assert [delivery.body for delivery in server.deliveries] == [b"1", b"2", b"2"]
    assert server.connections == 1


async def test_an_answer_may_depend_on_the_request() -> None:
    def answer(request: ReceivedRequest) -> Recording:
        return Recording(chunks=(request.path.encode(),))

    async with PlaybackServer(answer) as server:
        await exchange(server, GET)

    assert server.requests[0].path == "/v1/x"


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.RESET, Ending.COMPLETE])
@pytest.mark.parametrize("cut", [0, 1, 4])
async def test_an_answer_is_cut_after_exactly_so_many_bytes(
    cut: int, ending: Ending
) -> None:
    recording = Recording(chunks=(b"hel", b"lo"), cut_after_bytes=cut, ending=ending)
    async with PlaybackServer(recording) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        with anyio.fail_after(5):
            await server_is_done(server)
        was_reset = False
        try:
            await reader.read()
        except ConnectionResetError:
            was_reset = True
        writer.close()

    assert server.deliveries[0].body == b"hello"[:cut]
    assert was_reset is (ending is Ending.RESET)


async def server_is_done(server: PlaybackServer) -> None:
    for _ in range(1_000):
        if server.deliveries:
            break
        await asyncio.sleep(0)
    await server.deliveries[0].is_over.wait()


async def test_a_client_that_hangs_up_is_noticed() -> None:
    async with PlaybackServer(Recording(chunks=(b"x",), ending=Ending.HANG)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"x\r\n")
        writer.close()
        with anyio.fail_after(5):
            await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


async def test_a_client_that_hangs_up_in_a_pause_is_noticed() -> None:
    has_gone = asyncio.Event()

    async def pause(number: int) -> None:
        if number == 1:
            await has_gone.wait()
            for _ in range(20):
                await asyncio.sleep(0)

    async with PlaybackServer(Recording(chunks=(b"x", b"y"), pause=pause)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"x\r\n")
        writer.close()
        has_gone.set()
        with anyio.fail_after(5):
            await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up
    assert server.deliveries[0].body == b"x"


async def test_leaving_ends_what_still_plays() -> None:
    before = asyncio.all_tasks()
    async with PlaybackServer(Recording(ending=Ending.HANG)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
    with anyio.fail_after(5):
        rest = await reader.read()
    writer.close()

    assert rest == b""
    assert asyncio.all_tasks() <= before


async def test_a_paced_recording_keeps_its_pace() -> None:
    recording = chat_recording(["a"] * 10, pause=paced(200))
    async with PlaybackServer(recording) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(GET)
        with anyio.fail_after(5):
            await reader.readuntil(b"0\r\n\r\n")
        writer.close()

    times_s = [time_s for time_s, _ in server.deliveries[0].sent]
    assert times_s == sorted(times_s)
    assert times_s[-1] - times_s[0] >= 0.05


@pytest.mark.parametrize("usage", [True, False])
def test_a_chat_recording_is_openais_format(usage: bool) -> None:
    recording = chat_recording(["Hel", "lo"], usage=usage, finish_reason="length")

    events = b"".join(recording.chunks).split(b"\n\n")
    chunks = [
        msgspec.json.decode(event.removeprefix(b"data: ")) for event in events[:-2]
    ]
    texts = [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:3]]
    assert texts == ["", "Hel", "lo"]
    assert chunks[3]["choices"][0]["finish_reason"] == "length"
    assert len(chunks) == (5 if usage else 4)
    assert events[-2:] == [b"data: [DONE]", b""]


def test_a_thread_serves_callers_that_block() -> None:
    threads = threading.active_count()

    with playback_thread(chat_recording(["Hi"])) as server:
        address = urlsplit(server.base_url)
        connection = http.client.HTTPConnection(
            str(address.hostname), address.port, timeout=5
        )
        connection.request("POST", f"{address.path}/chat/completions", body=b"{}")
        body = connection.getresponse().read()
        connection.close()

    assert body.endswith(b"data: [DONE]\n\n")
    assert server.requests[0].path == "/v1/chat/completions"
    assert threading.active_count() == threads
