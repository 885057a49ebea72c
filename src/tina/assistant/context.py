"""From a branch of messages to the request that a model gets. Pure."""

from collections.abc import Sequence

from tina.domain.chat import ChatRequest, parse_model_ref
from tina.domain.messages import Message, Role
from tina.domain.turns import TurnRequest


def up_to_last_prompt(branch: Sequence[Message]) -> tuple[Message, ...]:
    """The branch without what follows its last prompt; there is one."""
    last = max(
        number for number, message in enumerate(branch) if message.role is Role.USER
    )
    return tuple(branch[: last + 1])


def history_for(branch: Sequence[Message]) -> tuple[Message, ...]:
    """The messages a model is shown, oldest first.

    Answers that said nothing are left out: vendors refuse empty messages.
    """
    return tuple(
        message
        for message in branch
        if message.parts or message.role is not Role.ASSISTANT
    )


def request_for(
    request: TurnRequest, *, system: str | None, history: Sequence[Message]
) -> ChatRequest:
    """What the model is asked; `history` is oldest first, the prompt last."""
    return ChatRequest(
        model=parse_model_ref(request.model).model,
        messages=history_for(history),
        system=system,
        options=request.options,
        deadlines=request.deadlines,
    )
