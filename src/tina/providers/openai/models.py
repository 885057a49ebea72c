"""The list of models, in the shapes that servers give it."""

from tina.domain.chat import ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.domain.text import clean_text
from tina.providers.openai.chunks import is_list, is_mapping, read_json

_WINDOW_FIELDS = ("n_ctx", "max_model_len", "context_length", "n_ctx_train")


def parse_models(body: bytes, *, provider: str) -> tuple[ModelInfo, ...]:
    """Read a list of models; entries without a name are left out.

    Raises:
        ProtocolFailure: there is no list in it.
    """
    value = read_json(body)
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
    name = entry.get("id") if is_mapping(entry) else entry
    if not isinstance(name, str) or not name:
        return None
    return ModelInfo(
        provider=provider, model=clean_text(name), context_tokens=_window_of(entry)
    )


def _window_of(entry: object) -> int | None:
    if not is_mapping(entry):
        return None
    meta = entry.get("meta")
    fields = {**entry, **meta} if is_mapping(meta) else entry
    sizes = (fields.get(name) for name in _WINDOW_FIELDS)
    return next(
        (size for size in sizes if type(size) is int and size > 0),
        None,
    )
