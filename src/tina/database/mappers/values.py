"""The values that every table shares: ids, times, and JSON that is opaque to SQL."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec

from tina.domain.ids import check_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ENCODER = msgspec.json.Encoder()

_EXACT_UNTIL = 8_000_000_000_000
"""Milliseconds; seconds as floats are exact to the microsecond until the year 2223."""

T = TypeVar("T")


def id_to_bytes(value: str) -> bytes:
    """The id as it is stored.

    Raises:
        InvalidInputFailure: it is none.
    """
    return bytes.fromhex(check_id(value))


def to_milliseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)


def all_from_milliseconds(milliseconds: Sequence[int]) -> Sequence[datetime]:
    """The same for many: a tenth of the time, since it happens in C."""
    if max(milliseconds, default=0) > _EXACT_UNTIL:
        return [from_milliseconds(value) for value in milliseconds]
    seconds = [value / 1000 for value in milliseconds]
    return msgspec.convert(seconds, list[datetime], strict=False)


def encoded(value: object) -> str | None:
    """JSON; None stays None."""
    return None if value is None else _ENCODER.encode(value).decode()


def decoded(decoder: msgspec.json.Decoder[T], text: str | None) -> T | None:
    """What the JSON says; None stays None.

    Raises:
        msgspec.DecodeError: it says something else.
    """
    return None if text is None else decoder.decode(text)
