"""Putting a backup back, and saying beforehand what that would change."""

import shutil
from datetime import datetime
from pathlib import Path

from tina.database.engine.sqlite import (
    APPLICATION_ID,
    has_log,
    refuse_unusable,
)
from tina.database.files.backup_folder import BackupFolder
from tina.database.files.filesystem import require_room, size_of, stored_bytes
from tina.database.keeping.backups import holds_conversations, make_backup
from tina.database.keeping.checking import find_problems
from tina.database.keeping.interruption import Stop
from tina.database.keeping.reading import reading
from tina.database.keeping.sameness import holds_same
from tina.database.keeping.swap import new_file_for, replace_damaged, replace_whole
from tina.database.migrations import version_of
from tina.domain.failures import DamagedFailure, ForeignFileFailure, StorageFailure
from tina.domain.keeping import (
    Backup,
    BackupKind,
    Difference,
    Restored,
    RestorePreview,
)

SHOWN_TITLES = 10

_ATTACH = "ATTACH :path AS other"

_ONLY_HERE = """
SELECT
  (SELECT count(*) FROM main.conversations AS here WHERE NOT EXISTS (
    SELECT 1 FROM other.conversations AS there
    WHERE there.owner_id = here.owner_id AND there.id = here.id)),
  (SELECT count(*) FROM main.messages AS here WHERE NOT EXISTS (
    SELECT 1 FROM other.messages AS there
    WHERE there.owner_id = here.owner_id AND there.id = here.id))
"""

_TITLES_ONLY_HERE = """
SELECT CASE title WHEN '' THEN preview ELSE title END
FROM main.conversations AS here WHERE NOT EXISTS (
  SELECT 1 FROM other.conversations AS there
  WHERE there.owner_id = here.owner_id AND there.id = here.id)
ORDER BY last_message_at DESC, id DESC LIMIT :limit
"""


def preview_restore(path: Path, backup: Backup, *, stop: Stop) -> RestorePreview:
    """What putting the backup back would change; blocks.

    Raises:
        StorageFailure: the backup itself cannot be used.
    """
    source = Path(backup.path)
    lost = regained = problem = None
    changes_nothing = False
    _check_backup(source, stop=stop)
    try:
        if _is_there(path):
            refuse_unusable(path)
            lost = _only_in(path, source, stop=stop)
            regained = _only_in(source, path, stop=stop)
            changes_nothing = _is_whole_and_same(path, source, stop=stop)
    except StorageFailure as failure:
        problem = failure.message
    return RestorePreview(
        backup=backup,
        lost=lost,
        regained=regained,
        problem=problem,
        changes_nothing=changes_nothing,
    )


def restore(path: Path, backup: Backup, *, now: datetime, stop: Stop) -> Restored:
    """Put the backup in the place of the database, which is kept as another backup.

    Nothing is done where the database holds the same already, and no backup is made of
    what stands in one: each that is made removes the oldest of its kind.

    A kill at any moment leaves the one or the other, whole. Whoever calls it holds the
    file lock alone.

    Raises:
        StorageFailure: nothing was changed.
    """
    source = Path(backup.path)
    if _is_whole_and_same(path, source, stop=stop):
        return Restored(backup=backup, kept=None, is_changed=False)
    # Twice: for the backup of what is there now, and for what takes its place.
    require_room(path.parent, 2 * stored_bytes(source), purpose="Restoring a backup")
    with new_file_for(path) as new:
        _copy(source, new, stop=stop)
        new.chmod(0o600)
        _check_backup(new, stop=stop, told_as=source)
        kept = _replace(path, new, now=now, stop=stop)
    return Restored(backup=backup, kept=kept)


def _copy(source: Path, new: Path, *, stop: Stop) -> None:
    """The backup as one file; somebody may have copied a database with its log."""
    if not has_log(source):
        shutil.copyfile(source, new)
        return
    with reading(source, stop=stop) as connection:
        connection.execute("VACUUM INTO :path", {"path": str(new)})


def _replace(path: Path, new: Path, *, now: datetime, stop: Stop) -> str | None:
    if not _is_there(path):
        replace_whole(path, new)
        return None
    try:
        kept = _keep(path, now=now, stop=stop)
        replace_whole(path, new)
    except (DamagedFailure, ForeignFileFailure):
        return str(replace_damaged(path, new, now=now))
    return kept


def _keep(path: Path, *, now: datetime, stop: Stop) -> str | None:
    """The backup that holds what is there now; None if that is nothing."""
    refuse_unusable(path)
    if not holds_conversations(path, stop=stop):
        return None
    for backup in BackupFolder(path).list():
        source = Path(backup.path)
        if holds_same(path, source, stop=stop) and _is_usable(source, stop=stop):
            return backup.path
    return make_backup(path, BackupKind.BEFORE_RESTORE, now=now, stop=stop).path


def _is_there(path: Path) -> bool:
    """Whether anything would be lost with it: an empty file is like none."""
    return size_of(path) > 0 or has_log(path)


def _is_whole_and_same(path: Path, source: Path, *, stop: Stop) -> bool:
    """Whether there is no reason to put the backup in the place of the database."""
    if not _is_there(path) or not holds_same(path, source, stop=stop):
        return False
    try:
        return not find_problems(path, stop=stop)
    except StorageFailure:
        return False


def _is_usable(source: Path, *, stop: Stop) -> bool:
    try:
        _check_backup(source, stop=stop)
    except StorageFailure:
        return False
    return True


def _check_backup(source: Path, *, stop: Stop, told_as: Path | None = None) -> None:
    """Refuse a file that is not a whole database of Tina's.

    Raises:
        ForeignFileFailure, NewerFileFailure, DamagedFailure: what it is instead.
    """
    named = told_as or source
    with reading(source, stop=stop, told_as=named) as connection:
        if connection.pragma("application_id") != APPLICATION_ID:
            raise ForeignFileFailure(
                f"{named} is no backup of Tina's; nothing was changed."
            )
        version_of(connection, named)
        found = next(connection.execute("PRAGMA quick_check(1)"))[0]
    if found != "ok":
        raise DamagedFailure(
            f"The backup {named} is damaged itself ({found}), so it was not used. "
            "`tina db restore` lists the others."
        )


def _only_in(here: Path, there: Path, *, stop: Stop) -> Difference:
    with reading(here, stop=stop) as connection:
        version_of(connection, here)
        connection.execute(_ATTACH, {"path": str(there)})
        conversations, messages = next(connection.execute(_ONLY_HERE))
        titles = connection.execute(_TITLES_ONLY_HERE, {"limit": SHOWN_TITLES})
        return Difference(
            conversations=conversations,
            messages=messages,
            titles=tuple(title for (title,) in titles),
        )
