import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.database.salvage.records import Value, decode_record, read_varint


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", 0),
        (b"\x7f", 127),
        (b"\x81\x00", 128),
        (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff", 2**63 - 1),
        (b"\xff" * 9, -1),
        (b"\x80\x80\x80\x80\x80\x80\x80\x80\x05", 5),
    ],
)
def test_a_varint_is_read_with_its_length(data: bytes, value: int) -> None:
    assert read_varint(b"?" + data + b"\x01", 1) == (value, 1 + len(data))


@pytest.mark.parametrize("data", [b"", b"\x81", b"\xff" * 8])
def test_a_varint_that_is_cut_is_told(data: bytes) -> None:
    with pytest.raises(IndexError):
        read_varint(data, 0)


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        (0, b"", None),
        (1, b"\xfe", -2),
        (2, b"\x01\x00", 256),
        (3, b"\x01\x00\x00", 65536),
        (4, b"\x80\x00\x00\x00", -(2**31)),
        (5, b"\x7f" + b"\xff" * 5, 2**47 - 1),
        (6, b"\x80" + b"\x00" * 7, -(2**63)),
        (7, struct.pack(">d", 1.5), 1.5),
        (8, b"", 0),
        (9, b"", 1),
        (12, b"", b""),
        (16, b"\x00\xff", b"\x00\xff"),
        (13, b"", ""),
        (19, "né".encode(), "né"),
        (19, b"n\xffe", "n\ufffde"),
    ],
)
def test_each_kind_of_value_is_read(kind: int, body: bytes, value: Value) -> None:
    assert decode_record(bytes([2, kind]) + body) == (value,)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x02\x0a", id="reserved-kind"),
        pytest.param(b"\x02\x01", id="body-too-short"),
        pytest.param(b"\x02\x01\x05\x05", id="body-too-long"),
        pytest.param(b"\x02\x81\x00" + bytes(58), id="header-ends-inside-a-kind"),
        pytest.param(b"\x05\x08", id="header-longer-than-all"),
        pytest.param(b"\x02" + b"\xff" * 9, id="negative-kind"),
    ],
)
def test_what_is_no_whole_record_is_refused(payload: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        decode_record(payload)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_refused(payload: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        values = decode_record(payload)
        assert len(values) < len(payload)
