"""Is the file whole? Every page, every reference, the triggers, counters and the index.

Reads all of it: about ten seconds per gigabyte. Nothing is written, and writers go on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

from tina.database.engine.sqlite import refuse_unusable
from tina.database.keeping.interruption import Stop
from tina.database.keeping.reading import reading
from tina.database.keeping.stray_turns import count_stray, count_unwritten
from tina.database.migrations import LATEST_VERSION, version_of
from tina.database.migrations.triggers import wrong_triggers

_WRONG_COUNTS = """
SELECT count(*) FROM conversations WHERE message_count <> (
  SELECT count(*) FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
)
"""

# A conversation without messages has no tip; any other has one of its own messages.
_WRONG_TIPS = """
SELECT count(*) FROM conversations WHERE NOT EXISTS (
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

# A text waits in the backlog or is in the index, one of the two.
_NOT_INDEXED = """
SELECT count(*) FROM messages WHERE text <> ''
  AND rid NOT IN (SELECT rid FROM search_backlog)
  AND rid NOT IN (SELECT id FROM message_fts_docsize)
"""


class Integrity(NamedTuple):
    """What SQLite says of its own structures."""

    damage: tuple[str, ...]
    """Pages and indexes that are not what they should be, in SQLite's words."""
    is_search_index_whole: bool

    @property
    def problems(self) -> tuple[str, ...]:
        return self.damage if self.is_search_index_whole else (*self.damage, _BAD_INDEX)


_BAD_INDEX = "the search index is damaged; the messages are not affected"


def find_problems(path: Path, *, stop: Stop) -> tuple[str, ...]:
    """What is wrong with the file, in sentences; empty if it is whole. Blocks.

    Raises:
        StorageFailure: it cannot be read at all.
    """
    refuse_unusable(path)
    with reading(path, stop=stop) as connection:
        version = version_of(connection, path)
        problems = [*check_integrity(connection).problems, *lost_references(connection)]
        if not problems and version == LATEST_VERSION:
            problems += [*wrong_schema(connection), *wrong_contents(connection)]
    return tuple(problems)


def check_integrity(connection: apsw.Connection) -> Integrity:
    """Let SQLite read every page; it looks at the search index, too."""
    texts = [text for (text,) in connection.execute("PRAGMA integrity_check")]
    of_index = [text for text in texts if "fts5" in text.lower()]
    damage = (text for text in texts if text != "ok" and text not in of_index)
    return Integrity(tuple(damage), is_search_index_whole=not of_index)


def lost_references(connection: apsw.Connection) -> Iterator[str]:
    for table, rid, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"row {rid} of {table} has no {parent}"


def wrong_schema(connection: apsw.Connection) -> Iterator[str]:
    for name in wrong_triggers(connection):
        yield f"the trigger {name} is missing or not as it should be"


def wrong_contents(connection: apsw.Connection) -> Iterator[str]:
    """Counters, tips, turns and the index, against the messages they are about."""
    wrong_counts = connection.execute(_WRONG_COUNTS).get
    wrong_tips = connection.execute(_WRONG_TIPS).get
    not_indexed = connection.execute(_NOT_INDEXED).get
    for found, sentence in (
        (wrong_counts, "conversations with a wrong count of their messages: {}"),
        (wrong_tips, "conversations whose newest message is not known: {}"),
        (not_indexed, "messages that no search would find: {}"),
        (count_stray(connection), "turns that nobody can end: {}"),
        (count_unwritten(connection), "unfinished answers that nobody writes: {}"),
    ):
        if found:
            yield sentence.format(found)
