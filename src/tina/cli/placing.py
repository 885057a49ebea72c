"""In which conversation it is asked."""

from tina.cli.flags import Asking, Placing
from tina.cli.history import chosen_conversation
from tina.domain.conversations import Conversation
from tina.domain.failures import InvalidInputFailure
from tina.wiring import App


def goes_on(placing: Placing) -> bool:
    """Whether it is a conversation that exists."""
    return placing.continue_ or placing.conversation is not None


def check_placing(placing: Placing) -> None:
    """Refuse flags that contradict each other.

    Raises:
        InvalidInputFailure: they do.
    """
    if placing.continue_ and placing.conversation is not None:
        raise InvalidInputFailure(
            "--continue and --conversation exclude each other; give one of them."
        )
    if goes_on(placing) and placing.system is not None:
        raise InvalidInputFailure(
            "--system begins a conversation; this one has begun already."
        )
    if goes_on(placing) and not placing.log:
        raise InvalidInputFailure(
            "--no-log keeps nothing, so it cannot go on in a conversation that is "
            "kept; leave out --no-log, or --continue and --conversation."
        )


def check_models(app: App, asking: Asking) -> None:
    """Refuse, before anything is stored, a model that no provider here can have.

    Raises:
        InvalidInputFailure: it is no model's name.
        ModelNotFoundFailure: there is no such provider.
    """
    fallback = asking.fallback or ()
    for model in (asking.model, *fallback):
        app.check_model(model, fallback=fallback)


async def place(
    app: App, placing: Placing, asking: Asking, *, title: str
) -> Conversation:
    """The conversation that was named, the newest, or a new one.

    Raises:
        NotFoundFailure: there is no such conversation.
    """
    if goes_on(placing):
        return await chosen_conversation(app, placing.conversation)
    return await app.conversations.create(
        title,
        model=asking.model,
        system=placing.system,
        fallback=asking.fallback or (),
    )
