import msgspec
import pytest

from tests.providers.anthropic.histories import ADAPTIVE, ALWAYS, BY_BUDGET, OLDEST
from tina.domain.chat import Effort, ModelInfo
from tina.providers.anthropic.thinking import (
    always_thinks,
    encode_thinking,
    has_budget,
)
from tina.providers.lenient import Wire

SHOWN: Wire = {"type": "adaptive", "display": "summarized"}
OFF: Wire = {"type": "disabled"}
UNDECLARED = ModelInfo(provider="local", model="m")
SILENT = msgspec.structs.replace(ADAPTIVE, efforts=None)
NO_EFFORTS = msgspec.structs.replace(ADAPTIVE, efforts=(Effort.NONE,))


def budget(tokens: int) -> Wire:
    return {"type": "enabled", "budget_tokens": tokens, "display": "summarized"}


CASES: list[tuple[ModelInfo | None, Effort | None, Wire | None, Effort | None]] = [
    (None, None, None, None),
    (None, Effort.NONE, OFF, None),
    (None, Effort.MINIMAL, SHOWN, Effort.LOW),
    (None, Effort.MAX, SHOWN, Effort.MAX),
    (UNDECLARED, Effort.HIGH, SHOWN, Effort.HIGH),
    (SILENT, Effort.HIGH, SHOWN, Effort.HIGH),
    (OLDEST, None, None, None),
    (OLDEST, Effort.HIGH, None, None),
    (OLDEST, Effort.NONE, None, None),
    (BY_BUDGET, None, None, None),
    (BY_BUDGET, Effort.NONE, OFF, None),
    (BY_BUDGET, Effort.MINIMAL, budget(1_024), None),
    (BY_BUDGET, Effort.LOW, budget(2_048), None),
    (BY_BUDGET, Effort.MEDIUM, budget(8_192), None),
    (BY_BUDGET, Effort.HIGH, budget(10_000), None),
    (BY_BUDGET, Effort.MAX, budget(10_000), None),
    (ADAPTIVE, None, None, None),
    (ADAPTIVE, Effort.NONE, OFF, None),
    (ADAPTIVE, Effort.MINIMAL, SHOWN, Effort.LOW),
    (ADAPTIVE, Effort.HIGH, SHOWN, Effort.HIGH),
    (ADAPTIVE, Effort.MAX, SHOWN, Effort.XHIGH),
    (NO_EFFORTS, Effort.HIGH, SHOWN, None),
    (ALWAYS, None, SHOWN, None),
    (ALWAYS, Effort.NONE, SHOWN, Effort.MEDIUM),
    (ALWAYS, Effort.LOW, SHOWN, Effort.MEDIUM),
    (ALWAYS, Effort.HIGH, SHOWN, Effort.MEDIUM),
    (ALWAYS, Effort.MAX, SHOWN, Effort.MAX),
]


@pytest.mark.parametrize(("known", "effort", "thinking", "named"), CASES)
def test_effort_is_told_as_the_model_understands_it(
    known: ModelInfo | None,
    effort: Effort | None,
    thinking: Wire | None,
    named: Effort | None,
) -> None:
    assert encode_thinking(effort, known, max_tokens=20_000, is_forced=False) == (
        thinking,
        named,
    )


@pytest.mark.parametrize(
    ("max_tokens", "tokens"), [(2_047, None), (2_048, 1_024), (2_050, 1_025)]
)
def test_a_budget_leaves_half_of_the_answer(
    max_tokens: int, tokens: int | None
) -> None:
    thinking, _ = encode_thinking(
        Effort.HIGH, BY_BUDGET, max_tokens=max_tokens, is_forced=False
    )

    assert thinking == (None if tokens is None else budget(tokens))


def test_a_forced_call_excludes_a_budget_only() -> None:
    forced = [
        encode_thinking(Effort.HIGH, known, max_tokens=20_000, is_forced=True)[0]
        for known in (BY_BUDGET, ADAPTIVE)
    ]

    assert forced == [None, SHOWN]


def test_generations_are_told_apart() -> None:
    every = (None, UNDECLARED, SILENT, OLDEST, BY_BUDGET, ADAPTIVE, ALWAYS)

    assert [known for known in every if has_budget(known)] == [BY_BUDGET]
    assert [known for known in every if always_thinks(known)] == [ALWAYS]
