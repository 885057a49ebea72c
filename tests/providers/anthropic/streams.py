"""Streams of Messages for the tests: made by hand, cut up, and read to their end."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from tina.domain.events import (
    Finish,
    KeepAlive,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    merge_deltas,
)
from tina.domain.failures import ProviderFailure
from tina.domain.messages import Replay
from tina.networking.sse import SseDecoder
from tina.providers.anthropic.decode import MessagesDecoder

RECORDINGS = Path(__file__).parents[2] / "recordings"
Data = dict[str, object]


def sse(*events: Data) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (str(event["type"]).encode(), msgspec.json.encode(event))
        for event in events
    )


def start(**usage: object) -> Data:
    message: Data = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [],
        "stop_reason": None,
        "usage": usage or {"input_tokens": 40, "output_tokens": 1},
    }
    return {"type": "message_start", "message": message}


def begin(index: int | None, block: object) -> Data:
    event: Data = {"type": "content_block_start", "content_block": block}
    return event if index is None else {**event, "index": index}


def delta(index: int | None, kind: str, **fields: object) -> Data:
    event: Data = {"type": "content_block_delta", "delta": {"type": kind, **fields}}
    return event if index is None else {**event, "index": index}


def end(index: int | None) -> Data:
    event: Data = {"type": "content_block_stop"}
    return event if index is None else {**event, "index": index}


def text(index: int, *pieces: str) -> list[Data]:
    deltas = [delta(index, "text_delta", text=piece) for piece in pieces]
    return [begin(index, {"type": "text", "text": ""}), *deltas, end(index)]


def call(index: int, call_id: str, *pieces: str, **rest: object) -> list[Data]:
    block: Data = {
        "type": "tool_use",
        "id": call_id,
        "name": "look",
        "input": {},
        **rest,
    }
    deltas = [delta(index, "input_json_delta", partial_json=each) for each in pieces]
    return [begin(index, block), *deltas, end(index)]


def stop(reason: str | None = "end_turn", **rest: object) -> list[Data]:
    ending = {"stop_reason": reason, "stop_sequence": None, **rest}
    usage = {"output_tokens": 31}
    return [
        {"type": "message_delta", "delta": ending, "usage": usage},
        {"type": "message_stop"},
    ]


def decode(*events: Data) -> list[StreamEvent]:
    """What a whole answer says.

    Raises:
        ProviderFailure: it is none.
    """
    decoder = MessagesDecoder(model="asked")
    found = [said for event in events for said in decoder.feed(encoded(event))]
    return found + decoder.finish()


def encoded(event: Data) -> str:
    return msgspec.json.encode(event).decode()


def read_out(
    chunks: Iterable[bytes],
) -> tuple[list[StreamEvent], ProviderFailure | None]:
    """What a stream says, and the failure that ends it; as the driver reads it."""
    sse_decoder, decoder = SseDecoder(), MessagesDecoder(model="asked")
    events: list[StreamEvent] = []
    try:
        for chunk in chunks:
            for event in sse_decoder.feed(chunk):
                events += decoder.feed(event.data, event=event.event)
        rest = sse_decoder.pending
        if rest is not None and is_json(rest):
            events += decoder.feed(rest)
        events += decoder.finish()
    except ProviderFailure as failure:
        return merge_deltas(events + decoder.abandon()), failure
    return merge_deltas(events), None


def is_json(data: str) -> bool:
    try:
        msgspec.json.decode(data)
    except msgspec.DecodeError:
        return False
    return True


def text_of(events: Iterable[StreamEvent]) -> str:
    """All text, in the order in which it came."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def arguments_of(events: Iterable[StreamEvent], key: str) -> str:
    deltas = (event for event in events if isinstance(event, ToolArgumentsDelta))
    return "".join(delta.fragment for delta in deltas if delta.key == key)


def finish_of(events: list[StreamEvent]) -> Finish:
    finish = events[-1]
    assert isinstance(finish, Finish)
    return finish


def content_of(replay: Replay | None) -> list[Data]:
    """The blocks that are kept to be sent back."""
    assert replay is not None
    message = msgspec.json.decode(replay.payload, type=Data)
    assert message["role"] == "assistant"
    return msgspec.convert(message["content"], list[Data])


def heard(events: Iterable[StreamEvent]) -> list[StreamEvent]:
    """The events without heartbeats."""
    return [event for event in events if not isinstance(event, KeepAlive)]
