"""From a branch of messages to the request that a model gets. Pure."""

from collections.abc import Sequence

from tina.domain.messages import Message, Role


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
