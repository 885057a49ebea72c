"""What `--json` prints: the shapes that programs rely on. Pure."""

from typing import Any

import msgspec

from tina.domain.chat import ModelInfo
from tina.domain.conversations import Conversation
from tina.domain.events import StreamEvent
from tina.domain.failures import FailureRecord
from tina.domain.messages import Message
from tina.domain.search import SearchHit, SearchResult
from tina.domain.tools import HostedTool
from tina.domain.turns import QueuedTurn

Shape = dict[str, Any]


def answer_shape(message: Message) -> Shape:
    """One answer: `tina ask --json`."""
    return {
        "status": message.status,
        "text": message.text,
        "conversation_id": message.conversation_id,
        "message_id": message.id,
        "model": message.model,
        "stop_reason": message.stop_reason,
        "usage": None if message.usage is None else _whole(message.usage),
        "failure": None if message.failure is None else _whole(message.failure),
    }


def refusal_shape(failure: FailureRecord) -> Shape:
    """`tina ask --json` when nothing was asked."""
    return {
        "status": "failed",
        "text": "",
        "conversation_id": None,
        "message_id": None,
        "model": None,
        "stop_reason": None,
        "usage": None,
        "failure": _whole(failure),
    }


def queued_shape(queued: QueuedTurn) -> Shape:
    """`tina ask --detach --json`."""
    return {
        "status": "queued",
        "conversation_id": queued.conversation_id,
        "message_id": queued.message_id,
        "model": queued.model,
    }


def conversation_shape(conversation: Conversation) -> Shape:
    """One line of `tina log --json`."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "model": conversation.model,
        "system": conversation.system,
        "message_count": conversation.message_count,
        "preview": conversation.preview,
        "is_pinned": conversation.is_pinned,
        "is_archived": conversation.is_archived,
        "deleted_at": conversation.deleted_at,
        "created_at": conversation.created_at,
        "last_message_at": conversation.last_message_at,
    }


def branch_shape(conversation: Conversation, messages: tuple[Message, ...]) -> Shape:
    """`tina show ID --json`."""
    return {
        **conversation_shape(conversation),
        "messages": [message_shape(message) for message in messages],
    }


def message_shape(message: Message) -> Shape:
    return {
        "id": message.id,
        "parent_id": message.parent_id,
        "role": message.role,
        "status": message.status,
        "text": message.text,
        "parts": message.parts,
        "model": message.model,
        "stop_reason": message.stop_reason,
        "usage": None if message.usage is None else _whole(message.usage),
        "failure": None if message.failure is None else _whole(message.failure),
        "created_at": message.created_at,
    }


def model_shape(model: ModelInfo) -> Shape:
    return {"id": str(model.ref), **msgspec.structs.asdict(model)}


def tool_shape(provider: str, tool: HostedTool) -> Shape:
    """`tina models tools --json`."""
    return {"provider": provider, **msgspec.structs.asdict(tool)}


def search_shape(result: SearchResult) -> Shape:
    """`tina search --json`."""
    return {
        "is_whole": result.is_whole,
        "failure": None if result.failure is None else _whole(result.failure),
        "hits": [hit_shape(hit) for hit in result.hits],
    }


def hit_shape(hit: SearchHit) -> Shape:
    """`matches` are [start, end] pairs: places in `snippet`, in characters."""
    return _whole(hit)


def to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def event_line(event: StreamEvent) -> str:
    """One line of `--output-format stream-json`."""
    return to_json(event)


def _whole(value: Any) -> Shape:
    """Every field, also those with their default: programs should find the key."""
    return msgspec.structs.asdict(value)
