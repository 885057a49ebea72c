"""A turn: one prompt and everything that follows until the model is done."""

from enum import StrEnum

import msgspec

from tina.domain.chat import ChatOptions, Deadlines
from tina.domain.failures import InvalidInputFailure
from tina.domain.ids import ConversationId, LeaseId, MessageId, OwnerId, TurnId
from tina.domain.messages import FilePart, ImagePart, Message
from tina.domain.text import MEBIBYTE, CleanStruct, require_short

MAX_PROMPT_BYTES = 16 * MEBIBYTE
"""More than an attached file and a piped text together usually have."""


MAX_ATTACHED_BYTES = 24 * MEBIBYTE
"""The servers take requests of 32 MB, and text makes a third more of bytes."""


class TurnStatus(StrEnum):
    QUEUED = "queued"
    """Nobody runs it yet."""
    RUNNING = "running"
    """The process whose lease it names runs it, or died."""
    DONE = "done"


class TurnRequest(CleanStruct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for; stored, so that another process can run the turn."""

    model: str
    """`provider:model`."""
    options: ChatOptions = ChatOptions()
    deadlines: Deadlines = Deadlines()
    fallback: tuple[str, ...] = ()
    """The models to ask if that one says nothing, in this order."""


class NewTurn(CleanStruct, frozen=True, kw_only=True):
    """What is written before a model is asked.

    `prompt` is None when an answer is asked for again. The answer is empty,
    `streaming`, and a child of the prompt. `after` is the conversation's tip as it was
    read: the turn begins only if it still is. With a `lease_id` the turn is claimed
    from its first moment, without one it is queued.

    Raises:
        InvalidInputFailure: the prompt is longer than Tina keeps.
    """

    id: TurnId
    conversation_id: ConversationId
    after: MessageId | None
    prompt: Message | None
    answer: Message
    request: TurnRequest
    lease_id: LeaseId | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt is not None:
            _check_attachments(self.prompt)
            require_short(
                "A question",
                self.prompt.text,
                max_bytes=MAX_PROMPT_BYTES,
                advice="Shorten it, or ask about one part after the other.",
            )


def _check_attachments(prompt: Message) -> None:
    held = [
        len(part.data)
        for part in prompt.parts
        if isinstance(part, ImagePart | FilePart)
    ]
    if sum(held) > MAX_ATTACHED_BYTES:
        raise InvalidInputFailure(
            "Attachments may have up to "
            f"{MAX_ATTACHED_BYTES // MEBIBYTE} MiB together. "
            "Attach fewer, or smaller ones."
        )


class QueuedTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that was asked for and is left to whoever claims it."""

    conversation_id: ConversationId
    message_id: MessageId
    model: str


class OpenTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that is not done; `lease_id` names the process that claimed it."""

    id: TurnId
    owner_id: OwnerId
    conversation_id: ConversationId
    answer_id: MessageId
    request: TurnRequest
    status: TurnStatus
    lease_id: LeaseId | None
    is_stop_requested: bool = False
