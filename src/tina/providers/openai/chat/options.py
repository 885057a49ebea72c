"""Options of a request, under the names of chat completions.

Source: OpenAI API reference, "Create chat completion".
"""

from collections.abc import Sequence

import msgspec

from tina.domain.chat import Capability, ChatOptions, ChatRequest, Effort, ModelInfo
from tina.domain.failures import InvalidInputFailure
from tina.domain.text import clean_text
from tina.providers.lenient import UNREADABLE, Wire, read_json
from tina.providers.openai.chat.messages import can, is_reasoning_model
from tina.providers.openai.chat.quirks import ChatQuirks, ResponseFormat
from tina.providers.openai.chat.tools import is_closed

_EFFORTS = tuple(Effort)
_SCHEMAS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def encode_options(
    request: ChatRequest, quirks: ChatQuirks, known: ModelInfo | None
) -> Wire:
    """What was asked for, without what the server or the model cannot do."""
    options = request.options
    wire: Wire = {
        quirks.max_tokens_field: options.max_tokens,
        quirks.seed_field: options.seed,
        "stop": [clean_text(word) for word in options.stop] or None,
        "response_format": _encode_format(options, quirks),
    }
    if quirks.effort:
        wire["reasoning_effort"] = _nearest(options.effort, known)
    if _may_sample(request, quirks, known):
        wire |= _encode_sampling(options, quirks)
    if quirks.cache_key and request.cache_key:
        wire["prompt_cache_key"] = clean_text(request.cache_key)
    if quirks.store is not None:
        wire["store"] = quirks.store
    return {name: value for name, value in wire.items() if value is not None}


def schema_instructions(request: ChatRequest, quirks: ChatQuirks) -> tuple[str, ...]:
    """What the model is told of the answer's shape where the server is not."""
    schema = request.options.schema
    if schema is None or quirks.response_format is ResponseFormat.JSON_SCHEMA:
        return ()
    return (instructions_for(schema),)


def instructions_for(schema: str) -> str:
    return (
        "Answer with JSON alone, without any text around it. "
        f"It has to match this JSON Schema: {schema}"
    )


def _encode_format(options: ChatOptions, quirks: ChatQuirks) -> Wire | None:
    if options.schema is None or quirks.response_format is ResponseFormat.NONE:
        return None
    if quirks.response_format is ResponseFormat.JSON_OBJECT:
        return {"type": "json_object"}
    shape: Wire = {"name": "answer", "schema": _read_schema(options.schema)}
    if quirks.strict and is_closed(read_json(options.schema.encode())):
        shape["strict"] = True
    return {"type": "json_schema", "json_schema": shape}


def _read_schema(schema: str) -> object:
    try:
        return _SCHEMAS.decode(schema)
    except UNREADABLE as error:
        raise InvalidInputFailure(
            "The schema for the answer is no JSON object. Check it with any JSON tool."
        ) from error


def _may_sample(
    request: ChatRequest, quirks: ChatQuirks, known: ModelInfo | None
) -> bool:
    """OpenAI's reasoning models refuse it, unless they are not to think."""
    if not can(known, Capability.SAMPLING):
        return False
    if not quirks.developer_role or request.options.effort is Effort.NONE:
        return True
    return not is_reasoning_model(request.model, known)


def _encode_sampling(options: ChatOptions, quirks: ChatQuirks) -> Wire:
    wire: Wire = {
        "temperature": options.temperature,
        "top_p": options.top_p,
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
    }
    if quirks.top_k:
        wire |= {"top_k": options.top_k, "min_p": options.min_p}
    return wire


def _nearest(effort: Effort | None, known: ModelInfo | None) -> Effort | None:
    """The effort that the model knows and that is nearest, the lower one of two."""
    choices: Sequence[Effort] = _EFFORTS
    if known is not None and known.efforts is not None:
        choices = sorted(known.efforts, key=_EFFORTS.index)
    if effort is None or not choices:
        return None
    asked = _EFFORTS.index(effort)
    return min(choices, key=lambda each: abs(_EFFORTS.index(each) - asked))
