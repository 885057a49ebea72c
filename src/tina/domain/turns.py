"""A turn: one prompt and everything that follows until the model is done."""

import msgspec

from tina.domain.ids import ConversationId, LeaseId, MessageId, TurnId
from tina.domain.messages import Message


class NewTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What is written before a model is asked.

    `prompt` is None when an answer is asked for again. The answer is empty,
    `streaming`, and a child of the prompt. `after` is the conversation's tip as it was
    read: the turn begins only if it still is.
    """

    id: TurnId
    conversation_id: ConversationId
    after: MessageId | None
    prompt: Message | None
    answer: Message
    lease_id: LeaseId


class UnsettledTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that has not ended; `lease_id` names the process that runs it."""

    id: TurnId
    answer_id: MessageId
    lease_id: LeaseId
