"""The vendors' own SDKs, pydantic-ai and litellm, each in the cheapest way it offers.

They are asked for a text and its counts, as their documentation shows it. What is not
in the dev group is imported by name, for type checkers do not find it either.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from benchmarks._streaming_clients import Ask, Counts, OnText
from benchmarks._streaming_wire import MODEL, Protocol

_KEY = "sk-measured"
_MOST_TOKENS = 64_000


@asynccontextmanager
async def open_anthropic_raw(base_url: str, _: Protocol) -> AsyncGenerator[Ask]:
    import anthropic

    client = anthropic.AsyncAnthropic(base_url=base_url, api_key=_KEY, max_retries=0)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        tokens_in = tokens_out = None
        async with await client.messages.create(
            model=MODEL,
            max_tokens=_MOST_TOKENS,
            messages=[{"role": "user", "content": prompt}],
            stream=True,
        ) as stream:
            async for event in stream:
                if event.type == "content_block_delta":
                    if event.delta.type == "text_delta":
                        on_text(event.delta.text)
                elif event.type == "message_start":
                    tokens_in = event.message.usage.input_tokens
                elif event.type == "message_delta":
                    tokens_out = event.usage.output_tokens
        return tokens_in, tokens_out

    async with client:
        yield ask


@asynccontextmanager
async def open_anthropic_text(base_url: str, _: Protocol) -> AsyncGenerator[Ask]:
    import anthropic

    client = anthropic.AsyncAnthropic(base_url=base_url, api_key=_KEY, max_retries=0)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        async with client.messages.stream(
            model=MODEL,
            max_tokens=_MOST_TOKENS,
            messages=[{"role": "user", "content": prompt}],
        ) as stream:
            async for text in stream.text_stream:
                on_text(text)
            usage = (await stream.get_final_message()).usage
        return usage.input_tokens, usage.output_tokens

    async with client:
        yield ask


@asynccontextmanager
async def open_openai_chat(base_url: str, _: Protocol) -> AsyncGenerator[Ask]:
    import openai

    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key=_KEY, max_retries=0)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        counts: Counts = (None, None)
        async with await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        ) as stream:
            async for chunk in stream:
                if chunk.choices and (text := chunk.choices[0].delta.content):
                    on_text(text)
                if chunk.usage is not None:
                    usage = chunk.usage
                    counts = usage.prompt_tokens, usage.completion_tokens
        return counts

    async with client:
        yield ask


@asynccontextmanager
async def open_openai_responses(base_url: str, _: Protocol) -> AsyncGenerator[Ask]:
    import openai

    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key=_KEY, max_retries=0)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        counts: Counts = (None, None)
        async with await client.responses.create(
            model=MODEL, input=prompt, stream=True
        ) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    on_text(event.delta)
                elif event.type == "response.completed" and event.response.usage:
                    usage = event.response.usage
                    counts = usage.input_tokens, usage.output_tokens
        return counts

    async with client:
        yield ask


@asynccontextmanager
async def open_ollama(base_url: str, _: Protocol) -> AsyncGenerator[Ask]:
    import httpx
    import ollama

    # Its default is 100 streams at once: the next ones would wait and time out.
    limits = httpx.Limits(max_connections=None)
    client: Any = ollama.AsyncClient(base_url, limits=limits)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        counts: Counts = (None, None)
        stream = await client.chat(
            model=MODEL, messages=[{"role": "user", "content": prompt}], stream=True
        )
        async for line in stream:
            if line.message.content:
                on_text(line.message.content)
            if line.done:
                counts = line.prompt_eval_count, line.eval_count
        return counts

    yield ask


@asynccontextmanager
async def open_pydantic_ai(base_url: str, protocol: Protocol) -> AsyncGenerator[Ask]:
    """Its direct requests: an agent around them costs more."""
    direct = import_module("pydantic_ai.direct")
    messages = import_module("pydantic_ai.messages")
    model = _pydantic_ai_model(base_url, protocol)

    async def ask(prompt: str, on_text: OnText) -> Counts:
        asked = [messages.ModelRequest.user_text_prompt(prompt)]
        settings = {"max_tokens": _MOST_TOKENS}
        async with direct.model_request_stream(
            model, asked, model_settings=settings
        ) as stream:
            async for event in stream:
                if event.event_kind == "part_delta":
                    if event.delta.part_delta_kind == "text":
                        on_text(event.delta.content_delta)
                elif event.event_kind == "part_start" and event.part.content:
                    on_text(event.part.content)
        return stream.usage.input_tokens, stream.usage.output_tokens

    yield ask


def _pydantic_ai_model(base_url: str, protocol: Protocol) -> Any:
    name = "anthropic" if protocol is Protocol.ANTHROPIC else "openai"
    models = import_module(f"pydantic_ai.models.{name}")
    providers = import_module(f"pydantic_ai.providers.{name}")
    if protocol is Protocol.ANTHROPIC:
        provider = providers.AnthropicProvider(api_key=_KEY, base_url=base_url)
        return models.AnthropicModel(MODEL, provider=provider)
    provider = providers.OpenAIProvider(api_key=_KEY, base_url=f"{base_url}/v1")
    return models.OpenAIChatModel(MODEL, provider=provider)


@asynccontextmanager
async def open_litellm(base_url: str, protocol: Protocol) -> AsyncGenerator[Ask]:
    # Without it, importing litellm waits for a price list from another machine.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    litellm: Any = import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True  # or it prints advice into what is measured
    is_anthropic = protocol is Protocol.ANTHROPIC
    name = "anthropic" if is_anthropic else "openai"

    async def ask(prompt: str, on_text: OnText) -> Counts:
        counts: Counts = (None, None)
        stream = await litellm.acompletion(
            model=f"{name}/{MODEL}",
            api_base=base_url if is_anthropic else f"{base_url}/v1",
            api_key=_KEY,
            max_tokens=_MOST_TOKENS,
            messages=[{"role": "user", "content": prompt}],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                on_text(text)
            if usage := getattr(chunk, "usage", None):
                counts = usage.prompt_tokens, usage.completion_tokens
        return counts

    yield ask
