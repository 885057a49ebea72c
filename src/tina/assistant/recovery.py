"""Settles what dead processes left behind."""

from tina.assistant.answer import Answer
from tina.domain.ids import MessageId
from tina.domain.ports import Leases, MessageRepository, TurnRepository


async def recover(
    *, turns: TurnRepository, messages: MessageRepository, leases: Leases
) -> tuple[MessageId, ...]:
    """Fold the journal of each dead turn into its answer, as *interrupted*.

    Several processes may do this at once: settling a message happens once, whoever
    comes second changes nothing.

    Returns:
        The answers that this call settled.
    """
    settled: list[MessageId] = []
    for turn in await turns.list_unsettled():
        if await leases.is_held(turn.lease_id):
            continue
        message = await messages.get(turn.answer_id)
        if message is None:
            continue
        answer = Answer()
        answer.feed(await turns.read_journal(turn.answer_id))
        if await turns.settle(message.interrupted(answer.parts(), answer.usage)):
            settled.append(turn.answer_id)
    return tuple(settled)
