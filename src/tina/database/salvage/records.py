"""Records: what SQLite writes for one row. Pure.

Source: SQLite, "Database File Format", sections 1.6 and 2.1 (varint, record format).
"""

import struct
from itertools import pairwise
from typing import TypeAlias

Value: TypeAlias = int | float | str | bytes | None

_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_FLOAT = 7
_CONSTANTS: dict[int, Value] = {0: None, 8: 0, 9: 1}
_FIRST_BLOB = 12


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A signed number of one to nine bytes, and the place behind it.

    Raises:
        IndexError: it goes on behind the end of the data.
    """
    value = 0
    for place in range(at, at + 8):
        byte = data[place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, place + 1
    value = value << 8 | data[at + 8]
    return value - (value >> 63 << 64), at + 9


def decode_record(payload: bytes) -> tuple[Value, ...]:
    """The values of a row, in the order of its columns.

    Text that is no UTF-8 gets replacement characters: better read than lost.

    Raises:
        ValueError: it is no whole record, and nothing but one.
        IndexError: the same.
    """
    header_bytes, at = read_varint(payload, 0)
    kinds: list[int] = []
    while at < header_bytes:
        kind, at = read_varint(payload, at)
        kinds.append(kind)
    ends = [at]
    for kind in kinds:
        ends.append(ends[-1] + _length_bytes(kind))
    # Both lengths say the same in a whole record, and hardly ever in a damaged one.
    if at != header_bytes or ends[-1] != len(payload):
        raise ValueError("not a whole record")
    return tuple(
        _decode(kind, payload[start:end])
        for kind, (start, end) in zip(kinds, pairwise(ends), strict=True)
    )


def _length_bytes(kind: int) -> int:
    if kind >= _FIRST_BLOB:
        return (kind - _FIRST_BLOB) // 2
    if kind in _INTEGER_BYTES:
        return _INTEGER_BYTES[kind]
    if kind == _FLOAT:
        return 8
    if kind in _CONSTANTS:
        return 0
    raise ValueError(f"there is no serial type {kind}")


def _decode(kind: int, data: bytes) -> Value:
    if kind >= _FIRST_BLOB:
        return data.decode("utf-8", "replace") if kind % 2 else data
    if kind in _INTEGER_BYTES:
        return int.from_bytes(data, "big", signed=True)
    if kind == _FLOAT:
        number: float = struct.unpack(">d", data)[0]
        return number
    return _CONSTANTS[kind]
