"""The same answer in each protocol, as small as it can be said."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tina.providers.entries import Protocol
from tina.testing.server import Pause, Recording, chat_recording

NDJSON = (("Content-Type", "application/x-ndjson"),)

Event = dict[str, Any]
Speaker = Callable[[Sequence[str]], tuple[bytes, ...]]


def _events(events: Iterable[Event]) -> tuple[bytes, ...]:
    return tuple(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        for event in events
    )


def anthropic(tokens: Sequence[str]) -> tuple[bytes, ...]:
    message: Event = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "recorded",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 7, "output_tokens": 1},
    }
    block = {"type": "text", "text": ""}
    return _events(
        [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            *(
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": {"type": "text_delta", "text": token},
                }
                for token in tokens
            ),
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"output_tokens": len(tokens)},
            },
            {"type": "message_stop"},
        ]
    )


def responses(tokens: Sequence[str]) -> tuple[bytes, ...]:
    text = "".join(tokens)
    item: Event = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    part: Event = {"type": "output_text", "text": text, "annotations": []}
    done: Event = {**item, "status": "completed", "content": [part]}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    whole: Event = {
        "id": "resp_1",
        "status": "completed",
        "model": "recorded",
        "output": [done],
        "usage": {"input_tokens": 7, "output_tokens": len(tokens)},
    }
    begun: Event = {
        "id": "resp_1",
        "status": "in_progress",
        "model": "recorded",
        "output": [],
    }
    return _events(
        [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {
                "type": "response.content_part.added",
                **where,
                "part": {**part, "text": ""},
            },
            *(
                {"type": "response.output_text.delta", **where, "delta": token}
                for token in tokens
            ),
            {"type": "response.output_text.done", **where, "text": text},
            {"type": "response.content_part.done", **where, "part": part},
            {"type": "response.output_item.done", "output_index": 0, "item": done},
            {"type": "response.completed", "response": whole},
        ]
    )


def ollama(tokens: Sequence[str]) -> tuple[bytes, ...]:
    head = {"model": "recorded", "created_at": "2026-11-01T10:00:00.1Z"}
    lines = [
        *(
            {**head, "message": {"role": "assistant", "content": token}, "done": False}
            for token in tokens
        ),
        {
            **head,
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "prompt_eval_count": 7,
            "eval_count": len(tokens),
        },
    ]
    return tuple(json.dumps(line).encode() + b"\n" for line in lines)


SPEAKERS: Mapping[Protocol, Speaker] = {
    Protocol.ANTHROPIC: anthropic,
    Protocol.CHAT: lambda tokens: chat_recording(tokens).chunks,
    Protocol.RESPONSES: responses,
    Protocol.OLLAMA: ollama,
}
_HEADS: Mapping[Protocol, int] = {
    Protocol.ANTHROPIC: 2,
    Protocol.CHAT: 1,
    Protocol.RESPONSES: 3,
    Protocol.OLLAMA: 0,
}
"""So many chunks come before the first token."""
ERRORS: Mapping[Protocol, bytes] = {
    Protocol.ANTHROPIC: (
        b'event: error\ndata: {"type":"error","error":'
        b'{"type":"api_error","message":"Provider down"}}\n\n'
    ),
    Protocol.CHAT: b'data: {"error":{"message":"Provider down","code":502}}\n\n',
    Protocol.RESPONSES: (
        b'event: error\ndata: {"type":"error","code":"server_error",'
        b'"message":"Provider down","param":null}\n\n'
    ),
    Protocol.OLLAMA: b'{"error":"Provider down"}\n',
}


def recording(
    protocol: Protocol, tokens: Sequence[str], *, pause: Pause | None = None
) -> Recording:
    """A whole answer."""
    return _recording(protocol, SPEAKERS[protocol](tokens), pause=pause)


def broken(protocol: Protocol, tokens: Sequence[str]) -> Recording:
    """The tokens, and then an error instead of the end."""
    said = SPEAKERS[protocol](tokens)[: _HEADS[protocol] + len(tokens)]
    return _recording(protocol, (*said, ERRORS[protocol]))


def _recording(
    protocol: Protocol, chunks: tuple[bytes, ...], *, pause: Pause | None = None
) -> Recording:
    if protocol is Protocol.OLLAMA:
        return Recording(chunks=chunks, headers=NDJSON, pause=pause)
    return Recording(chunks=chunks, pause=pause)
