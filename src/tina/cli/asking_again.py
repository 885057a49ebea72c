"""`tina regenerate` and `tina edit`: another answer beside the one there is."""

from tina.cli.ask import show_answer
from tina.cli.branches import chosen_message
from tina.cli.flags import Asking, Placing, Showing
from tina.cli.history import chosen_conversation
from tina.domain.failures import InvalidInputFailure
from tina.wiring import App, Turn, TurnArguments


async def regenerate(
    conversation_id: str | None, asking: Asking, showing: Showing
) -> int:
    """Answer the last question of a conversation once more."""

    async def start(app: App, turn: TurnArguments) -> Turn:
        conversation = await chosen_conversation(app, conversation_id)
        if conversation.tip is None:
            raise InvalidInputFailure(
                "Nothing was asked there yet; nothing can be answered once more."
            )
        return await app.regenerate(conversation.tip, **turn)

    return await show_answer(start, Placing(), asking, showing)


async def edit(
    message: str, words: str, asking: Asking, showing: Showing, *, within: str | None
) -> int:
    """Ask the same in other words, on a branch of its own."""

    async def start(app: App, turn: TurnArguments) -> Turn:
        if not words.strip():
            raise InvalidInputFailure(
                'The new words are missing: tina edit ID "What is a fjord?"'
            )
        return await app.edit(await chosen_message(app, message, within), words, **turn)

    return await show_answer(start, Placing(), asking, showing)
