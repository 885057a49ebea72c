import socket

import pytest

from tina.domain.failures import (
    ConnectionFailure,
    InvalidRequestFailure,
    ProtocolFailure,
)
from tina.domain.secret import Secret
from tina.providers.local.port import Port
from tina.testing.server import Recording, playback_thread

KEY = Secret("of-this-port")
JSON = (("Content-Type", "application/json"),)


def says(body: bytes, status: int = 200) -> Recording:
    return Recording(status=status, headers=JSON, chunks=(body,))


def test_it_asks_with_the_key_and_reads_the_count() -> None:
    with playback_thread(says(b'{"input_tokens":41}')) as server:
        count = Port(server.base_url, KEY).count_tokens('{"messages":"ü"}')
        (request,) = server.requests

    assert count == 41
    assert request.path == "/v1/chat/completions/input_tokens"
    assert request.headers["authorization"] == "Bearer of-this-port"
    assert request.body.decode() == '{"messages":"ü"}'


TALENTS = [
    (b'{"chat_template_caps":{"supports_tools":true}}', True),
    (b'{"chat_template_caps":{"supports_tools":false}}', False),
    (b'{"chat_template_caps":{}}', True),
    (b'{"chat_template_caps":3}', True),
    (b"{}", True),
    (b"[]", True),
]


@pytest.mark.parametrize(("said", "expected"), TALENTS)
def test_a_model_can_call_tools_unless_the_engine_says_no(
    said: bytes,
    expected: bool,
) -> None:
    with playback_thread(says(said)) as server:
        assert Port(server.base_url, KEY).can_call_tools() is expected


@pytest.mark.parametrize("said", [b"{}", b"<html>", b'{"input_tokens":"many"}'])
def test_no_count_is_a_failure(said: bytes) -> None:
    with playback_thread(says(said)) as server, pytest.raises(ProtocolFailure):
        Port(server.base_url, KEY).count_tokens("{}")


def test_a_refusal_is_said_in_the_engines_words() -> None:
    said = says(b'{"error":{"code":400,"message":"no array"}}', 400)
    with (
        playback_thread(said) as server,
        pytest.raises(InvalidRequestFailure, match="no array"),
    ):
        Port(server.base_url, KEY).count_tokens("{}")


def test_a_port_that_is_shut_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(ConnectionFailure, match="did not answer"):
        Port(f"http://127.0.0.1:{port}", KEY).can_call_tools()
