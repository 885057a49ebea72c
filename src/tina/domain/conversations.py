"""Conversations."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from tina.domain.ids import LAPTOP_OWNER, ConversationId, MessageId, OwnerId
from tina.domain.text import KIBIBYTE, MEBIBYTE, CleanStruct, require_short

MAX_TITLE_BYTES = 1 * KIBIBYTE
MAX_MODEL_BYTES = 1 * KIBIBYTE
MAX_SYSTEM_BYTES = 1 * MEBIBYTE
MAX_METADATA_BYTES = 64 * KIBIBYTE
"""Names and values together."""


class Origin(CleanStruct, frozen=True, kw_only=True):
    """Where a conversation came from, if not from here.

    `source` is `fork`, or the name of what it was imported from; `source_id` is the
    message it was forked at, or the id it had there.
    """

    source: str
    source_id: str


FORK = "fork"

FALLBACK = "fallback"
"""The metadata of a conversation names its fallback here, with commas between."""

KEPT_AFTER_DELETION = timedelta(days=30)
"""So long a deleted conversation can be taken back."""


class NewConversation(CleanStruct, frozen=True, kw_only=True):
    """A conversation that is not stored yet.

    Raises:
        InvalidInputFailure: one of its texts is longer than Tina keeps.
    """

    title: str = ""
    model: str | None = None
    """`provider:model` that answers here unless a turn names another."""
    system: str | None = None
    origin: Origin | None = None
    metadata: Mapping[str, str] | None = None
    owner_id: OwnerId = LAPTOP_OWNER

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_lengths(self)


class ConversationMark(NamedTuple):
    """The place of a conversation in a list: what the list is ordered by."""

    is_pinned: bool
    last_message_at: datetime
    id: ConversationId


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A stored conversation.

    `tip` is the newest message of the active branch; `message_count` counts every
    message, on all branches; `preview` is the beginning of the newest text;
    `deleted_at` is set while it can still be taken back; `metadata` is a program's own.
    """

    id: ConversationId
    owner_id: OwnerId
    title: str
    model: str | None
    system: str | None
    tip: MessageId | None
    message_count: int
    preview: str
    is_pinned: bool = False
    is_archived: bool = False
    deleted_at: datetime | None = None
    origin: Origin | None = None
    metadata: Mapping[str, str] | None = None
    created_at: datetime
    last_message_at: datetime

    @property
    def fallback(self) -> tuple[str, ...]:
        """The models to ask here, in order, if the one that is asked says nothing."""
        named = (self.metadata or {}).get(FALLBACK, "").split(",")
        return tuple(name.strip() for name in named if name.strip())

    @property
    def mark(self) -> ConversationMark:
        return ConversationMark(self.is_pinned, self.last_message_at, self.id)


class ConversationChange(CleanStruct, frozen=True, kw_only=True):
    """What to change of a conversation; what is UNSET stays as it is.

    `branch` is any message of it: the newest branch through it becomes the active one.
    `deleted_at` deletes it, or takes that back; what is asked there then is stopped.

    Raises:
        InvalidInputFailure: one of its texts is longer than Tina keeps.
    """

    title: str | UnsetType = UNSET
    model: str | UnsetType | None = UNSET
    system: str | UnsetType | None = UNSET
    branch: MessageId | UnsetType = UNSET
    is_pinned: bool | UnsetType = UNSET
    is_archived: bool | UnsetType = UNSET
    deleted_at: datetime | UnsetType | None = UNSET
    metadata: Mapping[str, str] | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_lengths(self)


class Shelf(StrEnum):
    """Which conversations a list shows; each stands on exactly one shelf."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"
    """Deleted, but not purged yet."""


def _check_lengths(texts: NewConversation | ConversationChange) -> None:
    for what, text, max_bytes in (
        ("A title", texts.title, MAX_TITLE_BYTES),
        ("A model's name", texts.model, MAX_MODEL_BYTES),
        ("A system prompt", texts.system, MAX_SYSTEM_BYTES),
    ):
        require_short(what, text, max_bytes=max_bytes, advice="Shorten it.")
    if isinstance(texts.metadata, Mapping):
        require_short(
            "The metadata of a conversation",
            *texts.metadata.keys(),
            *texts.metadata.values(),
            max_bytes=MAX_METADATA_BYTES,
            advice="Keep the rest elsewhere, and here the place where it is.",
        )
