"""Secrets: values that no log, error or representation may show."""


class Secret:
    """A key. `reveal` is called only where a header or a key file is written."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def mask(self, text: str) -> str:
        """`text` without this secret: servers repeat keys in their errors."""
        return text.replace(self._value, "***") if self._value else text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
