"""The floor: bare aiohttp and a decoder that knows exactly what comes, nothing else.

No key, no deadline, no retry, no error, no unknown event, no cancellation. And below
it, for the time to the first text, a socket.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from benchmarks._streaming_clients import Ask, Counts, OnText
from benchmarks._streaming_wire import MODEL, Protocol

_PATHS = {
    Protocol.ANTHROPIC: "/v1/messages",
    Protocol.CHAT: "/v1/chat/completions",
    Protocol.RESPONSES: "/v1/responses",
    Protocol.OLLAMA: "/api/chat",
}


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Message(msgspec.Struct, gc=False):
    usage: _Usage | None = None


class _Delta(msgspec.Struct, gc=False):
    text: str = ""
    content: str = ""


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta


class _AnthropicEvent(msgspec.Struct, gc=False):
    type: str
    delta: _Delta | None = None
    message: _Message | None = None
    usage: _Usage | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice]
    usage: _Usage | None = None


class _ResponsesEvent(msgspec.Struct, gc=False):
    type: str
    delta: str = ""
    response: _Message | None = None


class _OllamaLine(msgspec.Struct, gc=False):
    message: _Delta
    done: bool
    prompt_eval_count: int | None = None
    eval_count: int | None = None


class _Reading:
    """What one answer says, an event at a time."""

    def __init__(self, on_text: OnText) -> None:
        self.on_text = on_text
        self.counts: Counts = (None, None)

    def anthropic(self, event: _AnthropicEvent) -> None:
        if event.type == "content_block_delta" and event.delta is not None:
            self.on_text(event.delta.text)
        elif event.message is not None and event.message.usage is not None:
            self.counts = (event.message.usage.input_tokens, None)
        elif event.usage is not None:
            self.counts = (self.counts[0], event.usage.output_tokens)

    def chat(self, chunk: _Chunk) -> None:
        if chunk.choices and chunk.choices[0].delta.content:
            self.on_text(chunk.choices[0].delta.content)
        if chunk.usage is not None:
            usage = chunk.usage
            self.counts = (usage.prompt_tokens, usage.completion_tokens)

    def responses(self, event: _ResponsesEvent) -> None:
        if event.type == "response.output_text.delta":
            self.on_text(event.delta)
        elif event.response is not None and event.response.usage is not None:
            usage = event.response.usage
            self.counts = (usage.input_tokens, usage.output_tokens)

    def ollama(self, line: _OllamaLine) -> None:
        if line.message.content:
            self.on_text(line.message.content)
        if line.done:
            self.counts = (line.prompt_eval_count, line.eval_count)


_SHAPES: dict[Protocol, Any] = {
    Protocol.ANTHROPIC: _AnthropicEvent,
    Protocol.CHAT: _Chunk,
    Protocol.RESPONSES: _ResponsesEvent,
    Protocol.OLLAMA: _OllamaLine,
}


@asynccontextmanager
async def open_floor(base_url: str, protocol: Protocol) -> AsyncGenerator[Ask]:
    decode = msgspec.json.Decoder(_SHAPES[protocol]).decode
    prefix = b"" if protocol is Protocol.OLLAMA else b"data: "
    begin = len(prefix)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(),
        read_bufsize=256 * 1024,
    )

    async def ask(prompt: str, on_text: OnText) -> Counts:
        reading = _Reading(on_text)
        take = getattr(reading, protocol)
        body = {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
        url = base_url + _PATHS[protocol]
        rest = b""
        async with session.post(url, json=body) as response:
            while chunk := await response.content.readany():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(prefix) and line != b"data: [DONE]":
                        take(decode(line[begin:]))
        return reading.counts

    async with session:
        yield ask


@asynccontextmanager
async def open_socket(base_url: str, protocol: Protocol) -> AsyncGenerator[Ask]:
    """One request on a kept connection; its text is where the first bytes are."""
    address = urlsplit(base_url)
    assert address.hostname
    reader, writer = await asyncio.open_connection(address.hostname, address.port)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        body = msgspec.json.encode(
            {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}
        )
        head = f"POST {_PATHS[protocol]} HTTP/1.1\r\nHost: x\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            more = await reader.read(65_536)
            if not received:
                on_text("")
            received += more
        return (None, None)

    try:
        yield ask
    finally:
        writer.close()
        await writer.wait_closed()
