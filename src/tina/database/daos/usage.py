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

_SPENT = """
SELECT coalesce(sum(cost_micros), 0) FROM usage
WHERE owner_id = :owner_id AND created_at >= :since
"""

_SPENT_IN = """
SELECT coalesce(sum(cost_micros), 0) FROM usage
WHERE owner_id = :owner_id AND conversation_id = :conversation_id
  AND created_at >= :since
"""

_ENTER_COST = """
UPDATE usage SET cost_micros = :cost_micros
WHERE owner_id = :owner_id AND message_id = :message_id AND cost_micros IS NULL
"""


def insert(connection: apsw.Connection, row: UsageRow) -> None:
    """Enter it once: an answer that is entered already stays as it was."""
    connection.execute(_INSERT, asdict(row))


def enter_cost(
    connection: apsw.Connection, *, owner_id: int, message_id: bytes, cost_micros: int
) -> None:
    """Enter what an answer cost, once."""
    bindings = {
        "owner_id": owner_id,
        "message_id": message_id,
        "cost_micros": cost_micros,
    }
    connection.execute(_ENTER_COST, bindings)


def spent(
    connection: apsw.Connection,
    *,
    owner_id: int,
    conversation_id: bytes | None,
    since: int,
) -> int:
    """What answers that ended at `since` (ms) or later cost, in micro-dollars."""
    bindings = {"owner_id": owner_id, "since": since}
    if conversation_id is None:
        found = connection.execute(_SPENT, bindings)
    else:
        bindings_in = {**bindings, "conversation_id": conversation_id}
        found = connection.execute(_SPENT_IN, bindings_in)
    (spent_micros,) = next(found)
    return int(spent_micros)
