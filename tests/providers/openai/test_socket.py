"""The Responses API over a WebSocket, against a real one on loopback."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from aiohttp import web

from tina.domain.chat import ChatRequest, Deadlines
from tina.domain.events import (
    BlockEnd,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    merge_deltas,
)
from tina.domain.failures import (
    AuthenticationFailure,
    ConnectionFailure,
    OverloadFailure,
    ProviderFailure,
    RateLimitFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Replay, Role, TextPart
from tina.domain.secret import Secret
from tina.networking.http import HttpClient
from tina.networking.sse import SseDecoder
from tina.networking.websocket import CLOSE_LIMIT_S
from tina.providers.dialect import Call, Framing
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.exchange import Question
from tina.providers.openai.responses.dialect import ResponsesDialect
from tina.providers.openai.socket import AVOIDED_S, SUSPECTED_S, SocketExchange
from tina.providers.openai.sockets import MAX_AGE_S, MAX_IDLE
from tina.testing.clock import FakeClock

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[2] / "recordings"
# A made-up key.
KEY = Secret("sk-very-secret")
PROMPT = {"type": "message", "role": "user", "content": "Hi."}
NEXT = {"type": "message", "role": "user", "content": "So?"}
Asked = dict[str, Any]
Talk = Callable[[web.WebSocketResponse, Asked], Awaitable[None]]


def item(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


def kept(text: str) -> msgspec.Raw:
    """The item as it came, and as it goes back."""
    return msgspec.Raw(json.dumps(item(text)).encode())


def created() -> dict[str, Any]:
    return {"type": "response.created", "response": {"id": "resp_1", "model": "m"}}


def delta(text: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "delta": text}


def completed(text: str) -> dict[str, Any]:
    response = {"id": "resp_1", "status": "completed", "output": [item(text)]}
    return {"type": "response.completed", "response": response}


def error(status: int, code: str, **fields: object) -> dict[str, Any]:
    described = {"type": "invalid_request_error", "code": code, **fields}
    return {"type": "error", "status": status, "error": described}


async def tell(socket: web.WebSocketResponse, *events: dict[str, Any]) -> None:
    for event in events:
        await socket.send_json(event)


async def answer(socket: web.WebSocketResponse, asked: Asked) -> None:
    """Says what it was asked last."""
    said = asked["input"][-1]["content"]
    await tell(socket, created(), delta(said), completed(said))


HANGS_UP = 599
"""For a server that ends the connection instead of an answer."""


SWALLOWS = 598
"""For a server that never answers a handshake."""


class Server:
    """Speaks the Responses API, over WebSockets as `talk` says, and over HTTP.

    With a `status` it opens no WebSocket. `sse` is what it says over HTTP.
    """

    def __init__(self, talk: Talk = answer, *, status: int = 0) -> None:
        self.talk = talk
        self.status = status
        self.sse = b"".join(
            b"data: " + json.dumps(event).encode() + b"\n\n"
            for event in (created(), delta("By HTTP."), completed("By HTTP."))
        )
        self.handshakes: list[Mapping[str, str]] = []
        self.asked: list[Asked] = []
        self.asked_by_http: list[Asked] = []
        self.close_codes: list[int | None] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.transports: list[asyncio.Transport] = []
        self.port = 0

    async def connect(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(request.headers)
        if self.status == HANGS_UP and request.transport is not None:
            request.transport.abort()
        if self.status == SWALLOWS:
            await anyio.sleep_forever()
        if self.status:
            told = request.headers.get("Authorization", "")
            return web.json_response({"error": {"message": told}}, status=self.status)
        socket = web.WebSocketResponse(max_msg_size=0, timeout=0.5)
        socket.headers["x-request-id"] = f"req_{len(self.handshakes)}"
        await socket.prepare(request)
        self.sockets.append(socket)
        if request.transport is not None:
            self.transports.append(request.transport)
        try:
            async for message in socket:
                asked = json.loads(message.data)
                self.asked.append(asked)
                await self.talk(socket, asked)
        except ConnectionResetError:
            pass  # the client hung up
        finally:
            self.close_codes.append(socket.close_code)
        return socket

    async def create(self, request: web.Request) -> web.Response:
        self.asked_by_http.append(await request.json())
        return web.Response(body=self.sse, content_type="text/event-stream")

    async def count(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({"input_tokens": 11})


@asynccontextmanager
async def serving(server: Server) -> AsyncGenerator[Server]:
    app = web.Application()
    app.router.add_get("/v1/responses", server.connect)
    app.router.add_post("/v1/responses", server.create)
    app.router.add_post("/v1/responses/input_tokens", server.count)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.port = runner.addresses[0][1]
        with anyio.fail_after(10):
            yield server
    finally:
        await runner.cleanup()


class Client:
    """Asks a server, and keeps what it hears."""

    def __init__(self, exchange: SocketExchange, dialect: ResponsesDialect) -> None:
        self.exchange = exchange
        self.clock = FakeClock()
        self.learned: list[Mapping[str, str]] = []
        self._dialect = dialect

    def question(
        self,
        *items: object,
        key: Secret | None = KEY,
        deadlines: Deadlines | None = None,
    ) -> Question:
        request = ChatRequest(model="m", messages=())
        body: dict[str, object] = {
            "model": "m",
            "input": list(items or (PROMPT,)),
            "stream": True,
        }
        return Question(
            call=Call(path="responses", body=body),
            key=key,
            model="m",
            deadlines=deadlines or Deadlines(),
            left_s=(deadlines or Deadlines()).total_timeout_s,
            make_decoder=lambda request_id: self._dialect.decoder(
                request, request_id=request_id
            ),
            learn=self.learned.append,
        )

    async def ask(self, *items: object, **fields: Any) -> list[StreamEvent]:
        said: list[StreamEvent] = []
        await self.hear(said, self.question(*items, **fields))
        return said

    async def ask_for(self, *messages: Message) -> list[StreamEvent]:
        """Ask as `RemoteProvider` does."""
        request = ChatRequest(model="m", messages=messages)
        call = self._dialect.ask(request, None)
        said: list[StreamEvent] = []
        await self.hear(said, replace(self.question(), call=call))
        return said

    async def hear(self, said: list[StreamEvent], question: Question) -> None:
        async with aclosing(self.exchange.answer(question)) as batches:
            async for batch in batches:
                said += batch


@asynccontextmanager
async def client_of(server: Server) -> AsyncGenerator[Client]:
    entry = ProviderEntry(
        protocol=Protocol.RESPONSES,
        base_url=f"http://127.0.0.1:{server.port}/v1",
        websocket=True,
    )
    clock = FakeClock()
    http = HttpClient(clock=clock, user_agent="tina-test")
    exchange = SocketExchange(
        "openai", entry, framing=Framing.SSE, http=http, clock=clock
    )
    client = Client(exchange, ResponsesDialect("openai", entry))
    client.clock = clock
    try:
        yield client
    finally:
        await exchange.close()
        await http.close()


@asynccontextmanager
async def talking(
    talk: Talk = answer, *, status: int = 0
) -> AsyncGenerator[tuple[Server, Client]]:
    server = Server(talk, status=status)
    async with serving(server), client_of(server) as client:
        yield server, client


def message_of(role: Role, text: str, replay: Replay | None = None) -> Message:
    return Message(
        id=MessageId("0" * 32),
        conversation_id=ConversationId("1" * 32),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=(TextPart(text=text),),
        created_at=FakeClock().now(),
        model="openai:m" if role is Role.ASSISTANT else None,
        replay=replay,
    )


def text_of(events: list[StreamEvent]) -> str:
    return "".join(said.text for said in events if isinstance(said, TextDelta))


def finishes_in(events: list[StreamEvent]) -> int:
    return sum(isinstance(said, Finish) for said in events)


# One answer


@pytest.mark.parametrize("name", ["resp_text_stream", "resp_tools_stream"])
async def test_a_socket_says_what_server_sent_events_say(name: str) -> None:
    stream = (RECORDINGS / f"{name}.sse").read_bytes()

    async def play(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        for event in SseDecoder().feed(stream):
            await socket.send_str(event.data)

    async with talking(play) as (server, client):
        by_socket = await client.ask()
        server.status, server.sse = 426, stream
        by_http = await client.ask(key=None)

    assert merge_deltas(by_socket)[1:] == merge_deltas(by_http)[1:]
    assert (len(server.asked), len(server.asked_by_http)) == (1, 1)


async def test_a_question_is_one_message_without_what_only_http_needs() -> None:
    async with talking() as (server, client):
        events = await client.ask()

    assert server.asked == [
        {"type": "response.create", "model": "m", "input": [PROMPT]}
    ]
    assert server.handshakes[0]["Authorization"] == "Bearer sk-very-secret"
    assert events[0] == Start("m", response_id="resp_1", request_id="req_1")
    assert text_of(events) == "Hi."
    assert [headers["x-request-id"] for headers in client.learned] == ["req_1"]


async def test_an_error_is_a_failure_of_its_kind_and_ends_the_socket() -> None:
    async def refuse(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        headers = {"retry-after": "7"}
        await tell(socket, error(429, "rate_limit_exceeded", headers=headers))

    async with talking(refuse) as (server, client):
        with pytest.raises(RateLimitFailure) as caught:
            await client.ask()
        with pytest.raises(RateLimitFailure):
            await client.ask()

    assert caught.value.retry_after_s == 7
    assert len(server.handshakes) == 2


@pytest.mark.requirement("networking:socket:never-completes")
@pytest.mark.parametrize("close_code", [1000, 1001, 1011])
async def test_a_socket_that_closes_is_no_end_of_an_answer(close_code: int) -> None:
    async def hang_up(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created(), delta("Half"))
        await socket.close(code=close_code)

    said: list[StreamEvent] = []
    async with talking(hang_up) as (server, client):
        with pytest.raises(ProviderFailure) as caught:
            await client.hear(said, client.question())

    assert caught.value.retryable
    assert text_of(said) == "Half"
    assert said[-1] == BlockEnd("0.text.0", is_incomplete=True)
    assert finishes_in(said) == 0
    assert len(server.asked) == 1


async def test_a_connection_that_breaks_in_the_middle_is_truncated() -> None:
    async def break_off(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created(), delta("Half"))
        for transport in server.transports:
            transport.abort()

    said: list[StreamEvent] = []
    async with talking(break_off) as (server, client):
        with pytest.raises(TruncatedFailure):
            await client.hear(said, client.question())

    assert text_of(said) == "Half"
    assert finishes_in(said) == 0


# Sockets that are kept


async def test_a_kept_socket_is_asked_only_what_is_new() -> None:
    async with talking() as (server, client):
        await client.ask(PROMPT)
        events = await client.ask(PROMPT, kept("Hi."), NEXT)

    assert text_of(events) == "So?"
    assert len(server.handshakes) == 1
    assert server.asked[1]["previous_response_id"] == "resp_1"
    assert server.asked[1]["input"] == [NEXT]


async def test_a_conversation_goes_on_with_what_its_dialect_writes() -> None:
    prompt = message_of(Role.USER, "Hi.")

    async def answer_hi(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created(), delta("Hi."), completed("Hi."))

    async with talking(answer_hi) as (server, client):
        first = await client.ask_for(prompt)
        finish = first[-1]
        assert isinstance(finish, Finish)
        told = message_of(Role.ASSISTANT, "Hi.", replay=finish.replay)
        await client.ask_for(prompt, told, message_of(Role.USER, "So?"))

    assert server.asked[1]["previous_response_id"] == "resp_1"
    assert [each["role"] for each in server.asked[1]["input"]] == ["user"]


async def test_another_conversation_is_asked_whole_on_the_same_socket() -> None:
    async with talking() as (server, client):
        await client.ask(PROMPT)
        await client.ask(NEXT)

    assert len(server.handshakes) == 1
    assert server.asked[1] == {"type": "response.create", "model": "m", "input": [NEXT]}


async def test_the_socket_that_remembers_a_conversation_goes_on_with_it() -> None:
    async with talking() as (server, client):
        async with anyio.create_task_group() as group:
            group.start_soon(client.ask, PROMPT)
            group.start_soon(client.ask, NEXT)
        await client.ask(NEXT, kept("So?"), PROMPT)
        await client.ask(PROMPT, kept("Hi."), NEXT)

    assert len(server.handshakes) == 2
    assert [len(asked["input"]) for asked in server.asked] == [1, 1, 1, 1]


async def test_what_comes_late_of_one_answer_is_not_in_the_next() -> None:
    async def babble(socket: web.WebSocketResponse, asked: Asked) -> None:
        await answer(socket, asked)
        await tell(socket, delta("LATE"), completed("LATE"))

    async with talking(babble) as (_, client):
        first = await client.ask(PROMPT)
        second = await client.ask(NEXT)

    assert (text_of(first), text_of(second)) == ("Hi.", "So?")


@pytest.mark.parametrize(
    "unasked",
    [[created(), delta("UNASKED"), completed("UNASKED")], [error(401, "late")]],
    ids=["answer", "error"],
)
async def test_what_comes_unasked_answers_no_question(
    unasked: list[dict[str, Any]],
) -> None:
    is_told = anyio.Event()

    async def go_on(socket: web.WebSocketResponse, asked: Asked) -> None:
        await answer(socket, asked)
        await tell(socket, *unasked)
        is_told.set()

    async with talking(go_on) as (server, client):
        await client.ask(PROMPT)
        await is_told.wait()
        for _ in range(10):  # what is sent over loopback is there with the next looks
            await anyio.lowlevel.checkpoint()
        events = await client.ask(NEXT)

    assert text_of(events) == "So?"
    assert len(server.handshakes) == 2


async def test_a_kept_socket_that_the_server_closed_is_replaced() -> None:
    async with talking() as (server, client):
        await client.ask()
        await server.sockets[0].close()
        events = await client.ask()

    assert text_of(events) == "Hi."
    assert len(server.handshakes) == 2


@pytest.mark.parametrize(
    "code", ["previous_response_not_found", "websocket_connection_limit_reached"]
)
async def test_a_server_that_forgot_is_asked_everything_on_a_new_socket(
    code: str,
) -> None:
    async def forget(socket: web.WebSocketResponse, asked: Asked) -> None:
        if "previous_response_id" in asked:
            await tell(socket, error(400, code))
        else:
            await answer(socket, asked)

    async with talking(forget) as (server, client):
        await client.ask(PROMPT)
        events = await client.ask(PROMPT, kept("Hi."), NEXT)

    assert text_of(events) == "So?"
    assert len(server.handshakes) == 2
    assert len(server.asked[2]["input"]) == 3


async def test_a_kept_socket_that_hangs_up_is_replaced_once() -> None:
    async def hang_up_later(socket: web.WebSocketResponse, asked: Asked) -> None:
        if asked["input"] == [PROMPT]:
            await answer(socket, asked)
        else:
            await socket.close(code=1001)

    async with talking(hang_up_later) as (server, client):
        await client.ask(PROMPT)
        with pytest.raises(ConnectionFailure):
            await client.ask(NEXT)

    assert len(server.asked) == 3


async def test_another_failure_of_a_kept_socket_is_not_hidden() -> None:
    async def tire(socket: web.WebSocketResponse, asked: Asked) -> None:
        if len(asked["input"]) == 1 and "previous_response_id" not in asked:
            await answer(socket, asked)
        else:
            await tell(socket, error(503, "overloaded"))

    async with talking(tire) as (server, client):
        await client.ask(PROMPT)
        with pytest.raises(OverloadFailure):
            await client.ask(PROMPT, kept("Hi."), NEXT)

    assert len(server.asked) == 2


async def test_a_kept_socket_that_breaks_after_words_is_not_replaced() -> None:
    async def break_later(socket: web.WebSocketResponse, asked: Asked) -> None:
        if asked["input"] == [PROMPT]:
            await answer(socket, asked)
        else:
            await tell(socket, created(), delta("Half"))
            await socket.close(code=1001)

    said: list[StreamEvent] = []
    async with talking(break_later) as (server, client):
        await client.ask(PROMPT)
        with pytest.raises(TruncatedFailure):
            await client.hear(said, client.question(NEXT))

    assert text_of(said) == "Half"
    assert len(server.asked) == 2


async def test_a_socket_is_not_used_for_as_long_as_its_server_allows() -> None:
    async with talking() as (server, client):
        await client.ask()
        client.clock.advance(MAX_AGE_S)
        await client.ask()
        client.clock.advance(1)
        await client.ask()

    assert len(server.handshakes) == 2
    assert server.close_codes == [1000, 1000]


async def test_a_socket_serves_one_key_and_one_set_of_deadlines() -> None:
    async with talking() as (server, client):
        await client.ask()
        await client.ask(key=Secret("sk-another"))
        await client.ask(deadlines=Deadlines(idle_timeout_s=7))
        await client.ask(key=Secret(KEY.reveal()))
        # What is left of the whole is another number each time.
        await client.ask(deadlines=Deadlines(total_timeout_s=1799.9))

    assert len(server.handshakes) == 3


async def test_only_a_few_sockets_are_kept_and_all_are_closed() -> None:
    everybody_asks = anyio.Event()

    async def wait(socket: web.WebSocketResponse, asked: Asked) -> None:
        if len(server.asked) == MAX_IDLE + 2:
            everybody_asks.set()
        await everybody_asks.wait()
        await answer(socket, asked)

    async with talking(wait) as (server, client):
        async with anyio.create_task_group() as group:
            for _ in range(MAX_IDLE + 2):
                group.start_soon(client.ask)
        closed = len(server.close_codes)
        await client.exchange.close()
        await client.ask()

    assert closed == 2
    assert len(server.handshakes) == MAX_IDLE + 3
    assert len(server.close_codes) == MAX_IDLE + 3


async def test_two_answers_at_once_are_not_mixed() -> None:
    turns = {"a": anyio.Event(), "b": anyio.Event()}

    async def take_turns(socket: web.WebSocketResponse, asked: Asked) -> None:
        mine = asked["input"][0]["content"]
        other = turns["b" if mine == "a" else "a"]
        await tell(socket, created(), delta(mine))
        for _ in range(50):
            other.set()
            await turns[mine].wait()
            turns[mine] = anyio.Event()
            await tell(socket, delta(mine))
            other = turns["b" if mine == "a" else "a"]
            other.set()
        await tell(socket, completed(mine * 51))

    said: dict[str, list[StreamEvent]] = {"a": [], "b": []}
    async with (
        talking(take_turns) as (server, client),
        anyio.create_task_group() as group,
    ):
        for mine, heard in said.items():
            question = client.question({"type": "message", "content": mine})
            group.start_soon(client.hear, heard, question)

    assert (text_of(said["a"]), text_of(said["b"])) == ("a" * 51, "b" * 51)
    assert len(server.handshakes) == 2


async def test_a_stopped_answer_closes_its_socket_and_reaches_nobody() -> None:
    go_on = anyio.Event()

    async def talk_on(socket: web.WebSocketResponse, asked: Asked) -> None:
        if asked["input"] == [NEXT]:
            await answer(socket, asked)
            return
        await tell(socket, created(), delta("Stop me"))
        await go_on.wait()
        await tell(socket, delta("LATE"), completed("LATE"))

    async with talking(talk_on) as (server, client):
        async with aclosing(client.exchange.answer(client.question())) as batches:
            async for batch in batches:
                if text_of(list(batch)):
                    break
        go_on.set()
        events = await client.ask(NEXT)

    assert text_of(events) == "So?"
    assert len(server.handshakes) == 2


async def test_cancelling_closes_a_socket_whose_server_is_deaf_at_once() -> None:
    is_asked, is_over = anyio.Event(), anyio.Event()
    cancelled_at = 0.0

    async def be_deaf(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created())
        is_asked.set()
        await is_over.wait()

    async with talking(be_deaf) as (_, client):
        async with anyio.create_task_group() as group:
            group.start_soon(client.ask)
            await is_asked.wait()
            cancelled_at = anyio.current_time()
            group.cancel_scope.cancel()
        took_s = anyio.current_time() - cancelled_at
        is_over.set()

    assert took_s < CLOSE_LIMIT_S / 2


# Where there is no WebSocket


@pytest.mark.parametrize("status", [400, 403, 404, 426])
async def test_where_no_socket_can_be_opened_http_is_asked(status: int) -> None:
    async with talking(status=status) as (server, client):
        events = await client.ask()

    assert text_of(events) == "By HTTP."
    assert finishes_in(events) == 1
    assert [asked["stream"] for asked in server.asked_by_http] == [True]


async def test_http_is_asked_for_a_while_before_the_next_try() -> None:
    async with talking(status=426) as (server, client):
        await client.ask()
        client.clock.advance(AVOIDED_S - 1)
        await client.ask()
        tried_before = len(server.handshakes)
        client.clock.advance(1)
        server.status = 0
        events = await client.ask()

    assert (tried_before, len(server.handshakes)) == (1, 2)
    assert text_of(events) == "Hi."


@pytest.mark.parametrize("status", [500, 502, HANGS_UP])
async def test_a_server_that_may_be_down_is_asked_once_by_each_attempt(
    status: int,
) -> None:
    async with talking(status=status) as (server, client):
        with pytest.raises((ConnectionFailure, ServerFailure)):
            await client.ask()
        by_http_at_first = len(server.asked_by_http)
        events = await client.ask()
        client.clock.advance(AVOIDED_S - 1)
        await client.ask()

    assert text_of(events) == "By HTTP."
    assert (by_http_at_first, len(server.asked_by_http)) == (0, 2)
    assert len(server.handshakes) == 1


async def test_a_proxy_that_swallows_the_handshake_is_passed_by_http() -> None:
    short = Deadlines(headers_timeout_s=0.05)
    async with talking(status=SWALLOWS) as (server, client):
        with pytest.raises(TimeoutFailure):
            await client.ask(deadlines=short)
        events = await client.ask()

    assert text_of(events) == "By HTTP."
    assert len(server.handshakes) == 1


async def test_what_http_did_not_prove_is_tried_again_soon() -> None:
    async with talking(status=502) as (server, client):
        with pytest.raises(ServerFailure):
            await client.ask()
        client.clock.advance(SUSPECTED_S)
        server.status = 0
        events = await client.ask()

    assert text_of(events) == "Hi."
    assert server.asked_by_http == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationFailure),
        (429, RateLimitFailure),
        (503, OverloadFailure),
        (529, OverloadFailure),
    ],
)
async def test_a_refusal_that_http_would_get_too_is_not_asked_for_twice(
    status: int, kind: type[ProviderFailure]
) -> None:
    async with talking(status=status) as (server, client):
        with pytest.raises(kind) as caught:
            await client.ask()
        with pytest.raises(kind):
            await client.ask(key=None)

    assert server.asked_by_http == []
    assert KEY.reveal() not in caught.value.message


async def test_what_is_no_answer_goes_over_http() -> None:
    async with talking() as (server, client):
        body = await client.exchange.read(
            Call(path="responses/input_tokens", body={}),
            KEY,
            deadlines=Deadlines(),
            limit_bytes=100,
        )

    assert json.loads(body) == {"input_tokens": 11}
    assert server.handshakes == []


# Limits


@pytest.mark.parametrize("option", ["headers_timeout_s", "total_timeout_s"])
async def test_an_answer_that_does_not_begin_is_given_up(option: str) -> None:
    async def be_silent(socket: web.WebSocketResponse, asked: Asked) -> None:
        del socket, asked

    async with talking(be_silent) as (_, client):
        with pytest.raises(TimeoutFailure, match=f"did not begin.* -o {option}"):
            await client.ask(deadlines=Deadlines(**{option: 0.05}))


async def test_an_answer_that_does_not_end_is_given_up() -> None:
    async def go_on(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created(), delta("One"))

    said: list[StreamEvent] = []
    limits = Deadlines(total_timeout_s=0.05)
    async with talking(go_on) as (_, client):
        with pytest.raises(TimeoutFailure, match="did not end"):
            await client.hear(said, client.question(deadlines=limits))

    assert text_of(said) == "One"


async def test_an_answer_that_comes_for_too_long_is_given_up() -> None:
    async def go_on(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created(), delta("One"), delta("Two"))

    async with (
        talking(go_on) as (_, client),
        aclosing(client.exchange.answer(client.question())) as batches,
    ):
        await anext(batches)
        client.clock.advance(Deadlines().total_timeout_s)
        with pytest.raises(TimeoutFailure, match="did not end"):
            await anext(batches)


async def test_an_answer_over_the_limit_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tina.providers.openai.socket_reader.MAX_BODY_BYTES", 1000)

    async def flood(socket: web.WebSocketResponse, asked: Asked) -> None:
        del asked
        await tell(socket, created(), *(delta("x" * 300) for _ in range(4)))

    said: list[StreamEvent] = []
    async with talking(flood) as (_, client):
        with pytest.raises(TooLargeFailure):
            await client.hear(said, client.question())

    assert text_of(said) == "x" * 600
