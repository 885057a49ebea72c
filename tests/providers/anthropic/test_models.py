import msgspec
import pytest

from tests.providers.anthropic.streams import RECORDINGS
from tina.domain.chat import Capability, Effort, ModelInfo
from tina.domain.failures import ProtocolFailure
from tina.providers.anthropic.models import list_path, read_models
from tina.providers.anthropic.thinking import always_thinks, has_budget

YES, NO = {"supported": True}, {"supported": False}
NEWEST = {
    "type": "model",
    "id": "claude-opus-5-5",
    "display_name": "Claude Opus 5.5",
    "lifecycle": "active",
    "max_input_tokens": 1_000_000,
    "max_tokens": 128_000,
    "capabilities": {
        "thinking": {
            "supported": True,
            "types": {"adaptive": YES, "enabled": NO, "disabled": NO},
        },
        "effort": {"supported": True, "low": YES, "medium": YES, "max": YES, "x": YES},
        "image_input": YES,
        "pdf_input": YES,
        "structured_outputs": YES,
        "server_tools": YES,
        "batch": YES,
    },
}


def read(*entries: object, **rest: object) -> tuple[ModelInfo, ...]:
    body = msgspec.json.encode({"data": entries, **rest})
    return read_models(body, provider="anthropic").models


def thinking_of(capabilities: object) -> tuple[bool, tuple[Effort, ...] | None]:
    """Whether a model thinks, and its efforts."""
    (model,) = read({"id": "m", "capabilities": capabilities})
    assert model.capabilities is not None
    return Capability.REASONING in model.capabilities, model.efforts


def test_a_model_says_what_it_can() -> None:
    (model,) = read(NEWEST)

    assert model == ModelInfo(
        provider="anthropic",
        model="claude-opus-5-5",
        title="Claude Opus 5.5",
        context_tokens=1_000_000,
        output_tokens=128_000,
        capabilities=(
            Capability.IMAGES,
            Capability.FILES,
            Capability.REASONING,
            Capability.SCHEMA,
            Capability.HOSTED_TOOLS,
            Capability.TOOLS,
        ),
        efforts=(Effort.LOW, Effort.MEDIUM, Effort.MAX),
    )
    assert always_thinks(model)


OLD_TYPES = {"adaptive": NO, "enabled": YES, "disabled": YES}
BOTH_TYPES = {"adaptive": YES, "enabled": YES, "disabled": YES}
THINKING = [
    pytest.param({}, (False, ()), id="silent"),
    pytest.param({"thinking": NO}, (False, ()), id="none"),
    pytest.param({"thinking": YES}, (True, None), id="nobody-says-how"),
    pytest.param(
        {"thinking": {**YES, "types": OLD_TYPES}, "effort": {"low": YES}},
        (True, (Effort.NONE, Effort.MINIMAL, Effort.LOW, Effort.MEDIUM, Effort.HIGH)),
        id="by-budget",
    ),
    pytest.param(
        {"thinking": {**YES, "types": BOTH_TYPES}, "effort": {"low": YES, "high": YES}},
        (True, (Effort.NONE, Effort.LOW, Effort.HIGH)),
        id="both-ways",
    ),
    pytest.param(
        {"thinking": {**YES, "types": {"adaptive": YES}}},
        (True, (Effort.NONE,)),
        id="no-word-on-stopping",
    ),
]


@pytest.mark.parametrize(("capabilities", "expected"), THINKING)
def test_efforts_say_how_a_model_thinks(
    capabilities: object, expected: tuple[bool, tuple[Effort, ...] | None]
) -> None:
    assert thinking_of(capabilities) == expected


@pytest.mark.parametrize(
    ("capabilities", "has_sampling"),
    [
        ({}, True),
        ({"thinking": NO}, True),
        ({"thinking": {**YES, "types": OLD_TYPES}}, True),
        ({"thinking": {**YES, "types": BOTH_TYPES}}, True),
        ({"thinking": {**YES, "types": {"adaptive": YES, "enabled": NO}}}, False),
    ],
)
def test_sampling_went_with_the_budgets(
    capabilities: object, *, has_sampling: bool
) -> None:
    (model,) = read({"id": "m", "capabilities": capabilities})

    assert model.capabilities is not None
    assert (Capability.SAMPLING in model.capabilities) is has_sampling
    assert not always_thinks(model)


def test_the_efforts_tell_a_budget() -> None:
    (model,) = read(
        {"id": "m", "capabilities": {"thinking": {**YES, "types": OLD_TYPES}}}
    )

    assert has_budget(model)


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        ({"lifecycle": "active", "retires_at": "2027-01-31T00:00:00Z"}, ""),
        (
            {"lifecycle": "deprecated", "retires_at": "2027-01-31T00:00:00Z"},
            "goes away on 2027-01-31",
        ),
        ({"lifecycle": "deprecated", "retires_at": None}, "goes away soon"),
    ],
)
def test_a_model_that_goes_away_says_so(entry: dict[str, object], note: str) -> None:
    (model,) = read({"id": "m", **entry})

    assert model.note == note


def test_odd_entries_are_left_out_and_odd_fields_are_silent() -> None:
    models = read(
        3, {"id": ""}, {"id": 7}, {"id": "m", "max_tokens": "x", "capabilities": [1]}
    )

    assert models == (ModelInfo(provider="anthropic", model="m"),)


def test_a_recorded_list_of_a_compatible_server_is_read() -> None:
    body = (RECORDINGS / "models_list.json").read_bytes()

    (model,) = read_models(body, provider="local").models

    assert model.capabilities is None
    assert model.efforts is None
    assert model.context_tokens == 2_048


@pytest.mark.parametrize(
    ("rest", "after"),
    [
        ({"has_more": True, "last_id": "b"}, "b"),
        ({"has_more": False, "last_id": "b"}, None),
        ({"has_more": True, "last_id": None}, None),
        ({}, None),
    ],
)
def test_a_list_says_whether_it_goes_on(
    rest: dict[str, object], after: str | None
) -> None:
    body = msgspec.json.encode({"data": [], **rest})

    assert read_models(body, provider="anthropic").after == after


def test_the_next_part_is_asked_for_by_the_last_model() -> None:
    assert list_path(None) == "v1/models?limit=1000"
    assert list_path("a&b/c") == "v1/models?limit=1000&after_id=a%26b%2Fc"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":3}', b"<html>"])
def test_what_is_no_list_is_a_protocol_failure(body: bytes) -> None:
    with pytest.raises(ProtocolFailure, match="no list of models"):
        read_models(body, provider="anthropic")
