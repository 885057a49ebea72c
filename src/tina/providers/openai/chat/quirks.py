"""Where servers that speak chat completions differ. Pure.

Each field is a word of `catalog.toml`; the defaults suit a server that nobody knows.

Source: OpenAI API reference, "Create chat completion"; and the documentation of
llama.cpp, vLLM, Ollama, OpenRouter, Groq, DeepSeek, xAI, Mistral and Gemini.
"""

from enum import StrEnum

import msgspec


class ReasoningField(StrEnum):
    """The field of an earlier answer in which a server wants its reasoning back."""

    NONE = "none"
    REASONING_CONTENT = "reasoning_content"
    REASONING = "reasoning"
    REASONING_DETAILS = "reasoning_details"


class ResponseFormat(StrEnum):
    """How a server is told of the shape of its answer."""

    NONE = "none"
    JSON_OBJECT = "json_object"
    """Only that it is JSON; the schema goes with the instructions."""
    JSON_SCHEMA = "json_schema"


class ThinkTags(StrEnum):
    """Which tags of reasoning a server leaves in the text."""

    NONE = "none"
    BOTH = "both"
    CLOSING = "closing"
    """The opening one is in the prompt: what comes before `</think>` is reasoning."""


class WebSearch(StrEnum):
    """How a server is asked to search the web, if it can."""

    NONE = "none"
    WEB_SEARCH_OPTIONS = "web_search_options"
    PLUGINS = "plugins"


class ChatQuirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_tokens_field: str = "max_tokens"
    seed_field: str = "seed"
    include_usage: bool = True
    """Ask for the counts at the end of the stream."""
    include_obfuscation: bool | None = None
    """OpenAI pads its chunks unless told not to; others do not know the word."""
    store: bool | None = None
    """Whether the server may keep the answer; None does not mention it."""
    cache_key: bool = False
    """It finds prompts that begin alike by `prompt_cache_key`."""
    null_content: bool = False
    """An answer that is only tool calls has the content null, not an empty text."""
    developer_role: bool = False
    """Reasoning models get their instructions as `developer`, not as `system`."""
    alternate_roles: bool = False
    """Its templates want one system message, first, and then the roles in turn."""
    reasoning: ReasoningField = ReasoningField.NONE
    think_tags: ThinkTags = ThinkTags.NONE
    effort: bool = True
    """It knows `reasoning_effort`."""
    top_k: bool = True
    """It knows `top_k` and `min_p`, which are not OpenAI's."""
    response_format: ResponseFormat = ResponseFormat.JSON_SCHEMA
    tool_choice: bool = True
    parallel_tool_calls: bool = True
    """It may be told to call one tool at a time."""
    strict: bool = False
    """It holds itself to a schema exactly, if that leaves nothing open."""
    short_call_ids: bool = False
    """Ids of tool calls have nine letters and digits."""
    web_search: WebSearch = WebSearch.NONE


OPENAI_QUIRKS = ChatQuirks(
    max_tokens_field="max_completion_tokens",
    include_obfuscation=False,
    store=False,
    cache_key=True,
    null_content=True,
    developer_role=True,
    top_k=False,
    strict=True,
)
