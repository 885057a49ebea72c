from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tina.domain.chat import Capability, ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.providers.ollama.models import parse_models

TAGS = (Path(__file__).parents[2] / "recordings" / "ollama_tags.json").read_bytes()
"""Handmade, from the shapes in Ollama's documentation."""

SCHEMA, SAMPLING = Capability.SCHEMA, Capability.SAMPLING


def parse(*entries: object, window_tokens: int | None = 16_384) -> list[ModelInfo]:
    body = msgspec.json.encode({"models": entries})
    return list(parse_models(body, provider="ollama", window_tokens=window_tokens))


def test_the_list_says_what_each_model_can_and_how_large_it_is() -> None:
    models = parse_models(TAGS, provider="box", window_tokens=16_384)

    assert models == (
        ModelInfo(
            provider="box",
            model="qwen3:4b",
            context_tokens=16_384,
            capabilities=(Capability.TOOLS, Capability.REASONING, SCHEMA, SAMPLING),
            note="4.0B, Q4_K_M, 2.6 GB",
        ),
        ModelInfo(
            provider="box",
            model="gemma3:270m",
            context_tokens=8192,
            capabilities=(Capability.IMAGES, SCHEMA, SAMPLING),
            note="268.10M, Q8_0, 292 MB",
        ),
        ModelInfo(
            provider="box",
            model="gpt-oss:120b-cloud",
            context_tokens=131_072,
            capabilities=(Capability.TOOLS, Capability.REASONING, SCHEMA, SAMPLING),
            note="116.8B, MXFP4, in Ollama's cloud",
        ),
        ModelInfo(
            provider="box",
            model="llama3.1:8b",
            context_tokens=16_384,
            note="8.0B, Q4_K_M, 4.9 GB",
        ),
    )


def test_in_the_cloud_each_model_has_its_whole_window() -> None:
    known = {"model": "a", "details": {"context_length": 262_144}}

    models = parse(known, {"model": "b"}, window_tokens=None)

    assert [model.context_tokens for model in models] == [262_144, None]


ODD = [
    pytest.param({"name": "a"}, ModelInfo(provider="ollama", model="a"), id="bare"),
    pytest.param(
        {
            "model": "a",
            "size": "big",
            "details": [3],
            "capabilities": {"tools": True},
        },
        ModelInfo(provider="ollama", model="a"),
        id="odd-types",
    ),
    pytest.param(
        {
            "model": "a",
            "size": -1,
            "details": {"context_length": 0, "parameter_size": 8},
            "capabilities": [],
        },
        ModelInfo(provider="ollama", model="a"),
        id="odd-numbers",
    ),
    pytest.param(
        {
            "model": "a",
            "size": 2**60,
            "capabilities": ["completion", "dance", {"a": 1}],
        },
        ModelInfo(provider="ollama", model="a", capabilities=(SCHEMA, SAMPLING)),
        id="unknown-words",
    ),
]


@pytest.mark.parametrize(("entry", "expected"), ODD)
def test_odd_fields_cost_no_model(entry: object, expected: ModelInfo) -> None:
    assert parse(entry, window_tokens=None) == [expected]


@pytest.mark.parametrize("entry", [{}, {"name": ""}, "a", 3, None, {"model": 7}])
def test_an_entry_without_a_name_is_left_out(entry: object) -> None:
    assert parse(entry) == []


@pytest.mark.parametrize("body", [b'{"models":[]}', b'{"models":null}'])
def test_a_server_may_have_no_models(body: bytes) -> None:
    assert parse_models(body, provider="ollama", window_tokens=None) == ()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"<html>", b'{"models":{}}', b"Ollama is running"]
)
def test_what_is_no_list_is_a_protocol_failure(body: bytes) -> None:
    with pytest.raises(ProtocolFailure, match="without /v1"):
        parse_models(body, provider="ollama", window_tokens=None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["model", "name", "size", "details", "capabilities", "context_length"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=16,
)


@given(JSON)
def test_no_entry_raises(entry: object) -> None:
    assert len(parse(entry)) <= 1
