"""The JSON of Messages, as far as it is read, and what makes it typed.

One shape for all events: only what carries the answer is decoded, the rest stays raw
or is skipped, so that neither a new event nor an odd label ever costs text.

Pure.

Source: Anthropic API reference, "Streaming Messages"; and what llama.cpp's and Ollama's
`/v1/messages` send instead.
"""

from typing import Any

import msgspec

from tina.domain.failures import ProtocolFailure
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import UNREADABLE

ABSENT = msgspec.Raw(b"")
_CARRIERS = frozenset(
    {
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "error",
        "message",
        "message_delta",
        "message_start",
    }
)
"""Events that cannot be passed over when their shape is wrong."""


class Delta(msgspec.Struct, gc=False):
    """Of a block, or (the second half) of the message."""

    type: Any = None
    text: Any = None
    partial_json: Any = None
    thinking: Any = None
    signature: Any = None
    citation: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    encrypted_content: msgspec.Raw = ABSENT
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None


class Event(msgspec.Struct, gc=False):
    type: Any = None
    index: int | None = None
    delta: Delta | None = None
    content_block: msgspec.Raw = ABSENT
    message: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class MessageBody(msgspec.Struct, gc=False):
    """The message of `message_start`, or a whole answer that was not streamed."""

    id: Any = None
    model: Any = None
    content: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    stop_reason: Any = None
    stop_sequence: Any = None
    stop_details: Any = None


class _Head(msgspec.Struct, gc=False):
    type: Any = None
    error: msgspec.Raw = ABSENT


_EVENTS = msgspec.json.Decoder(Event)
_HEADS = msgspec.json.Decoder(_Head)
_BODIES = msgspec.json.Decoder(MessageBody)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LISTS = msgspec.json.Decoder(list[msgspec.Raw])


def parse_event(data: str, name: str) -> Event:
    """Read one event, or one whole answer.

    Args:
        data: its JSON.
        name: of the server-sent event, for servers that do not repeat it in the JSON.

    Raises:
        ProtocolFailure: it is no JSON object, or an event that carries the answer has
            a shape in which no answer can be read.
    """
    try:
        event = _EVENTS.decode(data)
    except UNREADABLE:
        event = None  # out here, since the error may hold the data, and the key in it
    if event is None:
        event = _parse_odd(data, name)
    if event.type is None:
        event.type = name
    return event


def _parse_odd(data: str, name: str) -> Event:
    """An event with broken characters, or a new one that uses our fields otherwise."""
    data = repair_escapes(data)
    try:
        head = _HEADS.decode(data)
        if (head.type or name) in _CARRIERS:
            return _EVENTS.decode(data)
        return Event(type=head.type, error=head.error)
    except (*UNREADABLE, TypeError) as error:
        raise ProtocolFailure(
            "The server sent something that is no event of a message. "
            "Check that the base URL is that of an Anthropic-compatible API."
        ) from error


def parse_message(raw: msgspec.Raw | bytes) -> MessageBody:
    """Read a message's own fields; what cannot be read is empty."""
    try:
        return _BODIES.decode(raw)
    except UNREADABLE:
        return MessageBody()


def fields_of(raw: msgspec.Raw | bytes | str) -> dict[str, msgspec.Raw] | None:
    """The fields of a JSON object, each as it came; None if it is none."""
    try:
        return _FIELDS.decode(raw)
    except UNREADABLE:
        return None


def items_of(raw: msgspec.Raw | bytes | str) -> list[msgspec.Raw] | None:
    """The items of a JSON array, each as it came; None if it is none."""
    try:
        return _LISTS.decode(raw)
    except UNREADABLE:
        return None


def text_in(raw: msgspec.Raw | None) -> str:
    """A text; empty if it is none."""
    if raw is None:
        return ""
    try:
        return msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        return ""
