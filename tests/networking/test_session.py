import socket

import pytest

from tests.networking.clients import fetch, open_client
from tina.testing.server import PlaybackServer, Recording

pytestmark = pytest.mark.anyio


async def fetch_hello() -> bytes:
    hello = Recording(chunks=(b"hello",))
    async with PlaybackServer(hello) as server, open_client() as client:
        return await fetch(client, server.base_url)


OPTIONS = [("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5)]


async def test_the_system_looks_whether_a_silent_peer_is_still_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[tuple[int, int, int]] = []
    set_option = socket.socket.setsockopt

    def note(made: socket.socket, level: int, option: int, value: int) -> None:
        set_option(made, level, option, value)
        noted.append((level, option, value))

    monkeypatch.setattr(socket.socket, "setsockopt", note)
    await fetch_hello()

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in noted
    for name, value in OPTIONS:
        option = getattr(socket, name, None)
        assert option is None or (socket.IPPROTO_TCP, option, value) in noted


async def test_a_system_without_these_options_is_good_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, _ in OPTIONS:
        monkeypatch.delattr(socket, name, raising=False)

    assert await fetch_hello() == b"hello"
