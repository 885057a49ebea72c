"""Other people's JSON, read leniently: an odd field must never cost the text beside it.

Pure.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeGuard, cast

import msgspec

from tina.domain.text import clean_text

Wire: TypeAlias = dict[str, object]
"""A JSON object as it is sent."""

MAX_COUNT = 2**53
"""The largest number that JSON carries exactly everywhere."""

UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)


def read_json(raw: bytes | msgspec.Raw) -> object:
    """Any JSON; None if it is none."""
    try:
        return cast(object, msgspec.json.decode(raw))
    except UNREADABLE:
        return None


def is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list)


def text_of(value: object, name: str) -> str:
    """A text field; empty if it is none."""
    text = value.get(name) if is_mapping(value) else None
    return clean_text(text) if isinstance(text, str) else ""


def count_of(value: object, name: str) -> int | None:
    """A count; None if it is none, or larger than JSON carries."""
    count = value.get(name) if is_mapping(value) else None
    if isinstance(count, bool) or not isinstance(count, int):
        return None
    return count if 0 <= count <= MAX_COUNT else None
