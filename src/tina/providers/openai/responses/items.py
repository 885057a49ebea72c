"""The JSON of the Responses API, as far as it is read, and what makes it typed.

An event of the common kind is read in one step into exact types. Whatever else comes is
read field by field: a field of the wrong type is as good as absent, and never costs the
text beside it. Items stay the bytes that came, because they are sent back that way.

Source: OpenAI API reference, "Responses", "Streaming events".
"""

from typing import TypeVar

import msgspec

from tina.domain.chat import Usage
from tina.domain.text import clean_text
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import UNREADABLE, count_of, is_mapping, read_json

T = TypeVar("T")

ABSENT = msgspec.Raw(b"")
_NUMBERS = ("sequence_number", "output_index", "content_index", "summary_index")
_NOTHING = frozenset({b"", b"null", b"false", b'""', b"{}", b"[]"})
_LISTS = msgspec.json.Decoder(list[msgspec.Raw])


class Event(msgspec.Struct, gc=False):
    """One event of a stream, with the fields of all events; most are absent.

    `object` is there in an answer that was not streamed, `error` in some errors.
    """

    type: str | None = None
    sequence_number: int | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    object: str | None = None
    item: msgspec.Raw = ABSENT
    annotation: msgspec.Raw = ABSENT
    response: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT


class Item(msgspec.Struct, gc=False):
    """An entry of `output`; what it holds depends on its type."""

    type: msgspec.Raw = ABSENT
    id: msgspec.Raw = ABSENT
    status: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    summary: msgspec.Raw = ABSENT
    call_id: msgspec.Raw = ABSENT
    name: msgspec.Raw = ABSENT
    arguments: msgspec.Raw = ABSENT
    input: msgspec.Raw = ABSENT


class ContentPart(msgspec.Struct, gc=False):
    """An entry of an item's `content` or `summary`."""

    type: msgspec.Raw = ABSENT
    text: msgspec.Raw = ABSENT
    refusal: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = ABSENT


class Response(msgspec.Struct, gc=False):
    id: msgspec.Raw = ABSENT
    model: msgspec.Raw = ABSENT
    status: msgspec.Raw = ABSENT
    output: msgspec.Raw = ABSENT
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    incomplete_details: msgspec.Raw = ABSENT


class Replayed(msgspec.Struct):
    """What a finished answer keeps: its items, byte for byte.

    The name of the field sets it apart from what other protocols keep.
    """

    output: list[msgspec.Raw]


_EVENTS = msgspec.json.Decoder(Event)
_LOOSE_EVENTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse_event(data: str) -> Event | None:
    """Read one event, or a whole answer; None if it is no JSON object."""
    try:
        return _EVENTS.decode(data)
    except UNREADABLE:
        pass
    try:
        fields = _LOOSE_EVENTS.decode(repair_escapes(data))
    except UNREADABLE:
        return None
    event = Event()
    for name in Event.__struct_fields__:
        if name in fields:
            _set_field(event, name, fields[name])
    return event


def _set_field(event: Event, name: str, raw: msgspec.Raw) -> None:
    """Set a field, if the value has its type."""
    if getattr(event, name) is ABSENT:
        setattr(event, name, raw)
        return
    value = read_json(raw)
    kind = int if name in _NUMBERS else str
    if type(value) is kind:
        setattr(event, name, value)


def parse_fields(raw: bytes | msgspec.Raw, shape: type[T]) -> T | None:
    """Read an object of which every field is optional; None if it is none."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except UNREADABLE:
        pass
    try:
        repaired = repair_escapes(bytes(raw).decode("utf-8", "replace"))
        return msgspec.json.decode(repaired, type=shape)
    except UNREADABLE:
        return None


def list_in(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """The entries of a list; none if it is no list."""
    try:
        return _LISTS.decode(raw)
    except UNREADABLE:
        return []


def text_in(raw: msgspec.Raw) -> str:
    """A text; empty if it is none."""
    value = read_json(raw)
    return clean_text(value) if isinstance(value, str) else ""


def is_present(raw: msgspec.Raw) -> bool:
    """Whether a field says anything: not absent, null, false or empty."""
    return bytes(raw).strip() not in _NOTHING


def usage_in(raw: msgspec.Raw) -> Usage | None:
    """The counts of an answer; what is missing or absurd is None."""
    value = read_json(raw)
    if not is_mapping(value):
        return None
    read, written = (
        value.get("input_tokens_details"),
        value.get("output_tokens_details"),
    )
    usage = Usage(
        input_tokens=count_of(value, "input_tokens"),
        output_tokens=count_of(value, "output_tokens"),
        cached_tokens=count_of(read, "cached_tokens"),
        cache_write_tokens=count_of(read, "cache_write_tokens"),
        reasoning_tokens=count_of(written, "reasoning_tokens"),
    )
    return None if usage == Usage() else usage
