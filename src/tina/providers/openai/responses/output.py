"""All output items of an answer, found by whatever the server calls them.

Pure.
"""

from collections.abc import Iterator

from tina.domain.events import StreamEvent
from tina.providers.openai.responses.calls import Call
from tina.providers.openai.responses.slots import Slot


class Output:
    """The slots of one answer. An item's place goes before its id, which may change."""

    def __init__(self) -> None:
        self._slots: list[Slot] = []
        self._by_name: dict[int | str | None, Slot] = {}

    def __iter__(self) -> Iterator[Slot]:
        """In the order in which they were heard of."""
        return iter(self._slots)

    @property
    def calls(self) -> list[Call]:
        return [slot.call for slot in self._slots if slot.call is not None]

    @property
    def has_indexes(self) -> bool:
        """Whether the server says the items' places."""
        return any(slot.index is not None for slot in self._slots)

    @property
    def finished(self) -> list[bytes]:
        """The items that are whole, in their order."""
        ordered = sorted(self._slots, key=_order)
        return [slot.raw for slot in ordered if slot.raw is not None]

    def find(self, index: int | None, item_id: str | None) -> Slot | None:
        """The item of that place, or else of that id, if it was heard of."""
        return self._by_name.get(item_id if index is None else index)

    def open(self, index: int | None, item_id: str | None, *, is_new: bool) -> Slot:
        """The slot for an item that `find` does not know.

        Args:
            index: its place, if the server says it.
            item_id: its id, if it has one.
            is_new: it begins here; otherwise one without a name is the one before.
        """
        slot = self._before(index, item_id, is_new=is_new)
        if slot is None:
            slot = Slot(len(self._slots))
            self._slots.append(slot)
        if index is not None:
            slot.index = index
            self._by_name[index] = slot
        if item_id:
            self._by_name[item_id] = slot
        return slot

    def end(self, *, is_cut: bool) -> list[StreamEvent]:
        return [event for slot in self._slots for event in slot.end(is_cut=is_cut)]

    def abandon(self) -> list[StreamEvent]:
        return [event for slot in self._slots for event in slot.abandon()]

    def _before(
        self, index: int | None, item_id: str | None, *, is_new: bool
    ) -> Slot | None:
        """The slot that is meant, if it was opened under less of a name."""
        if item_id:
            known = self._by_name.get(item_id)
            return known if known is not None and known.index is None else None
        if is_new or index is not None or not self._slots:
            return None
        newest = self._slots[-1]
        return newest if newest.raw is None else None


def _order(slot: Slot) -> int:
    return slot.number if slot.index is None else slot.index
