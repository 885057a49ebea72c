"""Tools: calls that a model asked for, and what a person said about them."""

from datetime import datetime
from enum import StrEnum

import msgspec

from tina.domain.ids import (
    ConversationId,
    GrantId,
    MessageId,
    ToolCallId,
    ToolRunId,
)
from tina.domain.text import CleanStruct


class ToolDefinition(CleanStruct, frozen=True, kw_only=True):
    """A tool as a model is told of it; `schema` is a JSON Schema, as JSON text."""

    name: str
    description: str
    schema: str = '{"type":"object","properties":{}}'


class ToolMode(StrEnum):
    AUTO = "auto"
    """The model decides."""
    NONE = "none"
    REQUIRED = "required"
    """At least one call, of any tool."""


class ToolChoice(CleanStruct, frozen=True, kw_only=True):
    """Whether a model has to call a tool; with a `tool`, that one."""

    mode: ToolMode = ToolMode.AUTO
    tool: str | None = None


class HostedTool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool that a provider runs on its own side."""

    name: str
    description: str


class ToolCallStatus(StrEnum):
    WAITING = "waiting"
    """For a person."""
    APPROVED = "approved"
    DENIED = "denied"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """The process died while it ran: nobody knows whether it happened."""

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after it."""
        return self not in _OPEN


_OPEN = frozenset(
    {ToolCallStatus.WAITING, ToolCallStatus.APPROVED, ToolCallStatus.RUNNING}
)


class ToolOutcome(CleanStruct, frozen=True, kw_only=True, omit_defaults=True):
    """What a call gave back: text for the model, and whether it is an error."""

    content: str
    is_error: bool = False


NOT_RUN = ToolOutcome(
    content="This tool was not run: its answer ended before it was its turn.",
    is_error=True,
)
PERHAPS_RUN = ToolOutcome(
    content="The answer ended while this tool ran; whether it did its work is unknown.",
    is_error=True,
)
"""How calls end that are not over when the turn that asked for them ends."""


class NewToolCall(CleanStruct, frozen=True, kw_only=True):
    """A call that is not stored yet; `place` counts the calls of one message from 0.

    `call_id` is the model's own name for it. `tool_hash` names the definition that the
    model was shown, so that an approval holds for that and for nothing else.
    """

    conversation_id: ConversationId
    message_id: MessageId
    place: int
    call_id: ToolCallId
    server: str
    tool: str
    tool_hash: str
    arguments: str
    """As the model wrote them: JSON text, perhaps not valid."""
    status: ToolCallStatus = ToolCallStatus.WAITING


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A stored call. Times are None until they happen."""

    id: ToolRunId
    conversation_id: ConversationId
    message_id: MessageId
    place: int
    call_id: ToolCallId
    server: str
    tool: str
    tool_hash: str
    arguments: str
    status: ToolCallStatus
    outcome: ToolOutcome | None = None
    created_at: datetime
    decided_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Decision(StrEnum):
    ALLOW = "allow"
    DENY = "deny"


class NewGrant(CleanStruct, frozen=True, kw_only=True):
    """A standing decision that is not stored yet.

    It holds for one tool of one server, in one conversation or (None) everywhere, and
    only while the hashes are those that a person was shown.
    """

    decision: Decision
    conversation_id: ConversationId | None
    server: str
    tool: str
    config_hash: str
    tool_hash: str
    expires_at: datetime | None = None


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """A stored standing decision (`NewGrant` says what it holds for)."""

    id: GrantId
    decision: Decision
    conversation_id: ConversationId | None
    server: str
    tool: str
    config_hash: str
    tool_hash: str
    created_at: datetime
    expires_at: datetime | None
