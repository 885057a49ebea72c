"""Ollama's list of the models that are on a machine, or in its cloud.

Pure.

Source: Ollama API documentation, "List models"; "Model capabilities".
"""

from collections.abc import Mapping

from tina.domain.chat import Capability, ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.providers.lenient import (
    MAX_COUNT,
    count_of,
    is_list,
    is_mapping,
    read_json,
    text_of,
)

_CHAT = "completion"
_OF_WORD = {
    "thinking": Capability.REASONING,
    "tools": Capability.TOOLS,
    "vision": Capability.IMAGES,
}
_USUAL = frozenset({Capability.SCHEMA, Capability.SAMPLING})
"""What the list does not mention, since the server does it for every model."""


def parse_models(
    body: bytes, *, provider: str, window_tokens: int | None
) -> tuple[ModelInfo, ...]:
    """Read the list; without models that have no name, or cannot chat.

    Args:
        body: of the answer.
        provider: the name of the entry.
        window_tokens: the largest window that will be asked for; None if each model
            gets the whole of its own.

    Raises:
        ProtocolFailure: there is no list in it.
    """
    value = read_json(body.strip())
    models = value.get("models", body) if is_mapping(value) else body
    if models is None:  # so says a server without any
        return ()
    if not is_list(models):
        raise ProtocolFailure(
            f"{provider} sent no list of models. Check that the base URL is that of "
            "Ollama's own API, without /v1."
        )
    read = (_read_model(entry, provider, window_tokens) for entry in models)
    return tuple(model for model in read if model is not None)


def _read_model(
    entry: object, provider: str, window_tokens: int | None
) -> ModelInfo | None:
    name = text_of(entry, "model") or text_of(entry, "name")
    if not (name and is_mapping(entry)):
        return None
    words = entry.get("capabilities")
    if is_list(words) and words and _CHAT not in words:
        return None
    is_elsewhere = bool(text_of(entry, "remote_model") or text_of(entry, "remote_host"))
    trained = count_of(entry.get("details"), "context_length") or None
    most = None if is_elsewhere else window_tokens
    return ModelInfo(
        provider=provider,
        model=name,
        context_tokens=trained if most is None else min(trained or most, most),
        capabilities=_capabilities_of(words),
        note=_note_of(entry, is_elsewhere=is_elsewhere),
    )


def _capabilities_of(words: object) -> tuple[Capability, ...] | None:
    """None where the server does not say, as older ones do not."""
    if not is_list(words) or not words:
        return None
    found = {capability for word, capability in _OF_WORD.items() if word in words}
    found |= _USUAL
    return tuple(capability for capability in Capability if capability in found)


def _note_of(entry: Mapping[str, object], *, is_elsewhere: bool) -> str:
    details = entry.get("details")
    words = [
        text_of(details, "parameter_size"),
        text_of(details, "quantization_level"),
        "in Ollama's cloud" if is_elsewhere else _size(entry.get("size")),
    ]
    return ", ".join(word for word in words if word)


def _size(size_bytes: object) -> str:
    if type(size_bytes) is not int or not 0 < size_bytes <= MAX_COUNT:
        return ""
    if size_bytes < 10**9:
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{size_bytes / 1e9:.1f} GB"
