import msgspec
import pytest

from tina.domain.failures import ProtocolFailure
from tina.providers.anthropic.events import (
    ABSENT,
    fields_of,
    items_of,
    parse_event,
    parse_message,
    text_in,
)


def test_an_event_is_named_by_its_data_before_its_name() -> None:
    assert parse_event('{"type":"ping"}', "message_stop").type == "ping"
    assert parse_event("{}", "message_stop").type == "message_stop"


def test_a_new_event_may_use_our_fields_as_it_likes() -> None:
    event = parse_event('{"type":"news","index":"a","delta":3}', "")

    assert (event.type, event.index, event.delta) == ("news", None, None)


@pytest.mark.parametrize("raw", [b"", b"3", b"[]", b'{"id":', b'{"id":"\xff"}'])
def test_a_message_that_cannot_be_read_is_empty(raw: bytes) -> None:
    assert parse_message(raw).id is None


def test_fields_and_items_stay_as_they_came() -> None:
    fields = fields_of(b'{"n": 1.50, "deep": {"a":  [1]}}')
    items = items_of(b'[ 1e3,  "x"]')

    assert fields is not None
    assert {name: bytes(raw) for name, raw in fields.items()} == {
        "n": b"1.50",
        "deep": b'{"a":  [1]}',
    }
    assert items is not None
    assert [bytes(raw) for raw in items] == [b"1e3", b'"x"']


@pytest.mark.parametrize("raw", [b"", b"3", b"null", b"[" * 100_000, "\ud800"])
def test_what_is_neither_object_nor_array_is_none(raw: bytes | str) -> None:
    assert fields_of(raw) is None
    assert items_of(raw) is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [(None, ""), (ABSENT, ""), (msgspec.Raw(b"3"), ""), (msgspec.Raw(b'"a"'), "a")],
)
def test_a_text_is_empty_if_it_is_none(raw: msgspec.Raw | None, text: str) -> None:
    assert text_in(raw) == text


BROKEN = [
    (rb'{"type":"content_block_delta","index":0,"delta":{"text":"\ud83d"}}', "\ufffd"),
    (b'{"type":"content_block_delta","delta":{"text":"\\u00e9"}}', "\u00e9"),
]


@pytest.mark.parametrize(("data", "text"), BROKEN)
def test_half_characters_cost_no_event(data: bytes, text: str) -> None:
    event = parse_event(data.decode(), "")

    assert event.delta is not None
    assert event.delta.text == text


@pytest.mark.parametrize(
    "data",
    [
        "",
        "[DONE]",
        "[]",
        '{"type":["a"],"delta":3}',
        '{"type":"message_delta","delta":3}',
        '{"type":"content_block_delta","index":1.5}',
    ],
)
def test_what_carries_an_answer_and_cannot_be_read_is_refused(data: str) -> None:
    with pytest.raises(ProtocolFailure):
        parse_event(data, "")
