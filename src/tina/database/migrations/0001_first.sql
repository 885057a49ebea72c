-- Ids are the 16 bytes of a UUIDv7. Times are milliseconds since 1970, UTC.
-- `owner_id` leads every key, so that rows can be spread by owner one day; on a
-- laptop it is 1. The integer key `rid` is what a full-text index will point at.

CREATE TABLE conversations (
  rid             INTEGER PRIMARY KEY,
  owner_id        INTEGER NOT NULL,
  id              BLOB    NOT NULL CHECK (length(id) = 16),
  title           TEXT    NOT NULL,
  model           TEXT,
  system          TEXT,
  tip_id          BLOB,
  message_count   INTEGER NOT NULL,
  preview         TEXT    NOT NULL,
  created_at      INTEGER NOT NULL,
  last_message_at INTEGER NOT NULL,
  UNIQUE (owner_id, id)
) STRICT;

CREATE INDEX conversations_newest
  ON conversations (owner_id, last_message_at DESC, id DESC);

-- `text` is what the message says; `parts` is null when that is all there is to it,
-- else the whole message as JSON.
CREATE TABLE messages (
  rid             INTEGER PRIMARY KEY,
  owner_id        INTEGER NOT NULL,
  id              BLOB    NOT NULL CHECK (length(id) = 16),
  conversation_id BLOB    NOT NULL,
  seq             INTEGER NOT NULL,
  parent_id       BLOB,
  role            TEXT    NOT NULL,
  status          TEXT    NOT NULL,
  text            TEXT    NOT NULL,
  parts           TEXT,
  model           TEXT,
  stop_reason     TEXT,
  usage           TEXT,
  failure         TEXT,
  replay          TEXT,
  created_at      INTEGER NOT NULL,
  UNIQUE (owner_id, id),
  UNIQUE (owner_id, conversation_id, seq),
  FOREIGN KEY (owner_id, conversation_id)
    REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

-- `lease_id` names the lock that the running process holds; `journal_from` the first
-- journal row that can belong to this turn.
CREATE TABLE turns (
  rid             INTEGER PRIMARY KEY,
  owner_id        INTEGER NOT NULL,
  id              BLOB    NOT NULL CHECK (length(id) = 16),
  conversation_id BLOB    NOT NULL,
  answer_id       BLOB    NOT NULL,
  lease_id        BLOB    NOT NULL,
  status          TEXT    NOT NULL,
  journal_from    INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  ended_at        INTEGER,
  UNIQUE (owner_id, id),
  UNIQUE (owner_id, answer_id),
  FOREIGN KEY (owner_id, conversation_id)
    REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX turns_running ON turns (journal_from) WHERE status = 'running';

-- What running answers have said. AUTOINCREMENT: a row id must
-- never be given twice, since `journal_from` and readers count on their order.
CREATE TABLE journal (
  rid        INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id BLOB NOT NULL,
  events     TEXT NOT NULL
) STRICT;
