from pathlib import Path

import pytest

from tina.domain.chat import ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.providers.openai.models import parse_models

RECORDINGS = Path(__file__).parents[2] / "recordings"


def model(name: str, context_tokens: int | None = None) -> ModelInfo:
    return ModelInfo(provider="openai", model=name, context_tokens=context_tokens)


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
]


@pytest.mark.parametrize(("body", "models"), LISTS)
def test_a_list_of_models_is_read(body: bytes, models: tuple[ModelInfo, ...]) -> None:
    assert parse_models(body, provider="openai") == models


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"3", b'{"data":{}}'])
def test_what_is_no_list_is_a_protocol_failure(body: bytes) -> None:
    with pytest.raises(ProtocolFailure):
        parse_models(body, provider="openai")
