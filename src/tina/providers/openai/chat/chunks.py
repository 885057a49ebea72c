"""The JSON of chat completions, as far as it is read, and what makes it typed.

Only what carries the answer has an exact type; everything else is read leniently
when it is needed, so that an odd count or label never costs text.

Source: OpenAI API reference, "Chat Completions", streaming; and the differences of
compatible servers.
"""

from typing import Any

import msgspec

from tina.domain.chat import Usage
from tina.domain.failures import ProtocolFailure
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import UNREADABLE, count_of, is_mapping, read_json

ABSENT = msgspec.Raw(b"")
_EMPTY_JSON = frozenset({b"", b"null", b"false", b'""', b"{}", b"[]", b"0"})


class FunctionDelta(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: Any = None


class CallDelta(msgspec.Struct, gc=False):
    """A piece of a tool call; whole calls of an answer in one piece look alike."""

    index: Any = None
    id: Any = None
    function: FunctionDelta | None = None
    extra_content: msgspec.Raw = ABSENT


class Delta(msgspec.Struct, gc=False):
    content: str | list[Any] | None = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: msgspec.Raw = ABSENT
    annotations: msgspec.Raw = ABSENT
    audio: msgspec.Raw = ABSENT
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None


class Choice(msgspec.Struct, gc=False):
    """`delta` in a stream, `message` in an answer that came in one piece."""

    index: Any = 0
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: Any = None


class Chunk(msgspec.Struct, gc=False):
    id: Any = None
    object: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = ABSENT
    x_groq: msgspec.Raw = ABSENT
    timings: msgspec.Raw = ABSENT
    prompt_progress: msgspec.Raw = ABSENT
    citations: msgspec.Raw = ABSENT
    search_results: msgspec.Raw = ABSENT


_CHUNKS = msgspec.json.Decoder(Chunk)


def parse_chunk(payload: bytes | str) -> Chunk:
    """Read one chunk, or one whole answer.

    Raises:
        ProtocolFailure: it is not JSON, or not of this shape.
    """
    try:
        return _CHUNKS.decode(payload)
    except UNREADABLE:
        pass  # out here, since the error may hold the payload, and the key in it
    text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
    try:
        return _CHUNKS.decode(repair_escapes(text))
    except (msgspec.DecodeError, RecursionError) as error:
        raise ProtocolFailure(
            "The server sent something that is no chat completion. "
            "Check that the base URL is that of an OpenAI-compatible API."
        ) from error


def is_present(raw: msgspec.Raw) -> bool:
    """Whether a field says anything: not absent, null, false or empty."""
    text = bytes(raw)
    return text not in _EMPTY_JSON and text.strip() not in _EMPTY_JSON


def read_usage(chunk: Chunk) -> Usage | None:
    """The counts in a chunk; what is missing or absurd is None."""
    if chunk.usage is not ABSENT and is_present(chunk.usage):
        return _usage_of(read_json(chunk.usage))
    if chunk.x_groq is not ABSENT:
        groq = read_json(chunk.x_groq)
        return _usage_of(groq.get("usage")) if is_mapping(groq) else None
    if chunk.timings is not ABSENT:
        return _usage_of_timings(read_json(chunk.timings))
    return None


def _usage_of(value: object) -> Usage | None:
    if not is_mapping(value):
        return None
    prompt = value.get("prompt_tokens_details")
    completion = value.get("completion_tokens_details")
    usage = Usage(
        input_tokens=count_of(value, "prompt_tokens"),
        output_tokens=count_of(value, "completion_tokens"),
        cached_tokens=_cached_of(value, prompt),
        cache_write_tokens=count_of(prompt, "cache_write_tokens"),
        reasoning_tokens=count_of(completion, "reasoning_tokens"),
    )
    return None if usage == Usage() else usage


def _cached_of(value: object, prompt: object) -> int | None:
    counts = (
        count_of(prompt, "cached_tokens"),
        count_of(value, "prompt_cache_hit_tokens"),  # DeepSeek
        count_of(value, "cached_tokens"),  # Moonshot
    )
    return next((count for count in counts if count is not None), None)


def _usage_of_timings(value: object) -> Usage | None:
    """llama.cpp tells its counts here when no usage was asked for."""
    read, cached = count_of(value, "prompt_n"), count_of(value, "cache_n")
    written = count_of(value, "predicted_n")
    if read is None or written is None:
        return None
    return Usage(
        input_tokens=read + (cached or 0), output_tokens=written, cached_tokens=cached
    )
