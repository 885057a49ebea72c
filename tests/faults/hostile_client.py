"""Asks a hostile server once, in a process of its own, and says what came of it.

    python -m tests.faults.hostile_client BASE_URL PROTOCOL DEADLINES

It asks a good server of the same kind first: what that costs is no growth.
"""

import asyncio
import re
import resource
import sys
import time
from contextlib import aclosing
from pathlib import Path

import msgspec

from tests.providers.asking import ENTRY, LoopClock, make_provider, open_http, question
from tina.domain.chat import ChatRequest, Deadlines
from tina.domain.failures import ProviderFailure
from tina.networking.http import HttpClient
from tina.providers.entries import Protocol
from tina.providers.ollama.dialect import OllamaDialect
from tina.providers.openai.chat.dialect import ChatDialect

_DIALECTS = {Protocol.CHAT: ChatDialect, Protocol.OLLAMA: OllamaDialect}
_STATUS = Path("/proc/self/status")
_PEAK = re.compile(r"VmHWM:\s+(\d+) kB")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How one request ended, and what it took."""

    failure: str | None
    grown_kib: int
    took_s: float


def peak_kib() -> int:
    """The most memory that this process ever had."""
    if not _STATUS.exists():  # macOS counts bytes, and from the start of the program
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    found = _PEAK.search(_STATUS.read_text(encoding="ascii"))
    assert found is not None, "the system does not tell the peak of memory"
    return int(found[1])


async def ask(
    http: HttpClient, base_url: str, protocol: Protocol, request: ChatRequest
) -> str | None:
    """Read the whole answer and keep nothing of it; the kind of its failure."""
    entry = msgspec.structs.replace(ENTRY, base_url=base_url, protocol=protocol)
    dialect = _DIALECTS[protocol]("openai", entry)
    provider = make_provider(entry, http=http, dialect=dialect)
    try:
        async with provider.stream(request) as batches, aclosing(batches):
            async for _ in batches:
                pass
    except ProviderFailure as failure:
        return failure.kind
    return None


async def main(base_url: str, protocol: Protocol, deadlines: Deadlines) -> Outcome:
    request = question(deadlines)
    async with open_http(LoopClock()) as http:
        assert await ask(http, f"{base_url}/good", protocol, request) is None
        before_kib, begun_s = peak_kib(), time.monotonic()
        failure = await ask(http, f"{base_url}/bad", protocol, request)
        return Outcome(
            failure=failure,
            grown_kib=peak_kib() - before_kib,
            took_s=time.monotonic() - begun_s,
        )


if __name__ == "__main__":
    outcome = asyncio.run(
        main(
            sys.argv[1],
            Protocol(sys.argv[2]),
            msgspec.json.decode(sys.argv[3], type=Deadlines),
        )
    )
    print(msgspec.json.encode(outcome).decode())
