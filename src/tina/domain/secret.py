"""Secrets: values that no log, error or representation may show."""

import re

_NO_NAME = re.compile(r"[^A-Z0-9]+")


class Secret:
    """A key. `reveal` is called only where a header or a key file is written."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def mask(self, text: str) -> str:
        """`text` without this secret: servers repeat keys in their errors.

        In any case, since hosts and media types are read in lower case.
        """
        if not self._value:
            return text
        return re.sub(re.escape(self._value), "***", text, flags=re.IGNORECASE)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def variable_for(provider: str) -> str:
    """The environment variable of its key: `my-server` → `MY_SERVER_API_KEY`."""
    return f"{_NO_NAME.sub('_', provider.upper())}_API_KEY"
