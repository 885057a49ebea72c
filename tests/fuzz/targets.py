"""What is fuzzed: functions that take any bytes and raise only what is a fault.

The first byte says how the rest is cut into chunks; the rest is what a server sends.
A target tells whether it could read that.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.grammar import check_stream
from tina.domain.chat import ChatRequest
from tina.domain.events import StreamEvent
from tina.domain.failures import Failure, ProviderFailure
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message, MessageStatus, Role, TextPart
from tina.networking.ndjson import NdjsonDecoder
from tina.networking.sse import SseDecoder
from tina.providers.anthropic.dialect import AnthropicDialect
from tina.providers.dialect import Dialect
from tina.providers.entries import Protocol, ProviderEntry
from tina.providers.errors import failure_for_response
from tina.providers.ollama.dialect import OllamaDialect
from tina.providers.openai.chat.dialect import ChatDialect
from tina.providers.openai.responses.dialect import ResponsesDialect
from tina.providers.streams import make_reader

Target = Callable[[bytes], bool]

RECORDINGS = Path(__file__).parent.parent / "recordings"
SEEDS = {
    path.name: b"\x00" + path.read_bytes()
    for path in sorted(RECORDINGS.iterdir())
    if path.suffix in (".sse", ".ndjson", ".json")
}
"""What real servers said, whole: what fuzzing begins with."""

REQUEST = ChatRequest(
    model="m",
    messages=(
        Message(
            id=MessageId("m"),
            conversation_id=ConversationId("c"),
            parent_id=None,
            role=Role.USER,
            status=MessageStatus.COMPLETE,
            parts=(TextPart(text="Why?"),),
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        ),
    ),
)
DIALECTS = {
    Protocol.ANTHROPIC: AnthropicDialect,
    Protocol.CHAT: ChatDialect,
    Protocol.RESPONSES: ResponsesDialect,
    Protocol.OLLAMA: OllamaDialect,
}


def chunks_of(data: bytes) -> Iterator[bytes]:
    """The bytes after the first, in pieces of so many; 0 leaves them whole."""
    size = data[0] if data else 0
    rest = data[1:]
    step = size or max(1, len(rest))
    return (rest[start : start + step] for start in range(0, len(rest), step))


def sse(data: bytes) -> bool:
    """However the bytes are cut, the same events come out."""
    whole = list(SseDecoder().feed(data[1:]))
    decoder = SseDecoder()
    cut = [event for chunk in chunks_of(data) for event in decoder.feed(chunk)]
    assert cut == whole
    _ = decoder.pending
    return bool(whole)


def ndjson(data: bytes) -> bool:
    """However the bytes are cut, the same lines come out."""
    whole = list(NdjsonDecoder().feed(data[1:]))
    decoder = NdjsonDecoder()
    cut = [line for chunk in chunks_of(data) for line in decoder.feed(chunk)]
    assert cut == whole
    _ = decoder.pending
    return bool(whole)


def make_dialect(protocol: Protocol) -> Dialect:
    entry = ProviderEntry(protocol=protocol, base_url="http://127.0.0.1/v1")
    return DIALECTS[protocol]("fuzzed", entry)


def stream_target(protocol: Protocol) -> Target:
    """A stream of any bytes is a stream of events, and ends in exactly one way."""

    def run(data: bytes) -> bool:
        dialect = make_dialect(protocol)
        decoder = dialect.decoder(REQUEST, request_id=None)
        reader = make_reader(dialect.framing, decoder)
        events: list[StreamEvent] = []
        failure: ProviderFailure | None = None
        for chunk in chunks_of(data):
            said, failure = reader.feed(chunk)
            events += said
            if failure is not None or decoder.is_done:
                break
        if failure is None:
            said, failure = reader.end()
            events += said
        if failure is None:
            try:
                events += decoder.finish()
            except ProviderFailure as error:
                failure = error
        if failure is not None:
            events += decoder.abandon()
        check_stream(events, has_failed=failure is not None)
        return failure is None

    return run


def whole_target(protocol: Protocol) -> Target:
    """So is an answer that comes in one piece."""

    def run(data: bytes) -> bool:
        decoder = make_dialect(protocol).decoder(REQUEST, request_id=None)
        events: list[StreamEvent] = []
        has_failed = False
        try:
            events += decoder.feed(data[1:])
            events += decoder.finish()
        except ProviderFailure:
            has_failed = True
            events += decoder.abandon()
        check_stream(events, has_failed=has_failed)
        return not has_failed

    return run


def models_target(protocol: Protocol) -> Target:
    def run(data: bytes) -> bool:
        try:
            return bool(make_dialect(protocol).read_models(data[1:]))
        except Failure:
            return False

    return run


def errors(data: bytes) -> bool:
    """Any body of any status is a failure with a sentence of bounded length."""
    status = 400 + (data[0] if data else 0)
    failure = failure_for_response(status, data[1:], {}, model="m")
    assert 0 < len(failure.message) < 4_000
    return failure.code is not None


TARGETS: Mapping[str, Target] = {
    "sse": sse,
    "ndjson": ndjson,
    "errors": errors,
    **{f"{each}-stream": stream_target(each) for each in Protocol},
    **{f"{each}-whole": whole_target(each) for each in Protocol},
    **{f"{each}-models": models_target(each) for each in Protocol},
}
