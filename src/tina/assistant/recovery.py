"""Settles what dead processes left behind."""

import logging

from tina.assistant.answer import Answer
from tina.domain.failures import StorageFailure
from tina.domain.ids import MessageId
from tina.domain.ports import Leases, MessageRepository, TurnRepository

_logger = logging.getLogger(__name__)


async def recover(
    *, turns: TurnRepository, messages: MessageRepository, leases: Leases
) -> tuple[MessageId, ...]:
    """Fold the journal of each dead turn into its answer, as *interrupted*.

    Several processes may do this at once: settling a message happens once, whoever
    comes second changes nothing. An answer that cannot be settled now is left to the
    next opening.

    Returns:
        The answers that this call settled.
    """
    settled: list[MessageId] = []
    for turn in await turns.list_unsettled():
        try:
            if await leases.is_held(turn.lease_id):
                continue
            if await _settle(turn.answer_id, turns=turns, messages=messages):
                settled.append(turn.answer_id)
        except StorageFailure as failure:
            # Tried again at the next opening; until then the rest can be read.
            _logger.warning("answer_not_recovered", extra={"kind": failure.kind})
    return tuple(settled)


async def _settle(
    answer_id: MessageId, *, turns: TurnRepository, messages: MessageRepository
) -> bool:
    message = await messages.get(answer_id)
    if message is None:
        return False
    answer = Answer()
    answer.feed(await turns.read_journal(answer_id))
    return await turns.settle(message.interrupted(answer.parts(), answer.usage))
