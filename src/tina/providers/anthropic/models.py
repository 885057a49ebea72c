"""The list of models, with what each can do.

Pure.

Source: Anthropic API reference, "List models".
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from tina.domain.chat import Capability, Effort, ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.domain.text import clean_text
from tina.providers.anthropic.thinking import BUDGETS
from tina.providers.dialect import ModelPage
from tina.providers.lenient import count_of, is_list, is_mapping, read_json, text_of

_PATH = "v1/models?limit=1000"
_DECLARED = {
    "image_input": Capability.IMAGES,
    "pdf_input": Capability.FILES,
    "thinking": Capability.REASONING,
    "structured_outputs": Capability.SCHEMA,
    "server_tools": Capability.HOSTED_TOOLS,
}
_EFFORTS = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.XHIGH, Effort.MAX)


def list_path(after: str | None) -> str:
    """The path of one part of the list."""
    return _PATH if after is None else f"{_PATH}&after_id={quote(after, safe='')}"


def read_models(body: bytes, *, provider: str) -> ModelPage:
    """Read a part of the list; entries without a name are left out.

    Raises:
        ProtocolFailure: there is no list in it.
    """
    value = read_json(body)
    listed = value.get("data") if is_mapping(value) else None
    if not is_list(listed) or not is_mapping(value):
        raise ProtocolFailure(
            f"{provider} sent no list of models. Check that the base URL is that of "
            "an Anthropic-compatible API, without /v1 at its end."
        )
    models = tuple(
        _read_model(entry, provider)
        for entry in listed
        if is_mapping(entry) and text_of(entry, "id")
    )
    after = text_of(value, "last_id") if value.get("has_more") is True else ""
    return ModelPage(models, after or None)


def _read_model(entry: Mapping[str, object], provider: str) -> ModelInfo:
    declared = entry.get("capabilities")
    return ModelInfo(
        provider=provider,
        model=text_of(entry, "id"),
        title=text_of(entry, "display_name"),
        context_tokens=_window_of(entry),
        output_tokens=count_of(entry, "max_tokens") or None,
        capabilities=_capabilities(declared) if is_mapping(declared) else None,
        efforts=_efforts(declared) if is_mapping(declared) else None,
        note=_note(entry),
    )


def _window_of(entry: Mapping[str, object]) -> int | None:
    """As the vendor names it, or llama.cpp."""
    window = count_of(entry, "max_input_tokens")
    return window or count_of(entry.get("meta"), "n_ctx") or None


def _capabilities(declared: Mapping[str, object]) -> tuple[Capability, ...]:
    found = [
        capability
        for name, capability in _DECLARED.items()
        if _is_supported(declared, name)
    ]
    found.append(Capability.TOOLS)
    # Sampling went when budgets went, and no word in the list says so.
    if not _is_supported(declared, "thinking") or _may_have_budget(declared):
        found.append(Capability.SAMPLING)
    return tuple(found)


def _efforts(declared: Mapping[str, object]) -> tuple[Effort, ...] | None:
    """As `thinking` reads them; None if the list does not say how the model thinks."""
    if not _is_supported(declared, "thinking"):
        return ()
    types = _types(declared)
    if not types:
        return None
    can_stop = "disabled" not in types or _is_supported(types, "disabled")
    first = (Effort.NONE,) if can_stop else ()
    if _is_supported(types, "adaptive"):
        return (*first, *_named_efforts(declared.get("effort")))
    return (*first, *BUDGETS)


def _named_efforts(effort: object) -> Iterator[Effort]:
    return (each for each in _EFFORTS if _is_supported(effort, each.value))


def _may_have_budget(declared: Mapping[str, object]) -> bool:
    return _is_supported(_types(declared), "enabled")


def _types(declared: Mapping[str, object]) -> Mapping[str, object]:
    thinking = declared.get("thinking")
    types = thinking.get("types") if is_mapping(thinking) else None
    return types if is_mapping(types) else {}


def _is_supported(declared: object, name: str) -> bool:
    value = declared.get(name) if is_mapping(declared) else None
    return is_mapping(value) and value.get("supported") is True


def _note(entry: Mapping[str, object]) -> str:
    """Whether it goes away, and when."""
    if text_of(entry, "lifecycle") != "deprecated":
        return ""
    day = clean_text(text_of(entry, "retires_at"))[:10]
    return f"goes away on {day}" if day else "goes away soon"
