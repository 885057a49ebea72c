"""A chat request → the JSON of chat completions.

History is made fit for strict servers: answers that follow each other without a prompt
between them are one message, a tool call without its result (or a result without its
call) is left out, and so is a message that says nothing. Reasoning is not sent back.

Source: OpenAI API reference, "Create chat completion".
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import TypeAlias, assert_never
from urllib.parse import urlsplit

import msgspec

from tina.domain.chat import ChatOptions, ChatRequest
from tina.domain.ids import ToolCallId
from tina.domain.messages import (
    FilePart,
    ImagePart,
    Message,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.domain.text import clean_text

Wire: TypeAlias = dict[str, object]
"""A JSON object as it is sent."""

_OPENAI_HOST = "api.openai.com"


class ChatQuirks(msgspec.Struct, frozen=True, kw_only=True):
    """Where servers that speak this protocol differ; the defaults suit most."""

    max_tokens_field: str = "max_tokens"
    include_usage: bool = True
    include_obfuscation: bool | None = None
    """OpenAI pads its chunks unless told not to; others do not know the word."""
    empty_content: str | None = ""
    """What stands for the text of an answer that is only tool calls."""


OPENAI_QUIRKS = ChatQuirks(
    max_tokens_field="max_completion_tokens",
    include_obfuscation=False,
    empty_content=None,
)


def quirks_for(base_url: str) -> ChatQuirks:
    return OPENAI_QUIRKS if is_openai(base_url) else ChatQuirks()


def is_openai(base_url: str) -> bool:
    """Whether this is OpenAI itself, regional addresses included; by the host alone."""
    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")


def encode_request(request: ChatRequest, *, quirks: ChatQuirks) -> bytes:
    """The body of a request whose answer is streamed, as compact JSON."""
    body: Wire = {
        "model": clean_text(request.model),
        "messages": encode_messages(request, quirks=quirks),
        **_encode_options(request.options, quirks),
        "stream": True,
    }
    if quirks.include_usage:
        body["stream_options"] = _encode_stream_options(quirks)
    return msgspec.json.encode(body)


def encode_messages(request: ChatRequest, *, quirks: ChatQuirks) -> list[Wire]:
    """The system text and the history, oldest first."""
    paired = _paired_calls(request.messages)
    wires: list[Wire] = []
    if request.system:
        wires.append({"role": "system", "content": clean_text(request.system)})
    for message in request.messages:
        for wire in _encode_message(message, paired, quirks):
            if wires and _can_be_joined(wires[-1], wire):
                wires[-1] = _joined(wires[-1], wire)
            else:
                wires.append(wire)
    return wires


def _encode_message(
    message: Message, paired: frozenset[ToolCallId], quirks: ChatQuirks
) -> list[Wire]:
    match message.role:
        case Role.SYSTEM:
            text = clean_text(message.text)
            return [{"role": "system", "content": text}] if text else []
        case Role.USER:
            return _encode_prompt(message)
        case Role.ASSISTANT:
            return _encode_answer(message, paired, quirks)
        case Role.TOOL:
            return _encode_results(message, paired)
        case _:
            assert_never(message.role)


def _encode_prompt(message: Message) -> list[Wire]:
    contents = [
        content
        for part in message.parts
        if isinstance(part, TextPart | ImagePart | FilePart)
        and (content := _encode_content(part)) is not None
    ]
    if not contents:
        return []
    if all(isinstance(part, TextPart) for part in message.parts):
        return [{"role": "user", "content": clean_text(message.text)}]
    return [{"role": "user", "content": contents}]


def _encode_content(part: TextPart | ImagePart | FilePart) -> Wire | None:
    match part:
        case TextPart():
            text = clean_text(part.text)
            return {"type": "text", "text": text} if text else None
        case ImagePart():
            url = _data_url(part.media_type, part.data)
            return {"type": "image_url", "image_url": {"url": url}}
        case FilePart():
            file = {
                "filename": clean_text(part.name),
                "file_data": _data_url(part.media_type, part.data),
            }
            return {"type": "file", "file": file}
        case _:
            assert_never(part)


def _encode_answer(
    message: Message, paired: frozenset[ToolCallId], quirks: ChatQuirks
) -> list[Wire]:
    text = clean_text(message.text)
    refusal = "".join(
        clean_text(part.text) for part in message.parts if isinstance(part, RefusalPart)
    )
    calls = [
        _encode_call(part)
        for part in message.parts
        if isinstance(part, ToolCallPart) and part.call_id in paired
    ]
    if not (text or refusal or calls):
        return []
    wire: Wire = {"role": "assistant", "content": text or quirks.empty_content}
    if refusal:
        wire["refusal"] = refusal
    if calls:
        wire["tool_calls"] = calls
    return [wire]


def _encode_call(part: ToolCallPart) -> Wire:
    function = {
        "name": clean_text(part.tool),
        "arguments": clean_text(part.arguments) or "{}",
    }
    return {"id": clean_text(part.call_id), "type": "function", "function": function}


def _encode_results(message: Message, paired: frozenset[ToolCallId]) -> list[Wire]:
    return [
        {
            "role": "tool",
            "tool_call_id": clean_text(part.call_id),
            # The protocol has no field for it.
            "content": clean_text(
                f"Error: {part.content}" if part.is_error else part.content
            ),
        }
        for part in message.parts
        if isinstance(part, ToolResultPart) and part.call_id in paired
    ]


def _paired_calls(messages: Sequence[Message]) -> frozenset[ToolCallId]:
    """Calls that have a result: OpenAI refuses one without the other."""
    parts = [part for message in messages for part in message.parts]
    called = {part.call_id for part in parts if isinstance(part, ToolCallPart)}
    answered = {part.call_id for part in parts if isinstance(part, ToolResultPart)}
    return frozenset(called & answered)


def _can_be_joined(before: Wire, wire: Wire) -> bool:
    """Whether these are two answers with no prompt between them, the first only text.

    Servers whose template wants roles in turn refuse them as they are.
    """
    plain = {"role", "content"}
    return before["role"] == wire["role"] == "assistant" and before.keys() == plain


def _joined(before: Wire, wire: Wire) -> Wire:
    content = f"{before['content']}{wire['content'] or ''}"
    return {**wire, "content": content}


def _encode_options(options: ChatOptions, quirks: ChatQuirks) -> Wire:
    wire: Wire = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "top_k": options.top_k,
        "min_p": options.min_p,
        quirks.max_tokens_field: options.max_tokens,
        "seed": options.seed,
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
        "stop": [clean_text(word) for word in options.stop] or None,
    }
    return {name: value for name, value in wire.items() if value is not None}


def _encode_stream_options(quirks: ChatQuirks) -> Wire:
    wire: Wire = {"include_usage": True}
    if quirks.include_obfuscation is not None:
        wire["include_obfuscation"] = quirks.include_obfuscation
    return wire


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(data).decode()}"
