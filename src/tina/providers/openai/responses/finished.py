"""An output item as the server tells it whole → what of it was not said yet.

Pure.
"""

import msgspec

from tina.domain.events import StreamEvent
from tina.domain.text import clean_text
from tina.providers.lenient import is_mapping, read_json, text_of
from tina.providers.openai.responses.calls import Call
from tina.providers.openai.responses.items import (
    ContentPart,
    Item,
    list_in,
    parse_fields,
    text_in,
)
from tina.providers.openai.responses.slots import Place, PlaceName, Slot, Source

_FUNCTION, _CUSTOM = "function_call", "custom_tool_call"
_PLACES = {
    "output_text": PlaceName.TEXT,
    "reasoning_text": PlaceName.REASONING,
    "refusal": PlaceName.REFUSAL,
    "summary_text": PlaceName.SUMMARY,
}
_NO_ARGUMENTS = "null"


def begin_item(slot: Slot, item: Item) -> list[StreamEvent]:
    """Say that a call begins, if the item is one and tells its id and its name."""
    call = _call_of(slot, item)
    if call is None:
        return []
    return call.announce(text_in(item.call_id), text_in(item.name))


def finish_item(slot: Slot, item: Item) -> list[StreamEvent]:
    """Say the rest of the item, and end what it said.

    Raises:
        ProtocolFailure: it contradicts what was said before.
    """
    slot.is_cut = text_in(item.status) == "incomplete"
    events: list[StreamEvent] = []
    told = slot.told()
    for parts in (item.summary, item.content):
        for number, raw in enumerate(list_in(parts)):
            part = parse_fields(raw, ContentPart) or ContentPart()
            name = _PLACES.get(text_in(part.type))
            if name is not None:
                place = Place(name, number)
                _read_sources(slot, part, place, events)
                slot.settle(place, _text_in(part), events, told=told)
    call = _call_of(slot, item)
    if call is not None:
        # In this order: what nobody heard yet may still be replaced.
        events += call.settle(_arguments_in(item))
        events += begin_item(slot, item)
        events += [] if slot.is_cut else call.end_if_whole()
    return [*events, *slot.end_texts()]


def _call_of(slot: Slot, item: Item) -> Call | None:
    """The call that the item is, or that was heard in it."""
    kind = text_in(item.type)
    if kind in (_FUNCTION, _CUSTOM):
        slot.open_call().is_free = kind == _CUSTOM
    return slot.call


def source_in(raw: msgspec.Raw) -> Source | None:
    """What an annotation cites; None if it says neither a title nor an address."""
    annotation = read_json(raw)
    url = text_of(annotation, "url")
    title = text_of(annotation, "title") or text_of(annotation, "filename") or url
    return Source(title, url) if title else None


def _read_sources(
    slot: Slot, part: ContentPart, place: Place, events: list[StreamEvent]
) -> None:
    for raw in list_in(part.annotations):
        source = source_in(raw)
        if source is not None:
            slot.cite(place, source, events)


def _text_in(part: ContentPart) -> str:
    return text_in(part.text) or text_in(part.refusal)


def _arguments_in(item: Item) -> str:
    """The arguments as text; an object instead of text is the whole of them."""
    raw = item.input if text_in(item.type) == _CUSTOM else item.arguments
    value = read_json(raw)
    if is_mapping(value):
        return bytes(raw).decode("utf-8", "replace")
    text = clean_text(value) if isinstance(value, str) else ""
    return "" if text.strip() == _NO_ARGUMENTS else text
