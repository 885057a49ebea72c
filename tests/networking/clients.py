"""A client as the tests of the wire open it, and what each failure is held to."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ssl import SSLContext

import anyio
import pytest

from tina.domain.chat import Deadlines
from tina.domain.failures import ProviderFailure
from tina.networking.http import HttpClient, HttpRequest

# A made-up key.
SECRET = "sk-very-secret"  # noqa: S105


class LoopClock:
    """Real time: these tests wait for real sockets."""

    def now(self) -> datetime:
        return datetime.fromtimestamp(0, UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@asynccontextmanager
async def open_client(
    *, environment: Mapping[str, str] | None = None, tls: SSLContext | None = None
) -> AsyncGenerator[HttpClient]:
    client = HttpClient(
        clock=LoopClock(),
        user_agent="tina/test",
        environment=environment or {},
        tls=tls,
    )
    try:
        with anyio.fail_after(5):
            yield client
    finally:
        await client.close()


def request_to(url: str, method: str = "POST") -> HttpRequest:
    headers = {"Authorization": f"Bearer {SECRET}"}
    return HttpRequest(method=method, url=url, headers=headers, body=b"private words")


async def fetch(
    client: HttpClient, url: str, deadlines: Deadlines | None = None
) -> bytes:
    return await send(client, request_to(url), deadlines)


async def send(
    client: HttpClient, request: HttpRequest, deadlines: Deadlines | None = None
) -> bytes:
    async with client.open(request, deadlines=deadlines or Deadlines()) as response:
        return await response.read(limit_bytes=1_000_000)


async def failure_of(call: Awaitable[object]) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        await call
    failure = caught.value
    text = f"{failure!r} {failure.__cause__!r} {failure.__context__!r}"
    assert SECRET not in text
    assert "private words" not in text
    return failure
