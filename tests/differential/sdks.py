"""The vendors' own SDKs, used as their documentation says, and what they hear.

What they cannot express is said in the common words of `heard`, by the table of finish
reasons that Tina's adapters follow, too.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anthropic
import ollama
import openai

from tests.differential.heard import Call, Heard, Tokens, read_arguments
from tina.domain.chat import StopReason

MODEL = "recorded"
KEY = "sk-recorded"
PROMPT = "Hello."
_TOKENS = 1_000

AskSdk: TypeAlias = Callable[[str, bool], Awaitable[Heard]]
"""Asks a base URL without a path, streamed or not."""

_ANTHROPIC_STOPS = {
    "end_turn": StopReason.STOP,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "max_tokens": StopReason.LENGTH,
    "model_context_window_exceeded": StopReason.CONTEXT_FULL,
    "tool_use": StopReason.TOOL_CALLS,
    "refusal": StopReason.CONTENT_FILTER,
    "pause_turn": StopReason.PAUSED,
}
_CHAT_STOPS = {
    "stop": StopReason.STOP,
    "length": StopReason.LENGTH,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "content_filter": StopReason.CONTENT_FILTER,
}
_ENDS = {"response.completed", "response.incomplete", "response.failed"}
_OLLAMA_STOPS = {"stop": StopReason.STOP, "length": StopReason.LENGTH}


def _stop(
    word: str | None, stops: Mapping[str, StopReason], calls: tuple[Call, ...]
) -> StopReason | None:
    """None if the SDK has nothing to say about the end."""
    if word is None:
        return None
    stop = stops.get(word, StopReason.UNKNOWN)
    return StopReason.TOOL_CALLS if calls and stop is StopReason.STOP else stop


async def ask_anthropic(base_url: str, is_streamed: bool) -> Heard:
    client = anthropic.AsyncAnthropic(base_url=base_url, api_key=KEY, max_retries=0)
    async with client:
        try:
            if not is_streamed:
                return _heard_message(
                    await client.messages.create(
                        model=MODEL,
                        max_tokens=_TOKENS,
                        messages=[{"role": "user", "content": PROMPT}],
                    )
                )
            async with client.messages.stream(
                model=MODEL,
                max_tokens=_TOKENS,
                messages=[{"role": "user", "content": PROMPT}],
            ) as stream:
                return _heard_message(await stream.get_final_message())
        except Exception as error:  # noqa: BLE001 - which one it is, is the question
            return Heard(error=type(error).__name__)


def _heard_message(message: Any) -> Heard:
    calls = tuple(
        Call(block.id, block.name, block.input)
        for block in message.content
        if block.type == "tool_use"
    )
    usage = message.usage
    cached, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    details = usage.output_tokens_details
    return Heard(
        text="".join(_of(message.content, "text", "text")),
        reasoning="".join(_of(message.content, "thinking", "thinking")),
        calls=calls,
        tokens=Tokens(
            usage.input_tokens + (cached or 0) + (written or 0),
            usage.output_tokens,
            cached,
            written,
            details.thinking_tokens if details else None,
        ),
        stop=_stop(message.stop_reason, _ANTHROPIC_STOPS, calls),
    )


def _of(items: Any, kind: str, field: str) -> list[str]:
    return [getattr(item, field) for item in items if item.type == kind]


async def ask_chat(base_url: str, is_streamed: bool) -> Heard:
    """Its chunks: the helper that joins them takes a long answer for an error."""
    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key=KEY, max_retries=0)
    async with client:
        try:
            if not is_streamed:
                return _heard_completion(
                    await client.chat.completions.create(
                        model=MODEL, messages=[{"role": "user", "content": PROMPT}]
                    )
                )
            stream = await client.chat.completions.create(
                model=MODEL,
                messages=[{"role": "user", "content": PROMPT}],
                stream=True,
                stream_options={"include_usage": True},
            )
            return _heard_chunks([chunk async for chunk in stream])
        except Exception as error:  # noqa: BLE001 - which one it is, is the question
            return Heard(error=type(error).__name__)


def _heard_chunks(chunks: list[Any]) -> Heard:
    choices = [
        choice for chunk in chunks for choice in chunk.choices if choice.index == 0
    ]
    deltas = [choice.delta for choice in choices]
    words = [choice.finish_reason for choice in choices if choice.finish_reason]
    counts = [chunk.usage for chunk in chunks if chunk.usage is not None]
    calls = _put_together(
        [piece for delta in deltas for piece in delta.tool_calls or ()]
    )
    return Heard(
        text=_joined(deltas, "content"),
        reasoning=_joined(deltas, "reasoning_content"),
        refusal=_joined(deltas, "refusal"),
        calls=calls,
        tokens=_chat_tokens(counts[-1] if counts else None),
        stop=_stop(words[-1] if words else None, _CHAT_STOPS, calls),
    )


def _put_together(pieces: list[Any]) -> tuple[Call, ...]:
    """Calls by their index, as the SDK's documentation does it."""
    calls: dict[int, list[str]] = {}
    for piece in pieces:
        call = calls.setdefault(piece.index, ["", "", ""])
        call[0] = call[0] or piece.id or ""
        call[1] += piece.function.name or ""
        call[2] += piece.function.arguments or ""
    return tuple(
        Call(call_id, name, read_arguments(arguments))
        for call_id, name, arguments in calls.values()
    )


def _joined(items: list[Any], field: str) -> str:
    return "".join(getattr(item, field, None) or "" for item in items)


def _heard_completion(completion: Any) -> Heard:
    choice = completion.choices[0]
    message = choice.message
    calls = tuple(
        Call(call.id, call.function.name, read_arguments(call.function.arguments))
        for call in message.tool_calls or ()
    )
    return Heard(
        text=message.content or "",
        reasoning=getattr(message, "reasoning_content", None) or "",
        refusal=message.refusal or "",
        calls=calls,
        tokens=_chat_tokens(completion.usage),
        stop=_stop(choice.finish_reason, _CHAT_STOPS, calls),
    )


def _chat_tokens(usage: Any) -> Tokens:
    if usage is None:
        return Tokens()
    into, out = usage.prompt_tokens_details, usage.completion_tokens_details
    return Tokens(
        usage.prompt_tokens,
        usage.completion_tokens,
        into.cached_tokens if into else None,
        getattr(into, "cache_write_tokens", None),
        out.reasoning_tokens if out else None,
    )


async def ask_responses(base_url: str, is_streamed: bool) -> Heard:
    """Its events: the helper that joins them needs numbers that some servers omit."""
    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key=KEY, max_retries=0)
    async with client:
        try:
            if not is_streamed:
                return _heard_response(
                    await client.responses.create(model=MODEL, input=PROMPT)
                )
            stream = await client.responses.create(
                model=MODEL, input=PROMPT, stream=True
            )
            return _heard_events([event async for event in stream])
        except Exception as error:  # noqa: BLE001 - which one it is, is the question
            return Heard(error=type(error).__name__)


def _heard_events(events: list[Any]) -> Heard:
    """What is said in the end, with the text as it was streamed."""
    ends = [event for event in events if event.type in _ENDS]
    heard = _heard_response(ends[-1].response) if ends else Heard()
    return heard._replace(
        text="".join(_of(events, "response.output_text.delta", "delta")),
        refusal="".join(_of(events, "response.refusal.delta", "delta")),
    )


def _heard_response(response: Any) -> Heard:
    messages = [item for item in response.output if item.type == "message"]
    parts = [part for message in messages for part in message.content]
    calls = tuple(
        Call(item.call_id, item.name, read_arguments(item.arguments))
        for item in response.output
        if item.type == "function_call"
    )
    refusal = "".join(_of(parts, "refusal", "refusal"))
    return Heard(
        text="".join(_of(parts, "output_text", "text")),
        reasoning=_response_reasoning(response),
        refusal=refusal,
        calls=calls,
        tokens=_response_tokens(response.usage),
        stop=_response_stop(response, calls, refusal),
    )


def _response_reasoning(response: Any) -> str:
    items = [item for item in response.output if item.type == "reasoning"]
    return "".join(
        part.text for item in items for part in (item.summary or item.content or ())
    )


def _response_tokens(usage: Any) -> Tokens:
    if usage is None:
        return Tokens()
    into, out = usage.input_tokens_details, usage.output_tokens_details
    return Tokens(
        usage.input_tokens,
        usage.output_tokens,
        into.cached_tokens if into else None,
        getattr(into, "cache_write_tokens", None),
        out.reasoning_tokens if out else None,
    )


def _response_stop(
    response: Any, calls: tuple[Call, ...], refusal: str
) -> StopReason | None:
    if response.status == "incomplete":
        reason = response.incomplete_details and response.incomplete_details.reason
        words = {
            "max_output_tokens": StopReason.LENGTH,
            "content_filter": StopReason.CONTENT_FILTER,
        }
        return words.get(reason, StopReason.UNKNOWN)
    if response.status != "completed":
        return StopReason.UNKNOWN
    if calls:
        return StopReason.TOOL_CALLS
    return StopReason.CONTENT_FILTER if refusal else StopReason.STOP


async def ask_ollama(base_url: str, is_streamed: bool) -> Heard:
    client: Any = ollama.AsyncClient(base_url)
    async with client:
        try:
            answer = await client.chat(
                model=MODEL,
                messages=[{"role": "user", "content": PROMPT}],
                stream=is_streamed,
            )
            lines = [line async for line in answer] if is_streamed else [answer]
        except Exception as error:  # noqa: BLE001 - which one it is, is the question
            return Heard(error=type(error).__name__)
    return _heard_lines(lines)


def _heard_lines(lines: list[Any]) -> Heard:
    """Its own streams are lines: nothing in it puts them together."""
    calls = tuple(
        Call("", call.function.name, dict(call.function.arguments))
        for line in lines
        for call in line.message.tool_calls or ()
    )
    ends = [line for line in lines if line.done]
    return Heard(
        text="".join(line.message.content or "" for line in lines),
        reasoning="".join(line.message.thinking or "" for line in lines),
        calls=calls,
        tokens=Tokens(ends[0].prompt_eval_count, ends[0].eval_count)
        if ends
        else Tokens(),
        stop=_stop(ends[0].done_reason if ends else None, _OLLAMA_STOPS, calls),
    )
