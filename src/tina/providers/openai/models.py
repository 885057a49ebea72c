"""The list of models, in the shapes that servers give it.

Source: OpenAI API reference, "List models"; and what llama.cpp, vLLM, LM Studio,
OpenRouter, Groq, Mistral, Together and Fireworks add to it.
"""

from collections.abc import Iterator, Mapping

from tina.domain.chat import Capability, ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.domain.text import clean_text
from tina.providers.lenient import is_list, is_mapping, read_json, text_of

_WINDOWS = (
    "n_ctx",
    "loaded_context_length",
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "n_ctx_train",
)
_LONGEST = ("max_completion_tokens", "max_output_tokens", "max_output_length")
_TITLES = ("display_name", "name")
_NO_CHAT = frozenset(
    {"audio", "embedding", "embeddings", "image", "moderation", "rerank", "transcribe"}
)
_CHAT_FLAGS = ("completion_chat", "chat_completion")

_OF_MODALITY = {"image": Capability.IMAGES, "file": Capability.FILES}
_OF_PARAMETER = {
    "tools": Capability.TOOLS,
    "reasoning": Capability.REASONING,
    "reasoning_effort": Capability.REASONING,
    "structured_outputs": Capability.SCHEMA,
    "temperature": Capability.SAMPLING,
}
_OF_FLAG = {
    "function_calling": Capability.TOOLS,
    "reasoning": Capability.REASONING,
    "supports_image_input": Capability.IMAGES,
    "supports_tools": Capability.TOOLS,
    "tool_use": Capability.TOOLS,
    "vision": Capability.IMAGES,
}
_USUAL = (Capability.SCHEMA, Capability.SAMPLING)
"""What lists with flags do not mention, since all models of these servers can it."""


def parse_models(body: bytes, *, provider: str) -> tuple[ModelInfo, ...]:
    """Read a list of models; without those that have no name, or cannot chat.

    Raises:
        ProtocolFailure: there is no list in it.
    """
    value = read_json(body.strip())
    if is_mapping(value):
        value = value.get("data", value.get("models"))
    if not is_list(value):
        raise ProtocolFailure(
            f"{provider} sent no list of models. Check that the base URL is that of "
            "an OpenAI-compatible API; most end in /v1."
        )
    models = (_read_model(entry, provider) for entry in value)
    return tuple(model for model in models if model is not None)


def _read_model(entry: object, provider: str) -> ModelInfo | None:
    if isinstance(entry, str):
        entry = {"id": entry}
    name = text_of(entry, "id")
    if not (name and is_mapping(entry) and _can_chat(entry)):
        return None
    titles = (text_of(entry, field) for field in _TITLES)
    title = next((title for title in titles if title), "")
    return ModelInfo(
        provider=provider,
        model=name,
        title="" if title == name else title,
        context_tokens=_size_in(entry, _WINDOWS),
        output_tokens=_size_in(entry, _LONGEST),
        capabilities=_capabilities_of(entry),
    )


def _can_chat(entry: Mapping[str, object]) -> bool:
    """Unless it says that it cannot."""
    if text_of(entry, "type") in _NO_CHAT or entry.get("supports_chat") is False:
        return False
    flags = entry.get("capabilities")
    if not is_mapping(flags):
        return True
    said = [flags[name] for name in _CHAT_FLAGS if name in flags]
    return not said or True in said


def _size_in(entry: Mapping[str, object], names: tuple[str, ...]) -> int | None:
    """The size that holds: where it is served goes before what the weights could."""
    places = (entry.get("meta"), entry.get("top_provider"), entry)
    sizes = (place.get(name) for name in names for place in places if is_mapping(place))
    return next((size for size in sizes if type(size) is int and size > 0), None)


def _capabilities_of(entry: Mapping[str, object]) -> tuple[Capability, ...] | None:
    """None where the list does not say; what it says in part is no list of all."""
    parameters = entry.get("supported_parameters")
    flags = dict(_flags_of(entry))
    if is_list(parameters):
        words = (_OF_PARAMETER.get(clean_text(str(each))) for each in parameters)
        found = {word for word in words if word is not None}
        found |= _modalities_of(entry)
    elif flags:
        found = {_OF_FLAG[name] for name, is_on in flags.items() if is_on}
        found |= {*_USUAL} | _modalities_of(entry)
    else:
        return None
    return tuple(capability for capability in Capability if capability in found)


def _flags_of(entry: Mapping[str, object]) -> Iterator[tuple[str, bool]]:
    """Flags by their names, or a list of those that are on."""
    held = entry.get("capabilities")
    named = {**entry, **held} if is_mapping(held) else entry
    for name in _OF_FLAG:
        if isinstance(named.get(name), bool):
            yield name, named[name] is True
        elif is_list(held) and name in held:
            yield name, True


def _modalities_of(entry: Mapping[str, object]) -> set[Capability]:
    """What goes in beside text; LM Studio calls a model that sees `vlm`."""
    architecture = entry.get("architecture")
    held = architecture if is_mapping(architecture) else entry
    modalities = held.get("input_modalities")
    found = {
        capability
        for name, capability in _OF_MODALITY.items()
        if is_list(modalities) and name in modalities
    }
    return found | ({Capability.IMAGES} if text_of(entry, "type") == "vlm" else set())
