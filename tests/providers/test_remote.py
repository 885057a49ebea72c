import re
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.providers.asking import (
    ENTRY,
    KEY,
    Heard,
    LoopClock,
    entry_at,
    hear,
    hear_from,
    make_provider,
    open_http,
    open_provider,
    question,
    serving,
)
from tina.domain.chat import ChatRequest, Deadlines, ModelInfo, StopReason
from tina.domain.events import (
    BlockEnd,
    BlockStart,
    Finish,
    Start,
    TextDelta,
    Waiting,
)
from tina.domain.failures import (
    AuthenticationFailure,
    CircuitOpenFailure,
    ContextOverflowFailure,
    InvalidRequestFailure,
    NoKeyFailure,
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
    RateLimitFailure,
    RefusedOriginFailure,
    ServerFailure,
    TimeoutFailure,
    TooLargeFailure,
    TruncatedFailure,
)
from tina.domain.ports import Provider
from tina.networking.http import HttpClient, HttpRequest, HttpResponse
from tina.networking.retry import RetryPolicy
from tina.providers.dialect import Call, Counting, ModelPage
from tina.providers.entries import KeyHeader, KeyUse
from tina.providers.openai.chat.dialect import ChatDialect
from tina.providers.remote import MAX_MODEL_PAGES
from tina.testing.secrets import FakeSecretStore
from tina.testing.server import (
    Ending,
    Framing,
    PlaybackServer,
    ReceivedRequest,
    Recording,
    chat_recording,
)

pytestmark = pytest.mark.anyio

RECORDINGS = Path(__file__).parents[1] / "recordings"
STREAMS = sorted(path.name for path in RECORDINGS.glob("chat_*.sse"))
KEYED = msgspec.structs.replace(ENTRY, key=KeyUse.REQUIRED)


def chunked(body: bytes, cuts: Iterable[int]) -> Recording:
    borders = sorted({0, len(body), *cuts})
    pieces = tuple(body[a:b] for a, b in pairwise(borders))
    return Recording(chunks=pieces)


async def test_a_request_is_sent_as_it_should() -> None:
    keys = FakeSecretStore(openai=KEY)
    async with serving(chat_recording(["Hi"]), keys=keys) as (server, provider):
        await hear(provider)

    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "text/event-stream"
    assert b'"stream":true' in request.body


async def test_without_a_key_none_is_sent() -> None:
    async with serving(chat_recording(["Hi"])) as (server, provider):
        heard = await hear(provider)

    assert heard.text == "Hi"
    assert "authorization" not in server.requests[0].headers


async def test_a_missing_key_is_told_before_anything_is_sent() -> None:
    answer = chat_recording(["Hi"])
    async with serving(answer, entry=KEYED) as (server, provider):
        with pytest.raises(NoKeyFailure, match="Set OPENAI_API_KEY"):
            await hear(provider)

    assert server.requests == []


async def test_an_answer_is_told_from_start_to_finish() -> None:
    recording = chat_recording(["Hel", "lo"])
    headers = (*recording.headers, ("X-Request-Id", "req_1"))
    whole = b"".join(recording.chunks)

    heard = await hear_from(Recording(headers=headers, chunks=(whole,)))

    first, last = heard.events[0], heard.events[-1]
    assert heard.failure is None
    assert first == Start(
        "recorded", response_id="chatcmpl-recorded", request_id="req_1"
    )
    assert isinstance(last, Finish)
    assert last.reason is StopReason.STOP
    assert last.replay is None


async def test_what_arrives_together_is_told_together() -> None:
    whole = b"".join(chat_recording(["Hel", "lo", "!"]).chunks)

    heard = await hear_from(Recording(chunks=(whole,)))

    assert heard.batches[0][-1] == TextDelta("text", "Hello!")
    assert len(heard.batches) == 2


async def test_an_answer_leaves_its_connection_usable() -> None:
    async with serving(chat_recording(["Hi"])) as (server, provider):
        for _ in range(3):
            await hear(provider)

    assert server.connections == 1


@pytest.mark.requirement("providers:capture:any-cut")
@pytest.mark.parametrize("name", STREAMS)
async def test_a_recording_gives_the_same_events_however_it_is_cut(name: str) -> None:
    body = (RECORDINGS / name).read_bytes()

    whole, bytewise, uneven = [
        await hear_from(chunked(body, cuts))
        for cuts in (range(0), range(len(body)), range(0, len(body), 37))
    ]

    assert whole.failure is None
    assert sum(isinstance(event, Finish) for event in whole.events) == 1
    assert bytewise.joined == uneven.joined == whole.joined


@pytest.mark.requirement("providers:capture:any-cut")
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(cuts=st.lists(st.integers(1, 4_800), max_size=8), name=st.sampled_from(STREAMS))
async def test_random_cuts_change_nothing(cuts: list[int], name: str) -> None:
    body = (RECORDINGS / name).read_bytes()

    whole = await hear_from(chunked(body, []))
    cut = await hear_from(chunked(body, [at % len(body) for at in cuts]))

    assert cut.joined == whole.joined


def end_of_answer(body: bytes) -> int:
    """Where the chunk that says why the model stopped is whole."""
    match = re.search(rb'\{"choices":\[\{"finish_reason":"[a-z_]+","index":0,.*', body)
    assert match is not None
    return match.end()


def check_cut(cut: Heard, full: str, *, is_whole: bool, is_empty: bool) -> None:
    finishes = sum(isinstance(event, Finish) for event in cut.events)
    starts = [event.key for event in cut.events if isinstance(event, BlockStart)]
    ends = [event.key for event in cut.events if isinstance(event, BlockEnd)]
    assert full.startswith(cut.text)
    assert sorted(starts) == sorted(ends)
    if is_whole:
        assert (finishes, cut.failure, cut.text) == (1, None, full)
    else:
        assert finishes == 0
        assert isinstance(cut.failure, TruncatedFailure | ProtocolFailure)
        assert isinstance(cut.failure, TruncatedFailure) or is_empty


SMALL_STREAMS = [n for n in STREAMS if (RECORDINGS / n).stat().st_size < 2_000]


@pytest.mark.requirement("providers:cut:exact-prefix")
@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.COMPLETE])
@pytest.mark.parametrize("name", SMALL_STREAMS)
async def test_a_connection_cut_at_any_byte_gives_a_prefix_and_never_a_whole(
    name: str, ending: Ending
) -> None:
    """`COMPLETE`: the server itself ends the body in the middle of the answer."""
    body = (RECORDINGS / name).read_bytes()
    end = end_of_answer(body)
    recordings = [
        Recording(chunks=(body[:at],))
        if ending is Ending.COMPLETE
        else Recording(chunks=(body,), cut_after_bytes=at)
        for at in range(len(body))
    ]
    full = await hear_from(Recording(chunks=(body,)))

    async with PlaybackServer(*recordings) as server, open_http() as http:
        entry = entry_at(server.base_url)
        heard = [
            # A new one each time: what failed before is not held against it.
            await hear(make_provider(entry, http=http))
            for _ in recordings
        ]

    for at, cut in enumerate(heard):
        check_cut(cut, full.text, is_whole=at >= end, is_empty=at == 0)


class CutResponse(HttpResponse):
    """A stream that holds the beginning of a body; then it is lost, or ends."""

    def __init__(self, body: bytes, *, is_lost: bool) -> None:
        self.status = 200
        self.headers = {"content-type": "text/event-stream"}
        self._body = body
        self._is_lost = is_lost

    async def next_chunk(self) -> bytes:
        chunk, self._body = self._body, b""
        if not chunk and self._is_lost:
            raise TruncatedFailure("lost")
        return chunk

    async def drain(self, *, limit_s: float) -> None:
        pass


class CutClient(HttpClient):
    """Answers without a network: tens of thousands of cuts take seconds."""

    def __init__(self) -> None:
        super().__init__(clock=LoopClock(), user_agent="tina/test")
        self.response = CutResponse(b"", is_lost=False)

    @asynccontextmanager
    async def open(
        self,
        request: HttpRequest,
        *,
        deadlines: Deadlines,
        left_s: float | None = None,
        max_body_bytes: int = 0,
    ) -> AsyncGenerator[HttpResponse, None]:
        yield self.response


@pytest.mark.requirement("providers:cut:exact-prefix")
@pytest.mark.parametrize("is_lost", [True, False])
@pytest.mark.parametrize("name", STREAMS)
async def test_an_answer_cut_anywhere_is_a_prefix_and_never_whole(
    name: str, is_lost: bool
) -> None:
    body = (RECORDINGS / name).read_bytes()
    end = end_of_answer(body)
    client = CutClient()
    entry = entry_at("http://127.0.0.1/v1")
    client.response = CutResponse(body, is_lost=False)
    full = await hear(make_provider(entry, http=client))

    for at in range(0, len(body), 7):
        client.response = CutResponse(body[:at], is_lost=is_lost)
        cut = await hear(make_provider(entry, http=client))
        check_cut(cut, full.text, is_whole=at >= end, is_empty=at == 0)


async def test_a_disconnect_keeps_what_was_said() -> None:
    body = (RECORDINGS / "disconnect_after_4_events.sse").read_bytes()

    heard = await hear_from(Recording(chunks=(body, b"x"), cut_after_bytes=len(body)))

    assert heard.text == "Hello there."
    assert heard.events[-1] == BlockEnd("text", is_incomplete=True)
    assert isinstance(heard.failure, TruncatedFailure)


async def test_a_reset_after_the_end_of_the_answer_is_no_failure() -> None:
    whole = b"".join(chat_recording(["Hi"], usage=False).chunks)
    cut = len(whole) - len(b"data: [DONE]\n\n")
    recording = Recording(chunks=(whole,), cut_after_bytes=cut, ending=Ending.CLOSE)

    heard = await hear_from(recording)

    assert heard.failure is None
    assert isinstance(heard.events[-1], Finish)


async def test_a_server_that_never_says_goodbye_is_left() -> None:
    whole = b"".join(chat_recording(["Hi"]).chunks)
    recording = Recording(chunks=(whole,), ending=Ending.HANG)
    async with serving(recording) as (server, provider):
        heard = await hear(provider)
        await server.deliveries[0].is_over.wait()

    assert isinstance(heard.events[-1], Finish)
    assert server.deliveries[0].hung_up


async def test_the_last_attempt_names_the_limit_that_was_asked_for() -> None:
    """And not what the attempts before left of it."""
    silent = Recording(chunks=(), ending=Ending.HANG)
    broken = typed("application/json", b"{}", 500)
    async with serving(broken, silent, policy=RetryPolicy(base_s=0.1)) as (_, provider):
        heard = await hear(provider, question(Deadlines(total_timeout_s=1.0)))

    assert isinstance(heard.failure, TimeoutFailure)
    assert "within 1 s" in heard.failure.message


async def test_silence_is_a_failure_with_what_was_said() -> None:
    body = (RECORDINGS / "disconnect_after_4_events.sse").read_bytes()
    request = question(Deadlines(idle_timeout_s=0.05))

    heard = await hear_from(
        Recording(chunks=(body,), ending=Ending.HANG), request=request
    )

    assert heard.text == "Hello there."
    assert isinstance(heard.failure, TimeoutFailure)


async def test_an_endless_event_is_too_large() -> None:
    recording = Recording(chunks=(b"data: ", *[b"x" * 1_000_000] * 9))

    heard = await hear_from(recording)

    assert isinstance(heard.failure, TooLargeFailure)


async def test_leaving_closes_the_connection() -> None:
    recording = Recording(chunks=chat_recording(["Hi"]).chunks[:2], ending=Ending.HANG)
    async with serving(recording) as (server, provider):
        async with provider.stream(question()) as batches:
            await anext(batches)
        await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


async def test_cancelling_closes_the_connection() -> None:
    recording = Recording(chunks=chat_recording(["Hi"]).chunks[:2], ending=Ending.HANG)
    has_begun = anyio.Event()

    async def listen(provider: Provider) -> None:
        async with provider.stream(question()) as batches:
            async for _ in batches:
                has_begun.set()
        pytest.fail("it went on after it was cancelled")

    async with serving(recording) as (server, provider):
        async with anyio.create_task_group() as group:
            group.start_soon(listen, provider)
            await has_begun.wait()
            group.cancel_scope.cancel()
        await server.deliveries[0].is_over.wait()

    assert server.deliveries[0].hung_up


def typed(content_type: str, body: bytes, status: int = 200) -> Recording:
    headers = (("Content-Type", content_type),)
    return Recording(
        status=status, headers=headers, chunks=(body,), framing=Framing.LENGTH
    )


async def test_an_answer_in_one_piece_is_an_answer() -> None:
    body = (RECORDINGS / "chat_text_nonstream.json").read_bytes()

    heard = await hear_from(typed("application/json; charset=utf-8", b"\n\n" + body))

    assert heard.failure is None
    assert heard.text == "1. Grapes\n2. Oranges\n3."
    assert isinstance(heard.events[-1], Finish)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Content-Type", "text/plain; charset=utf-8"),),
        (("Content-Type", "application/octet-stream"),),
    ],
)
async def test_a_stream_that_its_server_does_not_name_is_read_as_one(
    headers: tuple[tuple[str, str], ...],
) -> None:
    body = (RECORDINGS / "chat_text_stream_usage.sse").read_bytes()

    heard = await hear_from(Recording(headers=headers, chunks=(body,)))

    assert heard.failure is None
    assert isinstance(heard.events[-1], Finish)


STREAM = "text/event-stream; charset=utf-8"
NO_ANSWERS = [
    pytest.param(
        typed("text/html", b"<html>Welcome</html>"), ProtocolFailure, id="html"
    ),
    pytest.param(typed("text/event-stream", b""), ProtocolFailure, id="empty-stream"),
    pytest.param(typed("application/json", b" \n"), ProtocolFailure, id="empty-json"),
    pytest.param(typed("application/json", b"{}"), ProtocolFailure, id="no-choices"),
    pytest.param(typed("application/json", b"{"), ProtocolFailure, id="no-json"),
    pytest.param(
        typed("application/json", b'{"error":"x"}'), ServerFailure, id="error"
    ),
    pytest.param(typed("x" * 200, b"x"), ProtocolFailure, id="odd-type"),
    pytest.param(Recording(headers=(), chunks=(b"x",)), ProtocolFailure, id="no-type"),
    pytest.param(typed("text/plain", b"No route."), ProtocolFailure, id="a-sentence"),
    pytest.param(Recording(status=204, headers=()), ProtocolFailure, id="no-content"),
    pytest.param(typed(STREAM, b"data: [DONE]\n\n"), ProtocolFailure, id="only-done"),
    pytest.param(typed(STREAM, b"data: <html>\n\n"), ProtocolFailure, id="no-chunk"),
    pytest.param(typed(STREAM, b": hi\n\n"), TruncatedFailure, id="only-comments"),
    pytest.param(
        typed(STREAM, b'data: {"error":{"code":429}}\n\n'),
        RateLimitFailure,
        id="error-chunk",
    ),
    pytest.param(
        typed(STREAM, b'data: {"error":{"code":429}}'),
        RateLimitFailure,
        id="error-at-the-end",
    ),
    pytest.param(
        typed(STREAM, b'event: error\ndata: {"code":429}\n\n'),
        RateLimitFailure,
        id="error-event",
    ),
    pytest.param(
        typed(STREAM, b'event: error\ndata: {"error":{"code":429}}\n\n'),
        RateLimitFailure,
        id="wrapped",
    ),
    pytest.param(
        typed(STREAM, b"event: error\ndata: it broke\n\n"),
        ServerFailure,
        id="error-text",
    ),
]


@pytest.mark.requirement("providers:no-answer:fails")
@pytest.mark.parametrize(("recording", "kind"), NO_ANSWERS)
async def test_a_success_that_is_no_answer_is_a_failure(
    recording: Recording, kind: type[ProviderFailure]
) -> None:
    heard = await hear_from(recording)

    assert type(heard.failure) is kind
    assert "<" not in str(heard.failure)
    assert not any(isinstance(event, Finish) for event in heard.events)


async def test_what_was_said_before_an_error_is_kept() -> None:
    said = b"".join(chat_recording(["Hel", "lo"]).chunks[:3])
    error = b'data: {"error":{"message":"Provider down","code":502}}\n\n'

    heard = await hear_from(Recording(chunks=(said + error,)))

    assert heard.text == "Hello"
    assert isinstance(heard.failure, ServerFailure)
    assert "Provider down" in heard.failure.message


REFUSALS = [
    ("err_auth_wrong", AuthenticationFailure),
    ("err_context_overflow_nonstream", ContextOverflowFailure),
]


@pytest.mark.parametrize(("name", "kind"), REFUSALS)
async def test_a_refusal_is_raised_on_entering(
    name: str, kind: type[ProviderFailure]
) -> None:
    status = int((RECORDINGS / f"{name}.headers.txt").read_text().split(" ")[1])
    body = (RECORDINGS / f"{name}.json").read_bytes()

    heard = await hear_from(typed("application/json", body, status))

    assert type(heard.failure) is kind
    assert heard.batches == []


async def test_a_server_that_wants_a_key_after_all_says_so() -> None:
    async with serving(typed("application/json", b"{}", 401)) as (_, provider):
        heard = await hear(provider)

    assert isinstance(heard.failure, AuthenticationFailure)
    assert "OPENAI_API_KEY" in heard.failure.message


async def test_a_wait_that_the_server_asks_for_is_told() -> None:
    headers = (
        ("Retry-After", "Sun, 22 Nov 2026 20:00:09 GMT"),
        ("X-Request-Id", "req_9"),
    )

    heard = await hear_from(Recording(status=429, headers=headers))

    assert heard.failure is not None
    assert (heard.failure.retry_after_s, heard.failure.request_id) == (9.0, "req_9")


async def test_a_refusal_with_an_endless_body_is_still_told() -> None:
    heard = await hear_from(Recording(status=401, chunks=(b"x" * 100_000,)))

    assert isinstance(heard.failure, AuthenticationFailure)


ECHOES = [
    pytest.param(
        typed(
            "application/json",
            b'{"error":{"message":"Incorrect key: %s","code":"%s"}}'
            % ((KEY.encode(),) * 2),
            401,
        ),
        id="refusal",
    ),
    pytest.param(
        typed(
            "application/json", b'{"error":"%s %s"}' % (b"w" * 490, KEY.encode()), 401
        ),
        id="cut",
    ),
    pytest.param(
        typed(
            STREAM,
            b'data: {"error":{"message":"%s","code":"%s"}}\n\n' % ((KEY.encode(),) * 2),
        ),
        id="event",
    ),
    pytest.param(
        typed(STREAM, b'data: {"error":"%s%s"}\n\n' % (b"word " * 98, KEY.encode())),
        id="cut-event",
    ),
]


@pytest.mark.requirement("providers:key:never-shown")
@pytest.mark.parametrize("recording", ECHOES)
async def test_a_key_that_the_server_repeats_is_masked(recording: Recording) -> None:
    heard = await hear_from(recording)

    assert heard.failure is not None
    assert "sk-" not in f"{heard.failure.message} {heard.failure.code}"


@pytest.mark.requirement("networking:origin:no-redirect")
async def test_a_redirect_takes_no_key_away() -> None:
    recording = Recording(status=308, headers=(("Location", "https://evil.example/"),))

    heard = await hear_from(recording)

    assert isinstance(heard.failure, RefusedOriginFailure)


async def test_an_address_that_is_none_is_refused() -> None:
    async with open_provider(entry_at("example.org/v1")) as provider:
        heard = await hear(provider)

    assert isinstance(heard.failure, RefusedOriginFailure)


async def test_a_failure_in_the_callers_own_code_passes_through() -> None:
    async with serving(chat_recording(["Hi"])) as (_, provider):
        with pytest.raises(LookupError):
            async with provider.stream(question()):
                raise LookupError


async def test_models_are_listed() -> None:
    body = (RECORDINGS / "models_list.json").read_bytes()
    async with serving(typed("application/json", body)) as (server, provider):
        models = await provider.models()

    expected = ModelInfo(
        provider="openai", model="smollm2-135m-instruct", context_tokens=2048
    )
    assert models == (expected,)
    assert (server.requests[0].method, server.requests[0].path) == ("GET", "/v1/models")


async def test_a_server_without_a_list_offers_nothing() -> None:
    async with serving(Recording(status=404)) as (_, provider):
        models = await provider.models()

    assert models == ()


async def test_a_check_says_that_it_could_not_look() -> None:
    async with serving(Recording(status=404)) as (_, provider):
        with pytest.raises(InvalidRequestFailure, match="has no list of models"):
            await provider.check()


async def test_a_check_passes_where_there_is_a_list() -> None:
    async with serving(typed("application/json", b'{"data":[]}')) as (_, provider):
        await provider.check()


@pytest.mark.parametrize(
    ("recording", "kind"),
    [
        (typed("application/json", b"", 401), AuthenticationFailure),
        (typed("text/html", b"<html>"), ProtocolFailure),
    ],
)
async def test_a_list_that_cannot_be_had_is_a_failure(
    recording: Recording, kind: type[ProviderFailure]
) -> None:
    async with serving(recording, keys=FakeSecretStore(openai=KEY)) as (_, provider):
        with pytest.raises(kind) as caught:
            await provider.models()

    assert caught.value.provider == "openai"


THREE = RetryPolicy()
BUSY = typed("application/json", b'{"error":"busy"}', 503)
UNKNOWN = typed(
    "application/json",
    b'{"error":{"message":"Unknown parameter: stream_options","code":"x"}}',
    400,
)


async def test_a_server_that_is_not_ready_is_asked_again_and_nobody_wonders() -> None:
    clock = LoopClock()
    answer = chat_recording(["Hi"])
    async with serving(BUSY, answer, clock=clock, policy=THREE) as (server, provider):
        heard = await hear(provider)

    assert (heard.text, heard.failure) == ("Hi", None)
    assert len(server.requests) == 2
    assert [wait.wait_s for wait in heard.waits] == clock.slept
    assert heard.waits[0].failure is not None
    assert heard.waits[0].failure.kind == "overloaded"
    assert isinstance(heard.events[0], Waiting)
    assert isinstance(heard.events[1], Start)


async def test_three_attempts_are_all() -> None:
    async with serving(BUSY, policy=THREE) as (server, provider):
        heard = await hear(provider)

    assert isinstance(heard.failure, OverloadFailure)
    assert len(server.requests) == 3


async def test_what_was_heard_once_is_never_asked_for_again() -> None:
    said = b"".join(chat_recording(["Hel", "lo"]).chunks[:2])
    cut = Recording(chunks=(said, b"x"), cut_after_bytes=len(said))
    async with serving(cut, policy=THREE) as (server, provider):
        heard = await hear(provider)

    assert heard.text == "Hel"
    assert isinstance(heard.failure, TruncatedFailure)
    assert len(server.requests) == 1


async def test_an_answer_that_breaks_off_before_it_began_is_begun_once() -> None:
    """The first attempt's `Start` and counts are not shown."""
    first = chat_recording(["Hi"]).chunks[0]
    cut = Recording(chunks=(first, b"x"), cut_after_bytes=len(first))
    answers = (cut, chat_recording(["Hi"]))
    async with serving(*answers, policy=THREE) as (server, provider):
        heard = await hear(provider)

    assert heard.text == "Hi"
    assert sum(isinstance(event, Start) for event in heard.events) == 1
    assert len(server.requests) == 2


async def test_what_a_server_does_not_know_is_left_out_once() -> None:
    answers = (UNKNOWN, chat_recording(["Hi"]))
    async with serving(*answers) as (server, provider):
        heard = await hear(provider)

    bodies = [msgspec.json.decode(request.body) for request in server.requests]
    assert heard.text == "Hi"
    assert heard.waits == []
    assert ["stream_options" in body for body in bodies] == [True, False]


async def test_a_server_that_knows_nothing_is_not_asked_for_ever() -> None:
    async with serving(UNKNOWN) as (server, provider):
        heard = await hear(provider)

    assert isinstance(heard.failure, InvalidRequestFailure)
    assert len(server.requests) == 2


async def test_an_entry_says_how_its_key_is_sent() -> None:
    keys = FakeSecretStore(openai=KEY)
    entry = msgspec.structs.replace(
        ENTRY, key_header=KeyHeader.API_KEY, headers={"X-Title": "Tina"}
    )
    answer = chat_recording(["Hi"])
    async with serving(answer, keys=keys, entry=entry) as (server, provider):
        await hear(provider)

    headers = server.requests[0].headers
    assert (headers["api-key"], headers["x-title"]) == (KEY, "Tina")
    assert "authorization" not in headers


async def test_an_entry_without_a_key_sends_none() -> None:
    keys = FakeSecretStore(openai=KEY)
    answer = chat_recording(["Hi"])
    entry = msgspec.structs.replace(ENTRY, key=KeyUse.NONE)
    async with serving(answer, keys=keys, entry=entry) as (server, provider):
        await hear(provider)

    assert KEY not in str(server.requests[0].headers)


async def test_a_list_is_asked_for_once() -> None:
    body = (RECORDINGS / "models_list.json").read_bytes()
    async with serving(typed("application/json", body)) as (server, provider):
        first, second = await provider.models(), await provider.models()

    assert first == second
    assert len(server.requests) == 1


class PagedDialect(ChatDialect):
    """A protocol with pages, and a way to count."""

    def list_models(self, after: str | None) -> Call:
        return Call(path=f"models?after={after or 0}", method="GET")

    def read_models(self, body: bytes) -> ModelPage:
        page = super().read_models(body)
        return ModelPage(page.models, after=page.models[-1].model)

    def count_tokens(self, request: ChatRequest) -> Counting | None:
        def read(body: bytes) -> int:
            if body != b"7":
                raise ProtocolFailure("no count")
            return 7

        return Counting(Call(path=f"count/{request.model}", body={}), read)


def paged(request: ReceivedRequest) -> Recording:
    if request.path == "/v1/count/asked":
        return typed("application/json", b"7" if request.body == b"{}" else b"")
    after = int(request.path.partition("=")[2])
    return typed("application/json", b'[{"id":"%d"}]' % (after + 1))


async def test_a_list_in_parts_is_read_to_its_end_or_to_ours() -> None:
    async with PlaybackServer(paged) as server, open_http() as http:
        entry = entry_at(server.base_url)
        dialect = PagedDialect("openai", entry)
        provider = make_provider(entry, http=http, dialect=dialect)
        models = await provider.models()

    expected = [str(number) for number in range(1, MAX_MODEL_PAGES + 1)]
    assert [model.model for model in models] == expected


async def test_tokens_are_counted_where_the_protocol_can() -> None:
    async with PlaybackServer(paged, typed("text/html", b"?")) as server:
        entry = entry_at(server.base_url)
        dialect = PagedDialect("openai", entry)
        async with open_http() as http:
            counting, silent = (
                make_provider(entry, http=http, dialect=each)
                for each in (dialect, None)
            )
            counts = [
                await each.count_tokens(question()) for each in (counting, silent)
            ]
            with pytest.raises(ProtocolFailure) as caught:
                await counting.count_tokens(question())

    assert counts == [7, None]
    assert caught.value.provider == "openai"


async def test_nothing_is_counted_at_a_server_that_is_left_alone() -> None:
    down = Recording(status=500)
    async with PlaybackServer(down) as server, open_http() as http:
        entry = entry_at(server.base_url)
        dialect = PagedDialect("openai", entry)
        provider = make_provider(entry, http=http, dialect=dialect)
        failures = [(await hear(provider)).failure for _ in range(6)]
        asked_before = len(server.requests)

        count = await provider.count_tokens(question())

    assert isinstance(failures[-1], CircuitOpenFailure)
    assert count is None
    assert len(server.requests) == asked_before


async def test_a_check_asks_for_the_list_and_raises_what_is_wrong() -> None:
    good = typed("application/json", b'{"data":[]}')
    bad = typed("application/json", b"", 401)
    async with serving(good, bad) as (server, provider):
        await provider.check()
        with pytest.raises(AuthenticationFailure):
            await provider.check()

    assert [request.path for request in server.requests] == ["/v1/models"] * 2
    assert provider.available_tools() == ()


async def test_a_server_that_only_lives_is_left_after_a_while() -> None:
    heartbeats = Recording(chunks=(b": hi\n\n",) * 1_000, ending=Ending.HANG)
    request = question(Deadlines(heartbeat_timeout_s=0.0))

    heard = await hear_from(heartbeats, request=request)

    assert isinstance(heard.failure, TimeoutFailure)
    assert "lives" in heard.failure.message
