"""Source: ggml's GGUF specification."""

import struct
from io import BytesIO

import pytest

from tina.providers.local.gguf import GgufHead, NoGgufError, read_head

UINT32, BOOL, STRING, ARRAY, UINT64, FLOAT32 = 4, 7, 8, 9, 10, 6


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def field(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def array(kind: int, *values: bytes) -> bytes:
    return struct.pack("<IQ", kind, len(values)) + b"".join(values)


def head(*fields: bytes, version: int = 3, count: int | None = None) -> bytes:
    count = len(fields) if count is None else count
    return b"GGUF" + struct.pack("<IQQ", version, 0, count) + b"".join(fields)


ARCHITECTURE = field("general.architecture", STRING, text("llama"))
WINDOW = field("llama.context_length", UINT32, struct.pack("<I", 8192))

WHOLE = head(
    ARCHITECTURE,
    field("general.name", STRING, text("Ä model")),
    field("general.languages", ARRAY, array(STRING, text("en"), text("de"))),
    field("general.sizes", ARRAY, array(FLOAT32, b"1234", b"5678")),
    field("general.quantized", BOOL, b"\1"),
    WINDOW,
    field("tokenizer.ggml.tokens", ARRAY, array(STRING, text("a"))),
)


def test_the_window_is_read_from_between_other_fields() -> None:
    found = read_head(BytesIO(WHOLE))

    assert found == GgufHead(architecture="llama", context_tokens=8192)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(head(), GgufHead(), id="no-fields"),
        pytest.param(head(WINDOW), GgufHead(), id="nobody-said-whose-window"),
        pytest.param(
            head(ARCHITECTURE), GgufHead(architecture="llama"), id="no-window"
        ),
        pytest.param(
            head(ARCHITECTURE, field("llama.context_length", BOOL, b"\1")),
            GgufHead(architecture="llama"),
            id="a-window-that-is-no-number",
        ),
        pytest.param(
            head(
                ARCHITECTURE,
                field("llama.context_length", UINT64, struct.pack("<Q", 1 << 20)),
                version=2,
            ),
            GgufHead(architecture="llama", context_tokens=1 << 20),
            id="a-wide-number-in-version-2",
        ),
    ],
)
def test_what_is_missing_is_none(data: bytes, expected: GgufHead) -> None:
    assert read_head(BytesIO(data)) == expected


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"PK\3\4 a zip file", id="another-format"),
        pytest.param(head(version=1), id="version-1"),
        pytest.param(head(version=4), id="version-4"),
        pytest.param(head(field("a", 99, b"")), id="unknown-kind"),
        pytest.param(head(field("a", ARRAY, array(99))), id="array-of-unknown-kind"),
        pytest.param(head(field("a", ARRAY, array(ARRAY))), id="array-of-arrays"),
        pytest.param(head(count=1 << 60), id="absurd-count"),
        pytest.param(head(b"\xff" * 8), id="absurd-text"),
        pytest.param(
            head(field("a", ARRAY, struct.pack("<IQ", STRING, 1 << 60))),
            id="absurd-array",
        ),
    ],
)
def test_what_is_no_gguf_is_refused(data: bytes) -> None:
    with pytest.raises(NoGgufError):
        read_head(BytesIO(data))


@pytest.mark.parametrize("length", range(WHOLE.index(WINDOW) + len(WINDOW)))
def test_a_head_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(NoGgufError):
        read_head(BytesIO(WHOLE[:length]))
