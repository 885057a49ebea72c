"""Secrets: values that no log, error or representation may show."""

import re
from base64 import b64encode
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote

_MASK = "***"
_TELLING_CHARS = 8
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_URL_SAFE = str.maketrans("+/", "-_")
_NO_NAME = re.compile(r"[^A-Z0-9]+")


class Secret:
    """A key. `reveal` is called only where a header or a key file is written."""

    __slots__ = ("_known_parts", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._known_parts: frozenset[str] | None = None

    def reveal(self) -> str:
        return self._value

    def mask(self, text: str) -> str:
        """`text` without this secret: servers repeat keys in their errors.

        Nor with a part of it (eight characters in a row), nor encoded as in URLs or
        as base64. In any case, since hosts and media types are read in lower case.
        """
        if not self._value:
            return text
        text = re.sub(re.escape(self._value), _MASK, text, flags=re.IGNORECASE)
        parts = self._parts()
        folded = text.translate(_LOWER)
        shown: list[str] = []
        place = 0
        while place < len(text):
            end = place
            while folded[end : end + _TELLING_CHARS] in parts:
                end += 1
            if end > place:
                shown.append(_MASK)
                place = end + _TELLING_CHARS - 1
            else:
                shown.append(text[place])
                place += 1
        return "".join(shown)

    def _parts(self) -> frozenset[str]:
        """Every run of so many characters of it, in each of its forms."""
        if self._known_parts is None:
            raw = self._value.encode()
            forms = [self._value, quote(self._value, safe="")]
            # Where it stands in what is encoded moves its letters by up to two bytes.
            for moved in range(3):
                whole = b64encode(b"\0" * moved + raw).decode().rstrip("=")
                inner = whole[2 * moved : -1]
                forms += [inner, inner.translate(_URL_SAFE)]
            self._known_parts = frozenset(
                form[start : start + _TELLING_CHARS].translate(_LOWER)
                for form in forms
                for start in range(len(form) - _TELLING_CHARS + 1)
            )
        return self._known_parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def variable_for(provider: str) -> str:
    """The environment variable of its key: `my-server` → `MY_SERVER_API_KEY`."""
    return f"{_NO_NAME.sub('_', provider.upper())}_API_KEY"
