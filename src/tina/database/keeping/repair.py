"""Mending a file: what is derived is made anew, what is damaged is salvaged.

Derived are the triggers, the counters of conversations, their tips and previews, the
search index; turns that nobody can end are ended. Where anything else is damaged, all
that can be read is saved into a new file; the damaged one is kept, untouched, under
another name.

Whoever calls these holds the file lock alone, and nothing in this process has the file
open.
"""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import apsw

from tina.database.engine.sqlite import (
    open_writer,
    refuse_emptied,
    refuse_unusable,
    storage_failures,
)
from tina.database.engine.transaction import transaction
from tina.database.files.backup_folder import BackupFolder
from tina.database.files.filesystem import require_room, stored_bytes
from tina.database.keeping.checking import check_integrity, lost_references
from tina.database.keeping.interruption import Stop
from tina.database.keeping.reading import reading
from tina.database.keeping.stray_turns import end_stray, interrupt_unwritten
from tina.database.keeping.swap import new_file_for, replace_damaged, whole_of
from tina.database.mappers.messages import preview_of_text
from tina.database.migrations import LATEST_VERSION, version_of
from tina.database.migrations.triggers import remake_triggers, wrong_triggers
from tina.database.salvage import LeftOut, Salvaged, salvage
from tina.domain.failures import DamagedFailure
from tina.domain.keeping import Repair

_MEND_COUNTS = """
UPDATE conversations SET message_count = (
  SELECT count(*) FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
) WHERE message_count <> (
  SELECT count(*) FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
)
"""

_MEND_TIPS = """
UPDATE conversations SET tip_id = (
  SELECT id FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
  ORDER BY seq DESC LIMIT 1
) WHERE NOT EXISTS (
  SELECT 1 FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.id = conversations.tip_id
    AND messages.conversation_id = conversations.id
) AND (tip_id IS NOT NULL OR EXISTS (
  SELECT 1 FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
))
"""

# The newest text of the branch: the tip may have none, being cut off or a tool's.
_NEWEST_TEXTS = """
SELECT rid, preview, (
  WITH RECURSIVE branch (id, parent_id, text, depth) AS (
    SELECT id, parent_id, text, 0 FROM messages
    WHERE messages.owner_id = conversations.owner_id
      AND messages.id = conversations.tip_id
    UNION ALL
    SELECT messages.id, messages.parent_id, messages.text, depth + 1
    FROM branch JOIN messages
      ON messages.owner_id = conversations.owner_id
      AND messages.id = branch.parent_id
    WHERE branch.text = '' AND depth < 1000
  )
  SELECT substr(text, 1, 1000) FROM branch ORDER BY depth DESC LIMIT 1
) FROM conversations
"""

_SET_PREVIEW = "UPDATE conversations SET preview = :preview WHERE rid = :rid"

_EMPTY_INDEX = "INSERT INTO message_fts (message_fts) VALUES ('delete-all')"

_FILL_BACKLOG = """
INSERT OR IGNORE INTO search_backlog (rid) SELECT rid FROM messages WHERE text <> ''
"""

_ADD_TO_BACKLOG = """
INSERT INTO search_backlog (rid) SELECT rid FROM messages WHERE text <> ''
  AND rid NOT IN (SELECT rid FROM search_backlog)
  AND rid NOT IN (SELECT id FROM message_fts_docsize)
"""


def repair(path: Path, *, now: datetime, stop: Stop) -> Repair:
    """Mend the file, or save what can be read into a new one; blocks.

    Raises:
        ForeignFileFailure, NewerFileFailure: it is not this Tina's; it is untouched.
        DamagedFailure: nothing at all can be read, or the file is empty and there are
            backups; it is untouched.
        StorageFailure: it could not be done; the file is as it was.
    """
    refuse_emptied(path)
    source = whole_of(path)
    if source == path and not _is_damaged(path, stop=stop):
        return Repair(mended=tuple(mend(path, stop=stop)))
    require_room(path.parent, 2 * stored_bytes(source), purpose="A repair")
    with new_file_for(path) as new:
        saved = salvage(source, into=new)
        stop.check()
        original = replace_damaged(path, new, now=now)
    mended = tuple(mend(path, stop=stop)) if saved.version == LATEST_VERSION else ()
    return Repair(
        mended=mended,
        original=str(original),
        saved=dict(saved.rows),
        left_out=tuple(_losses(saved)),
        newest_backup=BackupFolder(path).newest(),
    )


def mend(path: Path, *, stop: Stop) -> Iterator[str]:
    """Make anew what is derived, in a file that is whole; what was wrong, in sentences.

    Each step is a transaction.
    """
    with storage_failures(path), closing(open_writer(path)) as connection:
        stop.watch(connection)
        if version_of(connection, path) != LATEST_VERSION:
            return
        with transaction(connection):
            wrong = wrong_triggers(connection)
            remake_triggers(connection)
        if wrong:
            yield f"triggers made anew: {', '.join(wrong)}"
        yield from _mend_turns(connection)
        yield from _mend_counters(connection)
        yield from _mend_index(connection)


def _is_damaged(path: Path, *, stop: Stop) -> bool:
    """Whether pages, indexes or references are not what they should be."""
    try:
        refuse_unusable(path)
        with reading(path, stop=stop) as connection:
            version_of(connection, path)
            damage = check_integrity(connection).damage
            return bool(damage) or any(lost_references(connection))
    except DamagedFailure:
        return True


def _mend_turns(connection: apsw.Connection) -> Iterator[str]:
    with transaction(connection):
        turns = end_stray(connection)
        answers = interrupt_unwritten(connection)
    if turns:
        yield f"turns ended that nobody could end: {turns}"
    if answers:
        yield f"answers marked as interrupted that nobody wrote any more: {answers}"


def _mend_counters(connection: apsw.Connection) -> Iterator[str]:
    with transaction(connection):
        counts = _change(connection, _MEND_COUNTS)
        tips = _change(connection, _MEND_TIPS)
        previews = _mend_previews(connection)
    for number, sentence in (
        (counts, "counts of messages told anew: {}"),
        (tips, "newest messages found again: {}"),
        (previews, "previews written anew: {}"),
    ):
        if number:
            yield sentence.format(number)


def _mend_previews(connection: apsw.Connection) -> int:
    mended = 0
    for rid, preview, text in list(connection.execute(_NEWEST_TEXTS)):
        right = preview_of_text(text or "")
        if right != preview:
            connection.execute(_SET_PREVIEW, {"preview": right, "rid": rid})
            mended += 1
    return mended


def _mend_index(connection: apsw.Connection) -> Iterator[str]:
    with transaction(connection):
        if not check_integrity(connection).is_search_index_whole:
            connection.execute(_EMPTY_INDEX)
            connection.execute(_FILL_BACKLOG)
            found = "the search index is made anew, with the next searches"
        elif forgotten := _change(connection, _ADD_TO_BACKLOG):
            found = f"messages that no search would have found: {forgotten}"
        else:
            return
    yield found


def _change(connection: apsw.Connection, statement: str) -> int:
    connection.execute(statement)
    return connection.changes()


def _losses(saved: Salvaged) -> Iterator[str]:
    for reason, number in saved.left_out.items():
        yield _LEFT_OUT[reason].format(number)
    if saved.missing_messages:
        yield f"messages of which nothing was found: {saved.missing_messages}"
    if saved.stand_ins:
        yield (
            "conversations whose own row was lost; their messages are under "
            f'"(recovered)": {saved.stand_ins}'
        )


_LEFT_OUT = {
    LeftOut.UNREADABLE: "rows that are damaged themselves: {}",
    LeftOut.UNKNOWN: "rows that hold what no Tina writes: {}",
    LeftOut.DOUBLE: "rows of which another state was kept: {}",
    LeftOut.PARENTLESS: "rows of conversations of which nothing is left: {}",
}
