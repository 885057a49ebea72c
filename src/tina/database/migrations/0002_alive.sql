-- Conversations that stay alive: what a person does with them (pin, archive, delete and
-- take back), turns that any process can claim, tools, the ledger of what was used,
-- search, and the log of changes that live queries follow.

ALTER TABLE conversations ADD COLUMN is_pinned   INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN is_archived INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN deleted_at  INTEGER;
ALTER TABLE conversations ADD COLUMN origin      TEXT;
ALTER TABLE conversations ADD COLUMN metadata    TEXT;

DROP INDEX conversations_newest;
CREATE INDEX conversations_listed ON conversations
  (owner_id, is_archived, is_pinned DESC, last_message_at DESC, id DESC)
  WHERE deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (owner_id, deleted_at)
  WHERE deleted_at IS NOT NULL;

ALTER TABLE messages ADD COLUMN metadata TEXT;

-- A turn carries what was asked for, so that another process can run it. It is `queued`
-- until a process claims it with its lease, then `running`, then `done`.
CREATE TABLE turns_claimed (
  rid               INTEGER PRIMARY KEY,
  owner_id          INTEGER NOT NULL,
  id                BLOB    NOT NULL CHECK (length(id) = 16),
  conversation_id   BLOB    NOT NULL,
  answer_id         BLOB    NOT NULL,
  request           TEXT    NOT NULL,
  status            TEXT    NOT NULL,
  lease_id          BLOB,
  journal_from      INTEGER,
  stop_requested_at INTEGER,
  created_at        INTEGER NOT NULL,
  started_at        INTEGER,
  ended_at          INTEGER,
  UNIQUE (owner_id, id),
  FOREIGN KEY (owner_id, conversation_id)
    REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

INSERT INTO turns_claimed (
  rid, owner_id, id, conversation_id, answer_id, request, status, lease_id,
  journal_from, created_at, started_at, ended_at
)
SELECT
  rid, owner_id, id, conversation_id, answer_id,
  json_object('model', coalesce(
    (SELECT model FROM messages
     WHERE messages.owner_id = turns.owner_id AND messages.id = turns.answer_id), '')),
  status, lease_id, journal_from, created_at, created_at, ended_at
FROM turns;

DROP TABLE turns;
ALTER TABLE turns_claimed RENAME TO turns;

CREATE INDEX turns_open ON turns (status, rid) WHERE status <> 'done';
CREATE INDEX turns_running ON turns (journal_from) WHERE status = 'running';
CREATE INDEX turns_of_answer ON turns (owner_id, answer_id);
CREATE INDEX turns_of_conversation ON turns (owner_id, conversation_id);

-- A row with `is_fold` says again all that its message said in rows before it.
ALTER TABLE journal ADD COLUMN owner_id INTEGER NOT NULL DEFAULT 1;
ALTER TABLE journal ADD COLUMN is_fold  INTEGER NOT NULL DEFAULT 0;

-- `call_id` is the model's own name for the call. Times are null until they happen.
CREATE TABLE tool_calls (
  rid             INTEGER PRIMARY KEY,
  owner_id        INTEGER NOT NULL,
  id              BLOB    NOT NULL CHECK (length(id) = 16),
  conversation_id BLOB    NOT NULL,
  message_id      BLOB    NOT NULL,
  place           INTEGER NOT NULL,
  call_id         TEXT    NOT NULL,
  server          TEXT    NOT NULL,
  tool            TEXT    NOT NULL,
  tool_hash       TEXT    NOT NULL,
  arguments       TEXT    NOT NULL,
  status          TEXT    NOT NULL,
  outcome         TEXT,
  created_at      INTEGER NOT NULL,
  decided_at      INTEGER,
  started_at      INTEGER,
  ended_at        INTEGER,
  UNIQUE (owner_id, id),
  UNIQUE (owner_id, message_id, place),
  FOREIGN KEY (owner_id, conversation_id)
    REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX tool_calls_waiting ON tool_calls (owner_id, rid) WHERE status = 'waiting';
CREATE INDEX tool_calls_of_conversation ON tool_calls (owner_id, conversation_id);

-- A standing answer to "may this tool run?", bound to the hashes of what was shown.
CREATE TABLE grants (
  rid             INTEGER PRIMARY KEY,
  owner_id        INTEGER NOT NULL,
  id              BLOB    NOT NULL CHECK (length(id) = 16),
  decision        TEXT    NOT NULL,
  conversation_id BLOB,
  server          TEXT    NOT NULL,
  tool            TEXT    NOT NULL,
  config_hash     TEXT    NOT NULL,
  tool_hash       TEXT    NOT NULL,
  created_at      INTEGER NOT NULL,
  expires_at      INTEGER,
  UNIQUE (owner_id, id),
  FOREIGN KEY (owner_id, conversation_id)
    REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX grants_of_tool ON grants (owner_id, server, tool);
CREATE INDEX grants_of_conversation ON grants (owner_id, conversation_id);

-- The ledger: what each answer used. It refers to no row, so that what was spent stays
-- known when a conversation is purged.
CREATE TABLE usage (
  rid                INTEGER PRIMARY KEY,
  owner_id           INTEGER NOT NULL,
  message_id         BLOB    NOT NULL,
  conversation_id    BLOB    NOT NULL,
  model              TEXT    NOT NULL,
  input_tokens       INTEGER,
  output_tokens      INTEGER,
  cached_tokens      INTEGER,
  cache_write_tokens INTEGER,
  reasoning_tokens   INTEGER,
  cost_micros        INTEGER,
  created_at         INTEGER NOT NULL,
  UNIQUE (owner_id, message_id)
) STRICT;

CREATE INDEX usage_by_time ON usage (owner_id, created_at);
CREATE INDEX usage_of_conversation ON usage (owner_id, conversation_id);

INSERT INTO usage (
  owner_id, message_id, conversation_id, model, input_tokens, output_tokens,
  cached_tokens, cache_write_tokens, reasoning_tokens, created_at
)
SELECT
  owner_id, id, conversation_id, coalesce(model, ''),
  usage ->> 'input_tokens', usage ->> 'output_tokens', usage ->> 'cached_tokens',
  usage ->> 'cache_write_tokens', usage ->> 'reasoning_tokens', created_at
FROM messages WHERE usage IS NOT NULL;

-- Where an imported conversation came from: importing it again finds it.
CREATE TABLE import_origins (
  rid             INTEGER PRIMARY KEY,
  owner_id        INTEGER NOT NULL,
  source          TEXT    NOT NULL,
  source_id       TEXT    NOT NULL,
  conversation_id BLOB    NOT NULL,
  imported_at     INTEGER NOT NULL,
  UNIQUE (owner_id, source, source_id),
  FOREIGN KEY (owner_id, conversation_id)
    REFERENCES conversations (owner_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX import_origins_of_conversation
  ON import_origins (owner_id, conversation_id);

-- What changed, in the order of the commits; filled by triggers, so that no writer in any
-- process can forget it. AUTOINCREMENT: an id is never given twice and a hole means that
-- the log was trimmed.
CREATE TABLE change_log (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  owner_id INTEGER NOT NULL,
  topic    TEXT    NOT NULL,
  key      BLOB    NOT NULL
) STRICT;

-- The text of messages, kept once: the index points at their `rid`. What is not indexed
-- yet stands in the backlog. The view says what is: `rebuild` and `integrity-check` go by
-- it, and would take all of `messages` for indexed.
CREATE TABLE search_backlog (
  rid INTEGER PRIMARY KEY
) STRICT;

CREATE VIEW indexed_messages (rid, text) AS
SELECT rid, text FROM messages
WHERE text <> '' AND rid NOT IN (SELECT rid FROM search_backlog);

CREATE VIRTUAL TABLE message_fts USING fts5 (
  text, content = 'indexed_messages', content_rowid = 'rid',
  tokenize = 'unicode61 remove_diacritics 2'
);

INSERT INTO search_backlog (rid) SELECT rid FROM messages WHERE text <> '';
