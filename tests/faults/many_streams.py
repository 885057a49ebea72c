"""A server and a client in a process each, and a thousand answers at once between them.

    python -m tests.faults.many_streams serve
    python -m tests.faults.many_streams ask PORT

The server prints its port and ends with its standard input. It says the first half of
each answer, and the second only when all have been asked for: they are open together.
The client prints what it found, as JSON.
"""

import asyncio
import json
import os
import re
import resource
import sys
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path

import anyio
import anyio.lowlevel

from benchmarks._streaming_tina import make_http, make_provider, one_prompt
from benchmarks._streaming_wire import Protocol, render
from tina.domain.chat import ChatRequest, Deadlines
from tina.domain.events import Finish, TextDelta
from tina.domain.ports import Provider
from tina.testing.server import PlaybackServer, ReceivedRequest, Recording

STREAMS = 1_000
DELTAS = 40
_PATIENT = Deadlines(
    connect_timeout_s=60.0, headers_timeout_s=60.0, idle_timeout_s=120.0
)
_NUMBER = re.compile(rb"Tell tale (\d+)\.")
_PATHS = {
    "/messages": Protocol.ANTHROPIC,
    "/chat/completions": Protocol.CHAT,
    "/responses": Protocol.RESPONSES,
    "/chat": Protocol.OLLAMA,
}


def deltas_of(number: int) -> tuple[str, ...]:
    """What is answered; no two answers share a word."""
    return tuple(f"{number}.{count}é🎈 " for count in range(DELTAS))


class Gate:
    """Opens when everybody is there."""

    def __init__(self) -> None:
        self._waited_for = STREAMS
        self._opened = asyncio.Event()

    def answer(self, request: ReceivedRequest) -> Recording:
        found = _NUMBER.search(request.body)
        assert found is not None
        ends = (end for end in _PATHS if request.path.endswith(end))
        protocol = _PATHS[next(ends)]
        events = render(protocol, deltas_of(int(found[1])))
        self._waited_for -= 1
        if self._waited_for == 0:
            self._opened.set()
        is_ndjson = protocol is Protocol.OLLAMA
        media_type = "application/x-ndjson" if is_ndjson else "text/event-stream"
        return Recording(
            headers=(("Content-Type", media_type),),
            chunks=events,
            pause=partial(self._pause, len(events) // 2),
        )

    async def _pause(self, half: int, number: int) -> None:
        if number == half:
            await self._opened.wait()


async def serve() -> None:
    async with PlaybackServer(Gate().answer) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


class Asking:
    """The answers of one client, and how many were open at once."""

    def __init__(self) -> None:
        self.exact = 0
        self.most_open = 0
        self.wrong: list[str] = []
        self._open = 0

    async def ask(self, provider: Provider, number: int) -> None:
        request = ChatRequest(
            model="many",
            messages=(one_prompt(f"Tell tale {number}."),),
            deadlines=_PATIENT,
        )
        said: list[str] = []
        finishes = 0
        async with provider.stream(request) as events, aclosing(events):
            self._open += 1
            self.most_open = max(self.most_open, self._open)
            async for batch in events:
                said += [part.text for part in batch if isinstance(part, TextDelta)]
                finishes += sum(isinstance(part, Finish) for part in batch)
        self._open -= 1
        if "".join(said) == "".join(deltas_of(number)) and finishes == 1:
            self.exact += 1
        else:
            self.wrong.append(f"{number}: {finishes} ends, {''.join(said)[:60]!r}")


async def ask(port: int) -> dict[str, object]:
    sockets = count_sockets()
    asking, http = Asking(), make_http()
    base_url = f"http://127.0.0.1:{port}"
    providers = [make_provider(kind, base_url, http) for kind in Protocol]
    async with anyio.create_task_group() as group:
        for number in range(STREAMS):
            provider = providers[number % len(providers)]
            group.start_soon(asking.ask, provider, number)
    await http.close()
    for _ in range(3):  # a transport closes its socket when the loop comes round
        await anyio.lowlevel.checkpoint()
    return {
        "exact": asking.exact,
        "wrong": asking.wrong[:5],
        "most_open": asking.most_open,
        "sockets_left": count_sockets() - sockets,
        "peak_mb": peak_mb(),
    }


def count_sockets() -> int:
    """Sockets that this process has open; Linux only."""
    folder, count = Path("/proc/self/fd"), 0
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # the one that lists the folder
            count += os.readlink(folder / name).startswith("socket:")
    return count


def peak_mb() -> float:
    """The most memory that this process ever had; Linux only."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) / 1024


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        print(json.dumps(asyncio.run(ask(int(sys.argv[2])))))


if __name__ == "__main__":
    main()
