"""The head of a GGUF file: enough to know what it is and how much it can read.

The window stands before the vocabulary, so that some hundred bytes are read in
practice. Every length is bounded: those in a damaged file are not to be trusted.

Source: ggml's "GGUF" specification, versions 2 and 3.
"""

import struct
from io import SEEK_CUR
from typing import BinaryIO

import msgspec

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_UNSIGNED = (4, 10)
_SIZES_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_LONGEST_TEXT_BYTES = 1 << 20
_MOST_ITEMS = 1 << 20


class GgufHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a file says about itself; None where it does not say."""

    architecture: str | None = None
    context_tokens: int | None = None
    """The window it was trained for."""


class NoGgufError(ValueError):
    """The file is none, or it ends too early."""


def read_head(file: BinaryIO) -> GgufHead:
    """Read from the beginning of `file`.

    Raises:
        NoGgufError: it is no GGUF file, of an unknown version, or cut short.
    """
    if _take(file, 4) != _MAGIC:
        raise NoGgufError("it does not begin like a GGUF file")
    version = _number(file, "<I")
    if version not in _VERSIONS:
        raise NoGgufError(f"its version is {version}")
    _take(file, 8)  # how many tensors
    architecture: str | None = None
    for _ in range(_count(file)):
        name = _text(file)
        kind = _number(file, "<I")
        if kind == _STRING:
            value = _text(file)
            architecture = value if name == "general.architecture" else architecture
        elif kind == _ARRAY:
            _skip_array(file)
        else:
            raw = _take(file, _size_bytes(kind))
            if architecture and name == f"{architecture}.context_length":
                tokens = int.from_bytes(raw, "little") if kind in _UNSIGNED else None
                return GgufHead(architecture=architecture, context_tokens=tokens)
    return GgufHead(architecture=architecture)


def _skip_array(file: BinaryIO) -> None:
    kind = _number(file, "<I")
    count = _count(file)
    if kind == _STRING:
        for _ in range(count):
            _text(file)
    else:
        file.seek(count * _size_bytes(kind), SEEK_CUR)


def _size_bytes(kind: int) -> int:
    if kind not in _SIZES_BYTES:
        raise NoGgufError(f"it holds a value of the unknown kind {kind}")
    return _SIZES_BYTES[kind]


def _count(file: BinaryIO) -> int:
    count = _number(file, "<Q")
    if count > _MOST_ITEMS:
        raise NoGgufError("it holds an absurd number of values")
    return count


def _text(file: BinaryIO) -> str:
    length_bytes = _number(file, "<Q")
    if length_bytes > _LONGEST_TEXT_BYTES:
        raise NoGgufError("it holds a text that is absurdly long")
    return _take(file, length_bytes).decode("utf-8", "replace")


def _number(file: BinaryIO, form: str) -> int:
    (number,) = struct.unpack(form, _take(file, struct.calcsize(form)))
    return int(number)


def _take(file: BinaryIO, size_bytes: int) -> bytes:
    taken = file.read(size_bytes)
    if len(taken) < size_bytes:
        raise NoGgufError("it is cut short")
    return taken
