"""Answers made by hand: what the recorded server does not say, as the vendors do.

Source: Anthropic API reference, "Streaming messages"; OpenAI API reference, "Chat
completions, streaming" and "Responses, streaming events"; Ollama API, "Chat".
"""

import json
from collections.abc import Mapping
from typing import Any

from benchmarks._streaming_wire import Protocol
from tests.differential.cases import Case


def _sse(*events: Mapping[str, Any], is_named: bool = True) -> bytes:
    lines: list[str] = []
    for event in events:
        if is_named:
            lines.append(f"event: {event['type']}\n")
        lines.append(f"data: {json.dumps(event, ensure_ascii=False)}\n\n")
    return "".join(lines).encode()


# Anthropic

_USAGE = {
    "input_tokens": 40,
    "cache_creation_input_tokens": 1_000,
    "cache_read_input_tokens": 200,
    "output_tokens": 1,
}


def _message_start(**usage: int) -> Mapping[str, Any]:
    message: Mapping[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "recorded",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _USAGE | usage,
    }
    return {"type": "message_start", "message": message}


def _block(
    index: int, begun: Mapping[str, Any], *deltas: Mapping[str, Any]
) -> tuple[Mapping[str, Any], ...]:
    return (
        {"type": "content_block_start", "index": index, "content_block": begun},
        *(
            {"type": "content_block_delta", "index": index, "delta": delta}
            for delta in deltas
        ),
        {"type": "content_block_stop", "index": index},
    )


def _message_end(
    reason: str, *, sequence: str | None = None, **usage: Any
) -> tuple[Mapping[str, Any], ...]:
    delta = {"stop_reason": reason, "stop_sequence": sequence}
    counts = {"output_tokens": 77, **usage}
    return (
        {"type": "message_delta", "delta": delta, "usage": counts},
        {"type": "message_stop"},
    )


def _said(text: str) -> tuple[Mapping[str, Any], ...]:
    delta = {"type": "text_delta", "text": text}
    return _block(0, {"type": "text", "text": ""}, delta)


def _tool(index: int, call_id: str, *fragments: str) -> tuple[Mapping[str, Any], ...]:
    begun: Mapping[str, Any] = {
        "type": "tool_use",
        "id": call_id,
        "name": "get_weather",
        "input": {},
    }
    pieces = [
        {"type": "input_json_delta", "partial_json": piece} for piece in fragments
    ]
    return _block(index, begun, *pieces)


_THOUGHT = _block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Two cities, "},
    {"type": "thinking_delta", "thinking": "two calls."},
    {"type": "signature_delta", "signature": "c2lnbmVk"},
)
_ANTHROPIC = {
    "parallel_calls_after_thinking_with_cache": _sse(
        _message_start(),
        {"type": "ping"},
        *_THOUGHT,
        *_block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "One"}),
        *_tool(2, "toolu_1", "", '{"city": ', '"Malmö"}'),
        *_tool(3, "toolu_2", '{"city": "\\u00c5rhus 🎈"}'),
        *_message_end("tool_use", output_tokens_details={"thinking_tokens": 9}),
    ),
    "call_without_arguments": _sse(
        _message_start(), *_tool(0, "toolu_1", ""), *_message_end("tool_use")
    ),
    "refusal": _sse(_message_start(), *_said("I can"), *_message_end("refusal")),
    "pause": _sse(_message_start(), *_said("Wait"), *_message_end("pause_turn")),
    "stop_sequence": _sse(
        _message_start(), *_said("1, 2"), *_message_end("stop_sequence", sequence=", 3")
    ),
    "window_full": _sse(
        _message_start(), *_said("1"), *_message_end("model_context_window_exceeded")
    ),
    "new_stop_reason": _sse(_message_start(), *_said("1"), *_message_end("novelty")),
    "later_counts_replace_earlier": _sse(
        _message_start(),
        *_said("1"),
        *_message_end("end_turn", input_tokens=41, cache_read_input_tokens=300),
    ),
    "redacted_thinking": _sse(
        _message_start(),
        *_block(0, {"type": "redacted_thinking", "data": "aGlkZGVu"}),
        *_block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "6"}),
        *_message_end("end_turn"),
    ),
    "odd_line_separators": _sse(
        _message_start(), *_said("a\u2028b\u2029c\x85d\n"), *_message_end("end_turn")
    ),
    "unknown_event": _sse(
        _message_start(),
        {"type": "novelty", "index": 0},
        *_said("6"),
        *_message_end("end_turn"),
    ),
    "unknown_block": _sse(
        _message_start(),
        *_block(0, {"type": "novelty", "data": 1}),
        *_block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "6"}),
        *_message_end("end_turn"),
    ),
    "error_midway": _sse(
        _message_start(),
        *_said("6"),
        {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
    ),
    "cut": _sse(_message_start(), *_said("6")),
}

# Chat completions


def _chunk(delta: Mapping[str, Any], **choice: Any) -> Mapping[str, Any]:
    return _chunk_of([{"index": 0, "delta": delta, "finish_reason": None, **choice}])


def _chunk_of(choices: list[Any], **fields: Any) -> Mapping[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_795_370_224,
        "model": "recorded",
        "choices": choices,
        **fields,
    }


def _chat(*chunks: Mapping[str, Any], has_end: bool = True) -> bytes:
    end = b"data: [DONE]\n\n" if has_end else b""
    return _sse(*chunks, is_named=False) + end


def _fragment(index: int, arguments: str, **first: Any) -> Mapping[str, Any]:
    name = {"name": first.pop("name")} if "name" in first else {}
    call = {"index": index, **first, "function": {**name, "arguments": arguments}}
    return _chunk({"tool_calls": [call]})


_COUNTS = {
    "prompt_tokens": 1_240,
    "completion_tokens": 77,
    "total_tokens": 1_317,
    "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 9, "audio_tokens": 0},
}
_FIRST = _chunk({"role": "assistant", "content": ""})
_TWO_CALLS = (
    _fragment(0, "", id="call_1", type="function", name="get_weather"),
    _fragment(1, "", id="call_2", type="function", name="get_time"),
    _fragment(0, '{"city":'),
    _fragment(1, '{"zone":"Z"}'),
    _fragment(0, '"Malmö"}'),
)
_CHAT = {
    "interleaved_calls_after_reasoning_with_cache": _chat(
        _FIRST,
        _chunk({"reasoning_content": "Two "}),
        _chunk({"reasoning_content": "calls."}),
        *_TWO_CALLS,
        _chunk({}, finish_reason="tool_calls"),
        _chunk_of([], usage=_COUNTS),
    ),
    "calls_that_end_as_stop": _chat(
        _FIRST, *_TWO_CALLS, _chunk({}, finish_reason="stop")
    ),
    "refusal": _chat(
        _FIRST,
        _chunk({"refusal": "I cannot "}),
        _chunk({"refusal": "do that."}),
        _chunk({}, finish_reason="stop"),
    ),
    "content_filter": _chat(
        _FIRST, _chunk({"content": "I"}), _chunk({}, finish_reason="content_filter")
    ),
    "odd_line_separators": _chat(
        _FIRST,
        _chunk({"content": "a\u2028b\u2029c\x85d\n"}),
        _chunk({}, finish_reason="stop"),
    ),
    "no_done": _chat(
        _FIRST,
        _chunk({"content": "6"}),
        _chunk({}, finish_reason="stop"),
        has_end=False,
    ),
    "cut": _chat(_FIRST, _chunk({"content": "6"}), has_end=False),
    "error_midway": _chat(
        _FIRST,
        _chunk({"content": "6"}),
        {"error": {"message": "Busy", "type": "server_error", "code": 503}},
    ),
    "nothing": b"",
    "only_done": b"data: [DONE]\n\n",
    "no_space_after_the_colon": _chat(
        _FIRST, _chunk({"content": "6"}), _chunk({}, finish_reason="stop")
    ).replace(b"data: ", b"data:"),
}

# Responses


def _response(status: str, output: list[Any], **fields: Any) -> Mapping[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_795_370_224,
        "model": "recorded",
        "status": status,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **fields,
    }


_RESPONSE_COUNTS = {
    "input_tokens": 1_240,
    "input_tokens_details": {"cached_tokens": 1_024},
    "output_tokens": 77,
    "output_tokens_details": {"reasoning_tokens": 9},
    "total_tokens": 1_317,
}


def _responses(items: list[Any], last: Mapping[str, Any] | None, *more: Any) -> bytes:
    """Each item is (the item when added, its events, the item when done)."""
    events: list[Mapping[str, Any]] = [
        {"type": "response.created", "response": _response("in_progress", [])}
    ]
    for index, (added, between, done) in enumerate(items):
        place = {"output_index": index}
        events.append({"type": "response.output_item.added", **place, "item": added})
        events += [
            {"item_id": added["id"], **place, "content_index": 0, **event}
            for event in between
        ]
        events.append({"type": "response.output_item.done", **place, "item": done})
    events += more
    if last is not None:
        events.append({"type": f"response.{last['status']}", "response": last})
    numbered = [
        {**event, "sequence_number": number} for number, event in enumerate(events)
    ]
    return _sse(*numbered)


def _words(*deltas: str) -> tuple[Any, Any, Any]:
    item = {"id": "msg_1", "type": "message", "role": "assistant"}
    whole: Mapping[str, Any] = {
        "type": "output_text",
        "text": "".join(deltas),
        "annotations": [],
    }
    events: list[Any] = [
        {"type": "response.content_part.added", "part": {**whole, "text": ""}},
        *({"type": "response.output_text.delta", "delta": delta} for delta in deltas),
        {"type": "response.output_text.done", "text": whole["text"]},
        {"type": "response.content_part.done", "part": whole},
    ]
    return (
        {**item, "status": "in_progress", "content": []},
        events,
        {**item, "status": "completed", "content": [whole]},
    )


def _refused(text: str) -> tuple[Any, Any, Any]:
    item = {"id": "msg_1", "type": "message", "role": "assistant"}
    whole = {"type": "refusal", "refusal": text}
    events = [
        {"type": "response.content_part.added", "part": {**whole, "refusal": ""}},
        {"type": "response.refusal.delta", "delta": text},
        {"type": "response.refusal.done", "refusal": text},
        {"type": "response.content_part.done", "part": whole},
    ]
    return (
        {**item, "status": "in_progress", "content": []},
        events,
        {**item, "status": "completed", "content": [whole]},
    )


def _function(number: int, *fragments: str) -> tuple[Any, Any, Any]:
    item = {
        "id": f"fc_{number}",
        "type": "function_call",
        "call_id": f"call_{number}",
        "name": "get_weather",
    }
    kind = "response.function_call_arguments"
    whole = "".join(fragments)
    events = [
        *({"type": f"{kind}.delta", "delta": fragment} for fragment in fragments),
        {"type": f"{kind}.done", "arguments": whole, "name": "get_weather"},
    ]
    return (
        {**item, "status": "in_progress", "arguments": ""},
        events,
        {**item, "status": "completed", "arguments": whole},
    )


def _thinking(summary: str) -> tuple[Any, Any, Any]:
    item = {"id": "rs_1", "type": "reasoning"}
    part = {"type": "summary_text", "text": summary}
    kind = "response.reasoning_summary"
    events = [
        {
            "type": f"{kind}_part.added",
            "summary_index": 0,
            "part": {**part, "text": ""},
        },
        {"type": f"{kind}_text.delta", "summary_index": 0, "delta": summary},
        {"type": f"{kind}_text.done", "summary_index": 0, "text": summary},
        {"type": f"{kind}_part.done", "summary_index": 0, "part": part},
    ]
    return {**item, "summary": []}, events, {**item, "summary": [part]}


def _ended(status: str, items: list[Any], **fields: Any) -> Mapping[str, Any]:
    done = [item for _, _, item in items]
    return _response(status, done, usage=_RESPONSE_COUNTS, **fields)


_CALLS = [
    _thinking("Two calls."),
    _words("One ", "moment"),
    _function(1, '{"city":', '"Malmö"}'),
    _function(2, '{"city":"Århus 🎈"}'),
]
_TEXT = [_words("6")]
_RESPONSES = {
    "parallel_calls_after_reasoning_with_cache": _responses(
        _CALLS, _ended("completed", _CALLS)
    ),
    "refusal": _responses(
        [_refused("I cannot.")], _ended("completed", [_refused("I cannot.")])
    ),
    "too_long": _responses(
        _TEXT,
        _ended("incomplete", _TEXT, incomplete_details={"reason": "max_output_tokens"}),
    ),
    "content_filter": _responses(
        _TEXT,
        _ended("incomplete", _TEXT, incomplete_details={"reason": "content_filter"}),
    ),
    "failed": _responses(
        _TEXT,
        _ended("failed", _TEXT, error={"code": "server_error", "message": "Broken"}),
    ),
    "error_midway": _responses(
        _TEXT,
        None,
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down"},
    ),
    "unknown_event_and_item": _responses(
        [
            ({"id": "x_1", "type": "novelty"}, [], {"id": "x_1", "type": "novelty"}),
            *_TEXT,
        ],
        _ended("completed", _TEXT),
        {"type": "response.novelty", "x": 1},
    ),
    "odd_line_separators": _responses(
        [_words("a\u2028b\u2029c\x85d\n")],
        _ended("completed", [_words("a\u2028b\u2029c\x85d\n")]),
    ),
    "cut": _responses(_TEXT, None),
}

# Ollama


def _line(message: Mapping[str, Any], **fields: Any) -> bytes:
    line = {
        "model": "recorded",
        "created_at": "2026-11-01T10:00:00.123456Z",
        "message": {"role": "assistant", "content": "", **message},
        "done": False,
        **fields,
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _last(reason: str) -> bytes:
    return _line(
        {},
        done=True,
        done_reason=reason,
        total_duration=1,
        load_duration=1,
        prompt_eval_count=26,
        prompt_eval_duration=1,
        eval_count=9,
        eval_duration=1,
    )


def _called(name: str, arguments: Mapping[str, Any], **fields: Any) -> bytes:
    function = {"name": name, "arguments": arguments}
    return _line({"tool_calls": [{**fields, "function": function}]})


_OLLAMA = {
    "text": _line({"content": "Hello"}) + _line({"content": " 🎈"}) + _last("stop"),
    "thinking": _line({"thinking": "3 and 3"})
    + _line({"content": "6"})
    + _last("stop"),
    "parallel_calls": _called("get_weather", {"city": "Malmö"})
    + _called("get_time", {"zone": {"at": [1, 2.5, None]}})
    + _last("stop"),
    "too_long": _line({"content": "1"}) + _last("length"),
    "error_midway": _line({"content": "1"}) + b'{"error":"out of memory"}\n',
    "cut": _line({"content": "1"}),
    "odd_line_separators": _line({"content": "a\u2028b\u2029c\x85d\n"}) + _last("stop"),
    "no_last_line_end": _line({"content": "1"}) + _last("stop").rstrip(b"\n"),
}

HAND_MADE = [
    Case(f"{protocol}_{name}", protocol, body)
    for protocol, bodies in (
        (Protocol.ANTHROPIC, _ANTHROPIC),
        (Protocol.CHAT, _CHAT),
        (Protocol.RESPONSES, _RESPONSES),
        (Protocol.OLLAMA, _OLLAMA),
    )
    for name, body in bodies.items()
]
