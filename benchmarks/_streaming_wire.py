"""One answer in four protocols, as bytes that are ready to be sent.

Every delta has the same number of characters, so that a reader who gets several of
them in one piece knows how many there were. Some are of several bytes, some escaped.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from itertools import cycle, islice

DELTA_CHARS = 5
INPUT_TOKENS = 7
MODEL = "measured"
CHUNK_BYTES = 16 * 1024

_DELTAS = (
    " word",
    " grün",
    '"so",',
    "日本語です",
    "C:\\a ",
    "one\n\n",
    " rosé",
    "🎈 up.",
    " data",
    "\u2028\ttab",
)


class Protocol(StrEnum):
    ANTHROPIC = "anthropic"
    CHAT = "chat"
    RESPONSES = "responses"
    OLLAMA = "ollama"


@cache
def deltas(count: int) -> tuple[str, ...]:
    return tuple(islice(cycle(_DELTAS), count))


@cache
def text(count: int) -> str:
    return "".join(deltas(count))


@cache
def events(protocol: Protocol, count: int) -> tuple[bytes, ...]:
    """A whole answer of `count` deltas, one event or line each."""
    return render(protocol, deltas(count))


def render(protocol: Protocol, said: tuple[str, ...]) -> tuple[bytes, ...]:
    """The same for any deltas."""
    return tuple(_RENDER[protocol](said))


def opening(protocol: Protocol) -> int:
    """How many events come before the first delta."""
    return {"anthropic": 3, "chat": 1, "responses": 4, "ollama": 0}[protocol]


def _dumped(value: object, number: int) -> bytes:
    """Compact JSON; every third one in pure ASCII, with escapes."""
    is_ascii = number % 3 == 0
    return json.dumps(value, separators=(",", ":"), ensure_ascii=is_ascii).encode()


def _sse(event: dict[str, object], number: int = 0) -> bytes:
    name = str(event["type"]).encode()
    return b"event: %b\ndata: %b\n\n" % (name, _dumped(event, number))


def _anthropic(said: tuple[str, ...]) -> Iterator[bytes]:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
    }
    message: dict[str, object] = {
        "id": "msg_01Measured",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    block = {"type": "text", "text": ""}
    yield _sse({"type": "message_start", "message": message})
    yield _sse({"type": "content_block_start", "index": 0, "content_block": block})
    yield _sse({"type": "ping"})
    for number, text in enumerate(said):
        delta = {"type": "text_delta", "text": text}
        yield _sse({"type": "content_block_delta", "index": 0, "delta": delta}, number)
    yield _sse({"type": "content_block_stop", "index": 0})
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    counts = {"output_tokens": len(said)}
    yield _sse({"type": "message_delta", "delta": end, "usage": counts})
    yield _sse({"type": "message_stop"})


def _chat(said: tuple[str, ...]) -> Iterator[bytes]:
    yield _chunk({"role": "assistant", "content": "", "refusal": None})
    for number, text in enumerate(said):
        yield _chunk({"content": text}, number=number)
    yield _chunk({}, finish_reason="stop")
    usage = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": len(said),
        "total_tokens": INPUT_TOKENS + len(said),
    }
    yield _chunk(None, usage=usage)
    yield b"data: [DONE]\n\n"


def _chunk(
    delta: dict[str, object] | None,
    *,
    number: int = 0,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
) -> bytes:
    choice = {
        "index": 0,
        "delta": delta,
        "logprobs": None,
        "finish_reason": finish_reason,
    }
    chunk = {
        "id": "chatcmpl-CMeasured0Measured0Measured",
        "object": "chat.completion.chunk",
        "created": 1_795_370_224,
        "model": MODEL,
        "service_tier": "default",
        "system_fingerprint": "fp_measured1",
        "choices": [] if delta is None else [choice],
        "usage": usage,
    }
    return b"data: %b\n\n" % _dumped(chunk, number)


def _responses(said: tuple[str, ...]) -> Iterator[bytes]:
    place: dict[str, object] = {"item_id": "msg_measured", "output_index": 0}
    in_part: dict[str, object] = {**place, "content_index": 0}
    text = "".join(said)
    whole: dict[str, object] = {"type": "output_text", "text": text, "annotations": []}
    part = {**whole, "text": ""}
    item = _item([whole])
    sequence: list[dict[str, object]] = [
        {"type": "response.created", "response": _response(None, [])},
        {"type": "response.in_progress", "response": _response(None, [])},
        {"type": "response.output_item.added", "output_index": 0, "item": _item([])},
        {"type": "response.content_part.added", **in_part, "part": part},
        *(
            {
                "type": "response.output_text.delta",
                **in_part,
                "delta": delta,
                "logprobs": [],
                "obfuscation": "measured",
            }
            for delta in said
        ),
        {"type": "response.output_text.done", **in_part, "text": text},
        {"type": "response.content_part.done", **in_part, "part": whole},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": _response(len(said), [item])},
    ]
    for number, event in enumerate(sequence):
        yield _sse({"sequence_number": number, **event}, number)


def _item(content: list[object]) -> dict[str, object]:
    return {
        "type": "message",
        "id": "msg_measured",
        "role": "assistant",
        "status": "completed" if content else "in_progress",
        "content": content,
    }


def _response(count: int | None, output: list[object]) -> dict[str, object]:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": count,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": INPUT_TOKENS + (count or 0),
    }
    return {
        "id": "resp_measured",
        "object": "response",
        "created_at": 1_795_370_224,
        "status": "in_progress" if count is None else "completed",
        "model": MODEL,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None if count is None else usage,
    }


def _ollama(said: tuple[str, ...]) -> Iterator[bytes]:
    for number, text in enumerate(said):
        yield _line({"message": _said(text), "done": False}, number)
    end = {"message": _said(""), "done": True, "done_reason": "stop"}
    counts = {"prompt_eval_count": INPUT_TOKENS, "eval_count": len(said)}
    yield _line({**end, **counts}, 0)


def _said(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def _line(said: dict[str, object], number: int) -> bytes:
    line = {"model": MODEL, "created_at": "2026-11-01T10:00:00.123456Z", **said}
    # Ollama escapes it, as Go's JSON does; its own client takes it for a line end.
    return _dumped(line, number).replace("\u2028".encode(), b"\\u2028") + b"\n"


_RENDER = {
    Protocol.ANTHROPIC: _anthropic,
    Protocol.CHAT: _chat,
    Protocol.RESPONSES: _responses,
    Protocol.OLLAMA: _ollama,
}
