"""Events that come twice, where the server counts its events. Pure.

Some servers give all their events the same number: that says nothing.
"""


class Repeats:
    def __init__(self) -> None:
        self._number: int | None = None
        self._data = ""
        self._counts = False

    def has(self, number: int | None, data: str) -> bool:
        """Whether this is the event before once more."""
        before = self._number
        if number is None or number == before:
            return number is not None and self._counts and data == self._data
        self._counts = before is not None and number > before
        self._number, self._data = number, data
        return False
