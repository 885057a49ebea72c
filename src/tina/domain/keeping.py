"""The database as a file that a person keeps: its state, backups and repairs."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from tina.domain.ids import ConversationId, LeaseId, TurnId
from tina.domain.turns import TurnStatus


class BackupKind(StrEnum):
    """Why a backup was made. Of each kind the newest few are kept."""

    DAILY = "daily"
    MANUAL = "manual"
    BEFORE_MIGRATION = "before-migration"
    BEFORE_RESTORE = "before-restore"


class ReserveState(StrEnum):
    """Whether room is set aside in which running answers are saved on a full disk."""

    MADE = "made"
    MISSING = "missing"
    """It is made when Tina next opens the database."""
    NO_ROOM = "no-room"
    """The disk is too full to set any aside."""


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of the database. `kind` is None for a file that a person named."""

    name: str
    kind: BackupKind | None
    path: str
    made_at: datetime
    size_bytes: int


class TurnHolder(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that is not done. `is_alive`: the process that claimed it lives."""

    turn_id: TurnId
    conversation_id: ConversationId
    status: TurnStatus
    lease_id: LeaseId | None
    is_alive: bool = False
    pid: int | None = None


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a database holds; None where its version has no such thing."""

    conversations: int
    messages: int
    deleted: int | None
    """Conversations that can still be taken back."""
    search_backlog: int | None
    """Messages that the search index does not know yet."""
    open_turns: tuple[TurnHolder, ...]


class DatabaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """State of the file.

    `problem` is the sentence that says why it cannot be used, `why_read_only` the one
    that says why nothing can be written; None where there is no such reason.
    """

    path: str
    exists: bool
    size_bytes: int
    log_bytes: int
    """Of the write-ahead log, which becomes part of the file by and by."""
    schema_version: int | None
    latest_version: int
    sqlite_version: str
    is_sqlite_safe: bool
    """Not one of those whose WAL-reset bug can corrupt files."""
    contents: Contents | None
    backups: tuple[Backup, ...]
    """Newest first."""
    problem: str | None
    why_read_only: str | None
    reserve: ReserveState
    read_at: datetime


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was brought up to date.

    `backup` is how it was before; None if it held no conversation.
    """

    from_version: int
    to_version: int
    backup: Backup | None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What one file holds and another does not; the titles are a few of them."""

    conversations: int
    messages: int
    titles: tuple[str, ...]


class RestorePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What putting a backup back would change.

    `lost` and `regained` are None, and `problem` says why, when the present file cannot
    be read. `changes_nothing`: the present file is whole and holds the same.
    """

    backup: Backup
    lost: Difference | None
    regained: Difference | None
    problem: str | None
    changes_nothing: bool = False


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was put back, unless the database held the same already.

    `kept` is the file that holds what was there before; None if that was nothing.
    """

    backup: Backup
    kept: str | None
    is_changed: bool = True


class Vacuumed(msgspec.Struct, frozen=True, kw_only=True):
    before_bytes: int
    after_bytes: int


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """What a repair did, in sentences.

    `original` is where the damaged file is kept, if a new one took its place; `saved`
    and `left_out` then count rows by table.
    """

    mended: tuple[str, ...]
    original: str | None = None
    saved: Mapping[str, int] | None = None
    left_out: tuple[str, ...] = ()
    newest_backup: Backup | None = None
