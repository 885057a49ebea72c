"""What makes saved rows one readable history again, though some beside them are lost.

Messages never lie behind something that is gone: a lost conversation gets a stand-in,
what followed a lost message follows the one before it, a lost tip gives way to the
newest message. Counters are told anew; and as the next message's `seq` comes from
them, gaps in `seq` are closed.
"""

from collections import Counter
from typing import NamedTuple

import apsw

from tina.database.mappers.messages import preview_of_text

STAND_IN_TITLE = "(recovered)"

_MISSING_MESSAGES = """
SELECT coalesce(sum(max(0, message_count - (
  SELECT count(*) FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
))), 0) FROM conversations
"""

_ADD_STAND_INS = """
INSERT INTO conversations (
  owner_id, id, title, message_count, preview, created_at, last_message_at
)
SELECT owner_id, conversation_id, :title, 0, '', min(created_at), max(created_at)
FROM messages WHERE NOT EXISTS (
  SELECT 1 FROM conversations
  WHERE conversations.owner_id = messages.owner_id
    AND conversations.id = messages.conversation_id
)
GROUP BY owner_id, conversation_id
"""

_TIE_MESSAGES = (
    """
UPDATE messages SET parent_id = (
  SELECT earlier.id FROM messages AS earlier
  WHERE earlier.owner_id = messages.owner_id
    AND earlier.conversation_id = messages.conversation_id
    AND earlier.seq < messages.seq
  ORDER BY earlier.seq DESC LIMIT 1
)
WHERE parent_id IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM messages AS parent
  WHERE parent.owner_id = messages.owner_id AND parent.id = messages.parent_id
)
""",
    # By way of negative numbers: no two messages may have one number, not even between.
    """
UPDATE messages SET seq = -1 - place FROM (
  SELECT rid AS row, row_number() OVER (
    PARTITION BY owner_id, conversation_id ORDER BY seq
  ) - 1 AS place FROM messages
)
WHERE rid = row AND seq <> place
""",
    "UPDATE messages SET seq = -1 - seq WHERE seq < 0",
    """
UPDATE conversations SET message_count = (
  SELECT count(*) FROM messages
  WHERE messages.owner_id = conversations.owner_id
    AND messages.conversation_id = conversations.id
)
""",
)

_REPLACE_TIPS = """
UPDATE conversations SET tip_id = (
  SELECT newest.id FROM messages AS newest
  WHERE newest.owner_id = conversations.owner_id
    AND newest.conversation_id = conversations.id
  ORDER BY newest.seq DESC LIMIT 1
)
WHERE NOT EXISTS (
  SELECT 1 FROM messages AS tip
  WHERE tip.owner_id = conversations.owner_id AND tip.id = conversations.tip_id
)
RETURNING rid
"""

_NEWEST_TEXT = """
SELECT messages.text FROM messages JOIN conversations
  ON conversations.owner_id = messages.owner_id
  AND conversations.id = messages.conversation_id
WHERE conversations.rid = :rid AND messages.text <> ''
ORDER BY messages.seq DESC LIMIT 1
"""

_SET_PREVIEW = "UPDATE conversations SET preview = :preview WHERE rid = :rid"

_DROP_CHILDREN = {
    "grants": """
DELETE FROM grants WHERE conversation_id IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM conversations
  WHERE conversations.owner_id = grants.owner_id
    AND conversations.id = grants.conversation_id
)
""",
    "import_origins": """
DELETE FROM import_origins WHERE NOT EXISTS (
  SELECT 1 FROM conversations
  WHERE conversations.owner_id = import_origins.owner_id
    AND conversations.id = import_origins.conversation_id
)
""",
    "tool_calls": """
DELETE FROM tool_calls WHERE NOT EXISTS (
  SELECT 1 FROM conversations
  WHERE conversations.owner_id = tool_calls.owner_id
    AND conversations.id = tool_calls.conversation_id
)
""",
    "turns": """
DELETE FROM turns WHERE NOT EXISTS (
  SELECT 1 FROM conversations
  WHERE conversations.owner_id = turns.owner_id
    AND conversations.id = turns.conversation_id
)
""",
}

# A turn whose answer is lost, or has ended, has nothing to settle any more.
_END_TURNS = """
UPDATE turns SET status = 'done', ended_at = coalesce(ended_at, created_at)
WHERE status <> 'done' AND NOT EXISTS (
  SELECT 1 FROM messages
  WHERE messages.owner_id = turns.owner_id AND messages.id = turns.answer_id
    AND messages.status = 'streaming'
)
"""

# An answer whose turn is lost gets one that nobody runs: who opens the file next folds
# the journal and settles it. No process ever holds the lease of sixteen zeros.
_ADD_TURNS = {
    1: """
INSERT OR IGNORE INTO turns (
  owner_id, id, conversation_id, answer_id, lease_id, status, journal_from, created_at
)
SELECT owner_id, id, conversation_id, id, zeroblob(16), 'running', 1, created_at
FROM messages WHERE status = 'streaming' AND NOT EXISTS (
  SELECT 1 FROM turns
  WHERE turns.owner_id = messages.owner_id AND turns.answer_id = messages.id
)
""",
    2: """
INSERT OR IGNORE INTO turns (
  owner_id, id, conversation_id, answer_id, request, lease_id, status, journal_from,
  created_at, started_at
)
SELECT owner_id, id, conversation_id, id, json_object('model', coalesce(model, '')),
  zeroblob(16), 'running', 1, created_at, created_at
FROM messages WHERE status = 'streaming' AND NOT EXISTS (
  SELECT 1 FROM turns
  WHERE turns.owner_id = messages.owner_id AND turns.answer_id = messages.id
)
""",
}

_END_MESSAGES = """
UPDATE messages SET status = 'interrupted' WHERE status = 'streaming' AND NOT EXISTS (
  SELECT 1 FROM turns
  WHERE turns.owner_id = messages.owner_id AND turns.answer_id = messages.id
    AND turns.status <> 'done'
)
"""

# New journal rows come behind all that a turn may still look for.
_JOURNAL_END = (
    """
INSERT INTO sqlite_sequence (name, seq) SELECT 'journal', 0
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'journal')
""",
    """
UPDATE sqlite_sequence
SET seq = max(seq, coalesce((SELECT max(journal_from) FROM turns), 0))
WHERE name = 'journal'
""",
)

_FILL_BACKLOG = """
INSERT INTO search_backlog (rid) SELECT rid FROM messages WHERE text <> ''
"""


class Repaired(NamedTuple):
    stand_ins: int
    missing_messages: int
    """How many more messages the saved conversations had."""
    parentless: Counter[str]
    """Rows, by table, that were taken out again, since their conversation is lost."""


def repair(connection: apsw.Connection, *, version: int) -> Repaired:
    """Make the saved rows fit each other; without foreign keys, before triggers."""
    missing_messages: int = connection.execute(_MISSING_MESSAGES).get
    stand_ins = _change(connection, _ADD_STAND_INS, {"title": STAND_IN_TITLE})
    for statement in _TIE_MESSAGES:
        connection.execute(statement)
    _replace_tips(connection)
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    parentless = Counter(
        {
            table: _change(connection, statement)
            for table, statement in _DROP_CHILDREN.items()
            if table in tables
        }
    )
    turns = _ADD_TURNS[max(known for known in _ADD_TURNS if known <= version)]
    for statement in (_END_TURNS, turns, _END_MESSAGES, *_JOURNAL_END):
        connection.execute(statement)
    if "search_backlog" in tables:
        connection.execute(_FILL_BACKLOG)
    return Repaired(stand_ins, missing_messages, parentless)


def _replace_tips(connection: apsw.Connection) -> None:
    for (rid,) in list(connection.execute(_REPLACE_TIPS)):
        text = connection.execute(_NEWEST_TEXT, {"rid": rid}).get
        preview = preview_of_text(text or "")
        connection.execute(_SET_PREVIEW, {"rid": rid, "preview": preview})


def _change(
    connection: apsw.Connection, statement: str, bindings: dict[str, str] | None = None
) -> int:
    connection.execute(statement, bindings)
    return connection.changes()
