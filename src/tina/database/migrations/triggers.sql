-- Every trigger of the newest schema. They are made anew after each migration, since
-- rebuilding a table loses its triggers without a word.

-- Live queries: topic and key of what changed.

CREATE TRIGGER conversations_added AFTER INSERT ON conversations BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (new.owner_id, 'conversations', new.id);
END;

CREATE TRIGGER conversations_changed AFTER UPDATE ON conversations BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (new.owner_id, 'conversations', new.id);
END;

CREATE TRIGGER conversations_removed AFTER DELETE ON conversations BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (old.owner_id, 'conversations', old.id);
END;

CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (new.owner_id, 'messages', new.conversation_id);
END;

CREATE TRIGGER messages_changed AFTER UPDATE ON messages BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (new.owner_id, 'messages', new.conversation_id);
END;

CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (old.owner_id, 'messages', old.conversation_id);
END;

CREATE TRIGGER turns_added AFTER INSERT ON turns BEGIN
  INSERT INTO change_log (owner_id, topic, key) VALUES (new.owner_id, 'turns', new.id);
END;

CREATE TRIGGER turns_changed AFTER UPDATE OF status, stop_requested_at ON turns BEGIN
  INSERT INTO change_log (owner_id, topic, key) VALUES (new.owner_id, 'turns', new.id);
END;

CREATE TRIGGER turns_removed AFTER DELETE ON turns BEGIN
  INSERT INTO change_log (owner_id, topic, key) VALUES (old.owner_id, 'turns', old.id);
END;

CREATE TRIGGER tool_calls_added AFTER INSERT ON tool_calls BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (new.owner_id, 'tool_calls', new.conversation_id);
END;

CREATE TRIGGER tool_calls_changed AFTER UPDATE ON tool_calls BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (new.owner_id, 'tool_calls', new.conversation_id);
END;

CREATE TRIGGER tool_calls_removed AFTER DELETE ON tool_calls BEGIN
  INSERT INTO change_log (owner_id, topic, key)
  VALUES (old.owner_id, 'tool_calls', old.conversation_id);
END;

-- Search: a new text waits for its turn; a text that goes is taken out of the index with
-- the words it was indexed with, if it was indexed.

CREATE TRIGGER messages_text_added AFTER INSERT ON messages WHEN new.text <> '' BEGIN
  INSERT INTO search_backlog (rid) VALUES (new.rid);
END;

CREATE TRIGGER messages_text_changed AFTER UPDATE OF text ON messages
WHEN new.text <> old.text BEGIN
  INSERT INTO message_fts (message_fts, rowid, text)
  SELECT 'delete', old.rid, old.text
  WHERE old.text <> ''
    AND NOT EXISTS (SELECT 1 FROM search_backlog WHERE rid = old.rid);
  INSERT OR IGNORE INTO search_backlog (rid) SELECT new.rid WHERE new.text <> '';
  DELETE FROM search_backlog WHERE rid = new.rid AND new.text = '';
END;

CREATE TRIGGER messages_text_removed AFTER DELETE ON messages WHEN old.text <> '' BEGIN
  INSERT INTO message_fts (message_fts, rowid, text)
  SELECT 'delete', old.rid, old.text
  WHERE NOT EXISTS (SELECT 1 FROM search_backlog WHERE rid = old.rid);
  DELETE FROM search_backlog WHERE rid = old.rid;
END;
