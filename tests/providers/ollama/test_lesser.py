import pytest

from tina.domain.failures import ProviderFailure
from tina.providers.errors import failure_for_response
from tina.providers.ollama.lesser import without

BODY: dict[str, object] = {
    "model": "m",
    "tools": [{}],
    "truncate": False,
    "shift": False,
    "think": "max",
}


def refusal(said: str, status: int = 400) -> ProviderFailure:
    body = b'{"error":"' + said.encode() + b'"}'
    return failure_for_response(status, body, {}, model="m", provider="ollama")


def body_without(*names: str, **changed: object) -> dict[str, object]:
    kept = {name: value for name, value in BODY.items() if name not in names}
    return {**kept, **changed}


LESSER = [
    pytest.param(
        "'m' does not support thinking", body_without("think"), id="cannot-think"
    ),
    pytest.param(
        'invalid think value: \\"max\\" (must be \\"high\\", \\"medium\\", \\"low\\")',
        body_without(think="high"),
        id="unknown-level",
    ),
    pytest.param(
        "json: cannot unmarshal string into Go struct field ChatRequest.think of type "
        "bool",
        body_without(think=True),
        id="no-levels",
    ),
    pytest.param(
        'unknown field \\"truncate\\"',
        body_without("truncate", "shift"),
        id="may-cut",
    ),
    pytest.param(
        "body.shift: extra inputs are not permitted",
        body_without("truncate", "shift"),
        id="may-forget",
    ),
    pytest.param("'m' does not support tools", None, id="cannot-call"),
    pytest.param("'m' does not support images", None, id="cannot-see"),
    pytest.param("invalid options: num_gpu", None, id="something-else"),
    pytest.param("set truncate to shorten the prompt", None, id="advice"),
]


@pytest.mark.parametrize(("said", "lesser"), LESSER)
def test_what_is_unknown_is_left_out_and_nothing_else(
    said: str, lesser: dict[str, object] | None
) -> None:
    assert without(BODY, refusal(said)) == lesser


@pytest.mark.parametrize("think", ["low", "medium", "high"])
def test_a_level_becomes_a_wish_to_think_where_levels_are_unknown(think: str) -> None:
    failure = refusal("invalid think value")

    assert without({"think": think}, failure) == {"think": True}


def test_thinking_that_was_not_asked_for_cannot_be_left_out() -> None:
    assert without({"model": "m"}, refusal("'m' does not support thinking")) is None
    assert without({"think": False}, refusal("unknown field think")) == {}


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("the input length exceeds the context length; truncate unsupported", 400),
        ("unknown field think", 503),
        ("model 'think' not found", 404),
        ("invalid key for think", 401),
    ],
)
def test_other_failures_are_not_asked_again(said: str, status: int) -> None:
    assert without(BODY, refusal(said, status)) is None
