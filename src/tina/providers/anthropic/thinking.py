"""How much a model thinks, and whether people see it.

Models of three generations: those that think by a budget of tokens, those that decide
themselves and are told an effort, and those that do so and cannot be stopped. What the
list of models says of them is kept as their efforts: `none` means that they can be
stopped, `minimal`, a word that this vendor does not have, that they want a budget.

Pure.

Source: Anthropic documentation, "Adaptive thinking", "Extended thinking", "Effort".
"""

from tina.domain.chat import Capability, Effort, ModelInfo
from tina.providers.lenient import Wire

BUDGETS = {
    Effort.MINIMAL: 1_024,
    Effort.LOW: 2_048,
    Effort.MEDIUM: 8_192,
    Effort.HIGH: 16_384,
}
MIN_BUDGET_TOKENS = 1_024
_LADDER = (Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.XHIGH, Effort.MAX)
_SHOWN = "summarized"
"""Without it, recent models think in silence."""


def has_budget(known: ModelInfo | None) -> bool:
    """Whether the model wants a budget instead of an effort."""
    efforts = None if known is None else known.efforts
    return efforts is not None and Effort.MINIMAL in efforts


def always_thinks(known: ModelInfo | None) -> bool:
    """Whether it certainly cannot be stopped, nor forced to call a tool."""
    if known is None or known.capabilities is None or not known.efforts:
        return False
    thinks = Capability.REASONING in known.capabilities
    return thinks and Effort.NONE not in known.efforts


def encode_thinking(
    effort: Effort | None,
    known: ModelInfo | None,
    *,
    max_tokens: int,
    is_forced: bool,
) -> tuple[Wire | None, Effort | None]:
    """The value of `thinking`, and the effort to name; None leaves one out.

    Args:
        effort: that was asked for; None leaves it to the model.
        known: what the provider said of the model.
        max_tokens: thinking counts as a part of the answer.
        is_forced: to call a tool, which excludes thinking by a budget.
    """
    if always_thinks(known):
        asked = Effort.LOW if effort is Effort.NONE else effort
        return _adaptive(asked, known)
    if effort is None or _cannot_think(known):
        return None, None
    if effort is Effort.NONE:
        return {"type": "disabled"}, None
    if has_budget(known):
        return _budget(effort, 0 if is_forced else max_tokens), None
    return _adaptive(effort, known)


def _cannot_think(known: ModelInfo | None) -> bool:
    if known is None or known.capabilities is None:
        return False
    return Capability.REASONING not in known.capabilities


def _adaptive(
    effort: Effort | None, known: ModelInfo | None
) -> tuple[Wire, Effort | None]:
    wire: Wire = {"type": "adaptive", "display": _SHOWN}
    return wire, None if effort is None else _nearest(effort, known)


def _budget(effort: Effort, max_tokens: int) -> Wire | None:
    """Half of the answer at most; None if that is too little to think."""
    tokens = min(BUDGETS.get(effort, BUDGETS[Effort.HIGH]), max_tokens // 2)
    if tokens < MIN_BUDGET_TOKENS:
        return None
    return {"type": "enabled", "budget_tokens": tokens, "display": _SHOWN}


def _nearest(effort: Effort, known: ModelInfo | None) -> Effort | None:
    """The effort itself, or the highest below it that the model knows."""
    efforts = None if known is None else known.efforts
    rungs = [each for each in _LADDER if efforts is None or each in efforts]
    asked = Effort.LOW if effort is Effort.MINIMAL else effort
    height = _LADDER.index(asked)
    below = [each for each in rungs if _LADDER.index(each) <= height]
    return next(iter((*reversed(below), *rungs)), None)
