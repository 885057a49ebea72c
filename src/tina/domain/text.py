"""Text that every database and every wire can hold."""

import re
from collections.abc import Mapping
from enum import Enum
from typing import TypeVar, cast

import msgspec

from tina.domain.failures import InvalidInputFailure

T = TypeVar("T")

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE

_UNHOLDABLE = re.compile("[\x00\ud800-\udfff]")


class CleanStruct(msgspec.Struct, frozen=True):
    """A value that people or programs hand over: clean from the moment it is made.

    So every store, whichever it is, gets the same text.
    """

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            cleaned = _cleaned(value)
            if cleaned is not value:
                msgspec.structs.force_setattr(self, name, cleaned)


def clean_text(text: str) -> str:
    """`text` without NUL; half a surrogate pair becomes U+FFFD.

    PostgreSQL refuses NUL, and nothing can encode a lone surrogate as UTF-8.
    """
    if text.isascii() and "\0" not in text:  # most of what models say
        return text
    return _UNHOLDABLE.sub(_replacement, text)


def is_clean(text: str) -> bool:
    """Whether `clean_text` would change nothing."""
    return _UNHOLDABLE.search(text) is None


def require_short(what: str, *texts: object, max_bytes: int, advice: str) -> None:
    """Refuse more text than is kept; what is no text has no length.

    Raises:
        InvalidInputFailure: the texts together are longer.
    """
    held = [text for text in texts if isinstance(text, str)]
    # Encoded only if it matters: no character has more than four bytes.
    if sum(map(len, held)) * 4 <= max_bytes:
        return
    if sum(len(clean_text(text).encode()) for text in held) > max_bytes:
        raise InvalidInputFailure(f"{what} may have up to {_size(max_bytes)}. {advice}")


def _size(count: int) -> str:
    if count % MEBIBYTE == 0:
        return f"{count // MEBIBYTE} MiB"
    return f"{count // KIBIBYTE} KiB"


def clean_value(value: T) -> T:
    """The same struct, tuple or string with `clean_text` at every text in it."""
    return cast("T", _cleaned(value))


def _cleaned(value: object) -> object:
    match value:
        case str() if not isinstance(value, Enum):
            return clean_text(value)
        case tuple():
            return tuple(_cleaned(each) for each in cast("tuple[object, ...]", value))
        case msgspec.Struct():
            fields = msgspec.structs.asdict(value)
            cleaned = {name: _cleaned(field) for name, field in fields.items()}
            # Most is clean as it is; a comparison is cheaper than another object.
            return value if cleaned == fields else type(value)(**cleaned)
        case Mapping():
            pairs = cast("Mapping[object, object]", value)
            clean = {_cleaned(key): _cleaned(entry) for key, entry in pairs.items()}
            return pairs if clean == pairs else clean
        case _:
            return value


def _replacement(found: re.Match[str]) -> str:
    return "" if found[0] == "\0" else "\ufffd"
