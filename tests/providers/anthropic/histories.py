"""Histories for the tests of what is sent."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tina.domain.chat import (
    Capability,
    ChatOptions,
    ChatRequest,
    Effort,
    ModelInfo,
    StopReason,
)
from tina.domain.ids import ConversationId, MessageId, ToolCallId
from tina.domain.messages import (
    Message,
    MessageStatus,
    Part,
    Replay,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tina.providers.lenient import Wire, is_list, is_mapping

MODEL = "claude"
OWN = f"anthropic:{MODEL}"
NOW = datetime(2026, 11, 22, tzinfo=UTC)

OLDEST = ModelInfo(
    provider="anthropic",
    model=MODEL,
    output_tokens=8_192,
    capabilities=(Capability.TOOLS, Capability.SAMPLING),
    efforts=(),
)
BY_BUDGET = ModelInfo(
    provider="anthropic",
    model=MODEL,
    output_tokens=64_000,
    capabilities=(Capability.REASONING, Capability.TOOLS, Capability.SAMPLING),
    efforts=(Effort.NONE, Effort.MINIMAL, Effort.LOW, Effort.MEDIUM, Effort.HIGH),
)
ADAPTIVE = ModelInfo(
    provider="anthropic",
    model=MODEL,
    output_tokens=128_000,
    capabilities=(Capability.REASONING, Capability.TOOLS),
    efforts=(Effort.NONE, Effort.LOW, Effort.MEDIUM, Effort.HIGH, Effort.XHIGH),
)
ALWAYS = msgspec.structs.replace(ADAPTIVE, efforts=(Effort.MEDIUM, Effort.MAX))


def message(
    role: Role, *parts: Part | str, model: str | None = None, replay: str | None = None
) -> Message:
    return Message(
        id=MessageId("m"),
        conversation_id=ConversationId("c"),
        parent_id=None,
        role=role,
        status=MessageStatus.COMPLETE,
        parts=tuple(
            TextPart(text=part) if isinstance(part, str) else part for part in parts
        ),
        created_at=NOW,
        model=model,
        stop_reason=StopReason.STOP if role is Role.ASSISTANT else None,
        replay=None if replay is None else Replay(provider="anthropic", payload=replay),
    )


def user(*parts: Part | str) -> Message:
    return message(Role.USER, *parts)


def answer(
    *parts: Part | str, model: str = OWN, replay: Sequence[object] | None = None
) -> Message:
    payload = None if replay is None else replay_of(*replay)
    return message(Role.ASSISTANT, *parts, model=model, replay=payload)


def note(text: str) -> Message:
    return message(Role.SYSTEM, text)


def call(call_id: str, arguments: str = "{}", tool: str = "look") -> ToolCallPart:
    return ToolCallPart(call_id=ToolCallId(call_id), tool=tool, arguments=arguments)


def result(call_id: str, content: str = "seen", **rest: object) -> Message:
    part = ToolResultPart(call_id=ToolCallId(call_id), content=content)
    return message(Role.TOOL, msgspec.structs.replace(part, **rest))


def replay_of(*blocks: object) -> str:
    return msgspec.json.encode({"role": "assistant", "content": blocks}).decode()


def request(*messages: Message, **rest: object) -> ChatRequest:
    asked = ChatRequest(model=MODEL, messages=messages or (user("Hi"),))
    return msgspec.structs.replace(asked, **rest)


def options(**rest: object) -> ChatOptions:
    return msgspec.convert(rest, ChatOptions)


def plain(wire: object) -> Wire:
    """What the server gets."""
    return msgspec.json.decode(msgspec.json.encode(wire), type=Wire)


def unmarked(value: object) -> object:
    """Without the marks of the cache."""
    if is_mapping(value):
        fields = value.items()
        return {k: unmarked(v) for k, v in fields if k != "cache_control"}
    if is_list(value):
        return [unmarked(each) for each in value]
    return value
