"""Rows that another program, or a broken disk, has left: named, never half believed."""

import msgspec
import pytest

from tina.database.mappers.conversations import to_conversation
from tina.database.mappers.turns import to_events
from tina.database.rows import ConversationRow, JournalRow
from tina.domain.events import TextDelta
from tina.domain.failures import DamagedFailure

ROW = ConversationRow(
    owner_id=1,
    id=b"\xab" * 16,
    title="Fjords",
    model=None,
    system=None,
    tip_id=None,
    message_count=0,
    preview="",
    is_pinned=0,
    is_archived=0,
    deleted_at=None,
    origin=None,
    metadata=None,
    created_at=0,
    last_message_at=0,
)


@pytest.mark.parametrize(
    "field", [{"metadata": "{"}, {"origin": "[]"}, {"created_at": 2**62}]
)
def test_a_conversation_that_cannot_be_read_is_named(field: dict[str, object]) -> None:
    with pytest.raises(DamagedFailure, match="ab" * 16):
        to_conversation(msgspec.structs.replace(ROW, **field))


def test_after_a_piece_that_cannot_be_read_only_a_fold_is_believed() -> None:
    def piece(text: str, *, is_fold: int = 0) -> JournalRow:
        events = msgspec.json.encode([TextDelta("text", text)]).decode()
        return JournalRow(rid=1, message_id=b"", events=events, is_fold=is_fold)

    broken = JournalRow(rid=1, message_id=b"", events="[{", is_fold=0)

    cut = to_events([piece("Once "), broken, piece("a time")])
    whole = to_events([piece("Once "), broken, piece("upon "), piece("All", is_fold=1)])

    assert cut == (TextDelta("text", "Once "),)
    assert whole == (TextDelta("text", "All"),)
