"""Messages and their parts."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

import msgspec

from tina.domain.chat import StopReason, Usage
from tina.domain.failures import FailureRecord
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.notes import AnswerNotes, notes_from, with_notes

PINNED = "pinned"
"""The metadata of a message that stays in the context says `yes` here."""


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class MessageStatus(StrEnum):
    STREAMING = "streaming"
    COMPLETE = "complete"
    STOPPED = "stopped"
    """A person stopped it."""
    INTERRUPTED = "interrupted"
    """The process that wrote it ended."""
    FAILED = "failed"


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag="text", gc=False):
    # `gc=False`: it holds a text alone, and nearly every message has one.
    text: str


class ReasoningPart(msgspec.Struct, frozen=True, kw_only=True, tag="reasoning"):
    text: str


class RefusalPart(msgspec.Struct, frozen=True, kw_only=True, tag="refusal"):
    text: str


class ImagePart(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    media_type: str
    data: bytes


class FilePart(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    name: str
    media_type: str
    data: bytes


class ToolCallPart(msgspec.Struct, frozen=True, kw_only=True, tag="tool_call"):
    call_id: ToolCallId
    tool: str
    arguments: str
    """As the model wrote them: JSON text, perhaps not valid, perhaps cut."""


class ToolResultPart(msgspec.Struct, frozen=True, kw_only=True, tag="tool_result"):
    call_id: ToolCallId
    content: str
    is_error: bool = False
    images: tuple[ImagePart, ...] = ()


class SourcePart(msgspec.Struct, frozen=True, kw_only=True, tag="source"):
    """Where an answer has something from; `url` is empty for a given document."""

    title: str
    url: str = ""


Part: TypeAlias = (
    TextPart
    | ReasoningPart
    | RefusalPart
    | ImagePart
    | FilePart
    | ToolCallPart
    | ToolResultPart
    | SourcePart
)


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider needs back verbatim: its own JSON, kept byte for byte."""

    provider: str
    payload: str


class Message(msgspec.Struct, frozen=True, gc=False):
    """One stored message. `parent_id` makes conversations branch.

    `model`, `stop_reason`, `usage`, `failure` and `replay` belong to answers.
    """

    # Lists of messages are long. `gc=False`: nothing in it can refer back to it. Not
    # `kw_only`: the mapper of stored rows saves a tenth without the names.
    id: MessageId
    conversation_id: ConversationId
    parent_id: MessageId | None
    role: Role
    status: MessageStatus
    parts: tuple[Part, ...]
    created_at: datetime
    model: str | None = None
    stop_reason: StopReason | None = None
    usage: Usage | None = None
    failure: FailureRecord | None = None
    replay: Replay | None = None
    metadata: Mapping[str, str] | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether it goes with every request, however old it is."""
        return (self.metadata or {}).get(PINNED) == "yes"

    @property
    def notes(self) -> AnswerNotes:
        """What happened before it was given."""
        return notes_from(self.metadata)

    @property
    def text(self) -> str:
        """What it says, without reasoning, tool calls and attachments."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    def given_by(self, model: str | None, notes: AnswerNotes) -> "Message":
        """The answer of that model, with what happened before."""
        return msgspec.structs.replace(
            self, model=model, metadata=with_notes(self.metadata, notes)
        )

    def completed(
        self,
        parts: tuple[Part, ...],
        *,
        stop_reason: StopReason,
        usage: Usage | None,
        replay: Replay | None,
    ) -> "Message":
        return msgspec.structs.replace(
            self,
            status=MessageStatus.COMPLETE,
            parts=parts,
            stop_reason=stop_reason,
            usage=usage,
            replay=replay,
        )

    def stopped(self, parts: tuple[Part, ...], usage: Usage | None) -> "Message":
        return msgspec.structs.replace(
            self, status=MessageStatus.STOPPED, parts=parts, usage=usage
        )

    def interrupted(self, parts: tuple[Part, ...], usage: Usage | None) -> "Message":
        return msgspec.structs.replace(
            self, status=MessageStatus.INTERRUPTED, parts=parts, usage=usage
        )

    def failed(
        self, parts: tuple[Part, ...], *, failure: FailureRecord, usage: Usage | None
    ) -> "Message":
        return msgspec.structs.replace(
            self,
            status=MessageStatus.FAILED,
            parts=parts,
            failure=failure,
            usage=usage,
        )
