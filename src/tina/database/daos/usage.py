"""The table `usage`: what each answer used, kept when the answer is gone."""

import apsw
from msgspec.structs import asdict

from tina.database.rows import UsageRow

_INSERT = """
INSERT INTO usage (
  owner_id, message_id, conversation_id, model, input_tokens, output_tokens,
  cached_tokens, cache_write_tokens, reasoning_tokens, cost_micros, created_at
) VALUES (
  :owner_id, :message_id, :conversation_id, :model, :input_tokens, :output_tokens,
  :cached_tokens, :cache_write_tokens, :reasoning_tokens, :cost_micros, :created_at
) ON CONFLICT (owner_id, message_id) DO NOTHING
"""


def insert(connection: apsw.Connection, row: UsageRow) -> None:
    """Enter it once: an answer that is entered already stays as it was."""
    connection.execute(_INSERT, asdict(row))
