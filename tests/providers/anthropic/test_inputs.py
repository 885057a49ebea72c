import msgspec
import pytest

from tina.providers.anthropic.inputs import encode_input, is_object

INPUTS = [
    ("", b"{}"),
    (" \n", b"{}"),
    ('{"a": 1.50}', b'{"a": 1.50}'),
    ("[1]", b'{"INVALID_JSON":"[1]"}'),
    ('{"a', b'{"INVALID_JSON":"{\\"a"}'),
    ("null", b'{"INVALID_JSON":"null"}'),
]


@pytest.mark.parametrize(("arguments", "sent"), INPUTS)
def test_the_input_is_an_object_in_any_case(arguments: str, sent: bytes) -> None:
    assert msgspec.json.encode(encode_input(arguments)) == sent


def test_no_depth_is_too_deep_to_send() -> None:
    deep = '{"a":' + "[" * 500 + "]" * 500 + "}"
    bottomless = '{"a":' + "[" * 100_000

    assert msgspec.json.encode(encode_input(deep)) == deep.encode()
    assert encode_input(bottomless) == {"INVALID_JSON": bottomless}
    assert not is_object(bottomless)
