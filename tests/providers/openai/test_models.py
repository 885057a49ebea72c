from pathlib import Path

import msgspec
import pytest

from tina.domain.chat import Capability, ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.providers.openai.models import parse_models

RECORDINGS = Path(__file__).parents[2] / "recordings"


IMAGES, FILES, TOOLS, REASONING, SCHEMA, _, SAMPLING = Capability


def model(
    name: str,
    context_tokens: int | None = None,
    output_tokens: int | None = None,
    *,
    title: str = "",
    capabilities: tuple[Capability, ...] | None = None,
) -> ModelInfo:
    return ModelInfo(
        provider="openai",
        model=name,
        title=title,
        context_tokens=context_tokens,
        output_tokens=output_tokens,
        capabilities=capabilities,
    )


OPENROUTER = {
    "id": "a/b",
    "name": "A: B",
    "context_length": 400,
    "architecture": {"input_modalities": ["text", "image", "file"]},
    "top_provider": {"context_length": 200, "max_completion_tokens": 100},
    "supported_parameters": ["tools", "reasoning", "structured_outputs", "x", 3],
}
MISTRAL = {
    "id": "a",
    "name": "a",
    "max_context_length": 9,
    "capabilities": {
        "completion_chat": True,
        "function_calling": True,
        "vision": False,
    },
}
LM_STUDIO = {
    "id": "a",
    "type": "vlm",
    "max_context_length": 9,
    "loaded_context_length": 4,
    "capabilities": ["tool_use", "other"],
}
FIREWORKS = {
    "id": "a",
    "context_length": 9,
    "supports_chat": True,
    "supports_image_input": True,
    "supports_tools": False,
}
SPECIAL = [
    {"id": "a", "type": "embedding"},
    {"id": "b", "supports_chat": False},
    {"id": "c", "capabilities": {"completion_chat": False}},
    {"id": "d", "capabilities": {"chat_completion": True}},
    {"id": "e", "type": "chat", "display_name": "E", "capabilities": {"x": 1}},
]


LISTS = [
    pytest.param(
        (RECORDINGS / "models_list.json").read_bytes(),
        (model("smollm2-135m-instruct", 2048),),
        id="recorded",
    ),
    pytest.param(
        b'{"data":[{"id":"a"},{"id":"b"}]}', (model("a"), model("b")), id="openai"
    ),
    pytest.param(b'[{"id":"a","max_model_len":8}]', (model("a", 8),), id="bare"),
    pytest.param(
        b'{"data":[{"id":"a","context_length":9}]}', (model("a", 9),), id="window"
    ),
    pytest.param(b'{"models":["a"]}', (model("a"),), id="names"),
    pytest.param(b'{"data":[{"id":""},{},3,null,{"id":7}]}', (), id="nameless"),
    pytest.param(
        b'{"data":[{"id":"a","context_length":"9"}]}', (model("a"),), id="odd-window"
    ),
    pytest.param(b'{"data":[]}', (), id="none"),
    pytest.param(b'\n\n{"data":[]}', (), id="blank-lines-first"),
    pytest.param(
        msgspec.json.encode({"data": [OPENROUTER]}),
        (
            model(
                "a/b",
                200,
                100,
                title="A: B",
                capabilities=(IMAGES, FILES, TOOLS, REASONING, SCHEMA),
            ),
        ),
        id="openrouter",
    ),
    pytest.param(
        msgspec.json.encode({"data": [MISTRAL]}),
        (model("a", 9, capabilities=(TOOLS, SCHEMA, SAMPLING)),),
        id="mistral",
    ),
    pytest.param(
        msgspec.json.encode({"data": [LM_STUDIO]}),
        (model("a", 4, capabilities=(IMAGES, TOOLS, SCHEMA, SAMPLING)),),
        id="lm-studio",
    ),
    pytest.param(
        msgspec.json.encode({"data": [FIREWORKS]}),
        (model("a", 9, capabilities=(IMAGES, SCHEMA, SAMPLING)),),
        id="fireworks",
    ),
    pytest.param(
        b'[{"id":"a","context_window":9,"max_completion_tokens":7}]',
        (model("a", 9, 7),),
        id="groq",
    ),
    pytest.param(
        msgspec.json.encode(SPECIAL),
        (model("d"), model("e", title="E")),
        id="only-what-can-chat",
    ),
    pytest.param(
        b'[{"id":"a\\u0000","architecture":3,"meta":3,"supported_parameters":[]}]',
        (model("a", capabilities=()),),
        id="odd",
    ),
    pytest.param(
        b'[{"id":"a","context_length":-1,"max_output_tokens":true}]',
        (model("a"),),
        id="odd-sizes",
    ),
]


@pytest.mark.parametrize(("body", "models"), LISTS)
def test_a_list_of_models_is_read(body: bytes, models: tuple[ModelInfo, ...]) -> None:
    assert parse_models(body, provider="openai") == models


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"3", b'{"data":{}}'])
def test_what_is_no_list_is_a_protocol_failure(body: bytes) -> None:
    with pytest.raises(ProtocolFailure):
        parse_models(body, provider="openai")
