"""Items that came in an answer, and go back with the next request.

Pure.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence

import msgspec

from tina.providers.history import plain_tool_name
from tina.providers.lenient import UNREADABLE, Wire, is_mapping
from tina.providers.openai.responses.items import (
    Item,
    Replayed,
    parse_fields,
    text_in,
)

_CUSTOM = "custom_tool_call"
_CALLS = frozenset({"function_call", _CUSTOM})
_PORTABLE = _CALLS | {"message"}
"""What any model reads; the rest belongs to the one that wrote it."""
_REASONING = "reasoning"


def read_replay(payload: str) -> list[msgspec.Raw] | None:
    """The items that were kept; None if something else was kept."""
    try:
        items = msgspec.json.decode(payload, type=Replayed).output
    except UNREADABLE:
        return None
    return items if all(map(_is_whole, items)) else None


def portable_item(item: msgspec.Raw) -> Wire | None:
    """An item of an answer as any model takes it; None if only its own does.

    Ids tie an answer to the reasoning before it, so that they go with it.
    """
    if _type_of(item) not in _PORTABLE:
        return None
    return {name: value for name, value in _fields_of(item).items() if name != "id"}


class Replayer:
    """Writes the items of one answer.

    Args:
        calls: for each call of the answer its own id, and the id to send; None if it
            has no result.
    """

    def __init__(self, calls: Iterable[tuple[str, str | None]]) -> None:
        self.free_calls: set[str] = set()
        """Ids, as they are sent, of calls whose input is any text."""
        self._ids: defaultdict[str, deque[str | None]] = defaultdict(deque)
        for call_id, sent_id in calls:
            self._ids[call_id].append(sent_id)

    def covers(self, items: Sequence[msgspec.Raw]) -> bool:
        """Whether every call that has a result is among the items."""
        told = Counter(_call_id_of(raw) for raw in items)
        answered = {
            call_id: sum(sent_id is not None for sent_id in ids)
            for call_id, ids in self._ids.items()
        }
        return all(told[call_id] >= count for call_id, count in answered.items())

    def replay(
        self, items: Sequence[msgspec.Raw], *, is_verbatim: bool
    ) -> list[object]:
        """The items to send.

        Args:
            items: as they came.
            is_verbatim: the same model reads them again.
        """
        sent: list[object] = []
        thoughts: list[object] = []
        for raw in items:
            if _type_of(raw) == _REASONING:
                thoughts.append(raw)
                continue
            if (call_id := self._answered_id(raw)) is not None:
                item: object = raw if is_verbatim else portable_item(raw)
                sent += thoughts if is_verbatim else ()
                sent += () if item is None else (_renamed(item, raw, call_id),)
            thoughts.clear()
        return sent

    def _answered_id(self, raw: msgspec.Raw) -> str | None:
        """The id to send; None for a call without a result, empty for no call."""
        kind = _type_of(raw)
        if kind not in _CALLS:
            return ""
        ids = self._ids[_call_id_of(raw)]
        sent_id = ids.popleft() if ids else None
        if sent_id is not None and kind == _CUSTOM:
            self.free_calls.add(sent_id)
        return sent_id


def _renamed(item: object, raw: msgspec.Raw, call_id: str) -> object:
    """The item under that id, if it is a call and has another one."""
    if call_id in ("", _call_id_of(raw)):
        return item
    fields = item if is_mapping(item) else _fields_of(raw)
    return {**fields, "call_id": call_id}


def _is_whole(raw: msgspec.Raw) -> bool:
    """Whether it is an item, and can be answered and sent again if it is a call."""
    item = parse_fields(raw, Item) or Item()
    kind = text_in(item.type)
    if kind not in _CALLS:
        return bool(kind)
    name = text_in(item.name)
    return bool(text_in(item.call_id)) and plain_tool_name(name) == name


def _type_of(raw: msgspec.Raw) -> str:
    return text_in((parse_fields(raw, Item) or Item()).type)


def _call_id_of(raw: msgspec.Raw) -> str:
    return text_in((parse_fields(raw, Item) or Item()).call_id)


def _fields_of(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    return parse_fields(raw, dict[str, msgspec.Raw]) or {}
