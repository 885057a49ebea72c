"""A key that a server repeats appears nowhere, whatever it is repeated in."""

import logging
import traceback
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
import pytest

from tests.providers.asking import entry_at, open_provider
from tina.domain.chat import ChatRequest
from tina.domain.events import StreamEvent
from tina.domain.failures import AuthenticationFailure, ProviderFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.domain.ports import Provider
from tina.testing.secrets import FakeSecretStore
from tina.testing.server import Framing, PlaybackServer, Recording, chat_recording

pytestmark = pytest.mark.anyio

KEY = "sk-Very-Secret"
ECHO = KEY.encode()
PLAIN = "text/plain"
JSON = "application/json"
STREAM = "text/event-stream"
QUESTION = ChatRequest(
    model="asked",
    messages=(
        Message(
            id=MessageId("1"),
            conversation_id=ConversationId("2"),
            parent_id=None,
            role=Role.USER,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text="Hi"),),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ),
)


@asynccontextmanager
async def serving(recording: Recording) -> AsyncGenerator[Provider]:
    keys = FakeSecretStore(openai=KEY)
    async with PlaybackServer(recording) as server:
        entry = entry_at(server.base_url)
        async with open_provider(entry, keys) as provider:
            yield provider


async def hear(provider: Provider) -> tuple[list[StreamEvent], ProviderFailure | None]:
    events: list[StreamEvent] = []
    try:
        async with provider.stream(QUESTION) as batches:
            async for batch in batches:
                events += batch
    except ProviderFailure as failure:
        return events, failure
    return events, None


def everything_about(failure: BaseException | None) -> str:
    """Each exception of the chain: what it prints, and what it carries."""
    if failure is None:
        return ""
    said = [*traceback.format_exception(failure), repr(vars(failure))]
    said += [str(failure), repr(failure), repr(failure.args)]
    chain = (failure.__cause__, failure.__context__)
    return "\n".join([*said, *map(everything_about, chain)])


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(
        f"{vars(record)}\n{record.getMessage()}" for record in caplog.records
    )


def answer(
    body: bytes, kind: str = JSON, *, status: int = 200, **headers: str
) -> Recording:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Recording(
        status=status,
        headers=(("Content-Type", kind), *named),
        chunks=(body,),
        framing=Framing.LENGTH,
    )


def raw(head: bytes) -> Recording:
    return Recording(chunks=(head,), framing=Framing.RAW)


ECHOES = [
    pytest.param(answer(b'{"error":"no: %s"}' % ECHO, status=401), id="text"),
    pytest.param(answer(b"no: " + ECHO, PLAIN, status=500), id="plain-text"),
    pytest.param(
        answer(b'{"error":{"code":"%s","type":"%s"}}' % (ECHO, ECHO), status=400),
        id="code",
    ),
    pytest.param(
        answer(b'{"error":"sk\\u002dVery-Secret"}', status=401), id="escaped-in-json"
    ),
    pytest.param(answer(b"", status=429, X_Request_Id=KEY), id="request-id"),
    pytest.param(answer(b"", status=429, Retry_After=KEY), id="retry-after"),
    pytest.param(answer(b"", f"text/{KEY}"), id="content-type"),
    pytest.param(
        answer(b"", status=307, Location=f"https://{KEY}.example/"), id="redirect-host"
    ),
    pytest.param(
        answer(b"", status=307, Location=f"https://a.example/?k={KEY}"), id="redirect"
    ),
    pytest.param(answer(b"", status=307, Location=f"//{KEY}:x"), id="redirect-nowhere"),
    pytest.param(
        answer(
            b'data: {"error":{"message":"%s","code":"%s"}}\n\n' % (ECHO, ECHO), STREAM
        ),
        id="error-chunk",
    ),
    pytest.param(
        answer(b"event: error\ndata: %s\n\n" % ECHO, STREAM), id="error-event"
    ),
    pytest.param(answer(b"data: %s\n\n" % ECHO, STREAM), id="no-chunk"),
    pytest.param(answer(b'{"choices":"\xff","id":"%s"}' % ECHO), id="half-a-character"),
    pytest.param(answer(b'{"choices":"%s"}' % ECHO), id="wrong-shape"),
    pytest.param(raw(ECHO + b"\r\n\r\n"), id="status-line"),
    pytest.param(raw(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n" % ECHO), id="header-line"),
    pytest.param(
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n" % ECHO),
        id="chunk-size",
    ),
]


@pytest.mark.requirement("providers:key:never-shown")
@pytest.mark.parametrize("recording", ECHOES)
async def test_a_key_that_is_repeated_in_a_failure_is_nowhere(
    caplog: pytest.LogCaptureFixture, recording: Recording
) -> None:
    caplog.set_level(logging.DEBUG)

    async with serving(recording) as provider:
        events, failure = await hear(provider)
        with pytest.raises(ProviderFailure) as listing:
            await provider.models()

    assert failure is not None
    shown = [
        everything_about(failure),
        everything_about(listing.value),
        everything_logged(caplog),
        repr(events),
        msgspec.json.encode(failure.as_record()).decode(),
    ]
    assert KEY.lower() not in "\n".join(shown).lower()


async def test_a_key_in_the_headers_of_an_answer_is_not_part_of_it() -> None:
    whole = b"".join(chat_recording(["Hi"]).chunks)

    async with serving(answer(whole, STREAM, X_Request_Id=f"req-{KEY}")) as provider:
        events, failure = await hear(provider)

    assert failure is None
    assert KEY not in repr(events)
    assert "req-***" in repr(events[0])


async def test_a_key_in_a_list_of_models_is_neither_shown_nor_kept() -> None:
    body = b'{"data":[{"id":"' + ECHO + b'"},{"id":"fine"}]}'
    recording = Recording(headers=(("Content-Type", JSON),), chunks=(body,))
    async with serving(recording) as provider:
        models = await provider.models()

    assert KEY not in repr(models)
    assert models[1].model == "fine"


async def test_what_the_server_masked_itself_stays_as_it_is() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-Ve****cret."}}'

    async with serving(answer(body, status=401)) as provider:
        _, failure = await hear(provider)

    assert isinstance(failure, AuthenticationFailure)
    assert "provided: sk-Ve****cret." in failure.message
