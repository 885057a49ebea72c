import pytest

from tina.database.salvage.meanings import is_meant
from tina.database.salvage.records import Value


@pytest.mark.parametrize(
    ("table", "column", "meant", "not_meant"),
    [
        ("messages", "role", "user", "usr\ufffd"),
        ("messages", "status", "streaming", "queued"),
        ("messages", "stop_reason", "length", "short"),
        ("messages", "parts", "[]", "[\ufffd"),
        ("messages", "usage", '{"input_tokens":\n1}', "{'input_tokens': 1}"),
        ("messages", "seq", 0, -1),
        ("messages", "seq", 2**31 - 1, 2**31),
        ("conversations", "message_count", 5, -5),
        ("turns", "status", "queued", "streaming"),
        ("turns", "journal_from", 2**48, 2**48 + 1),
        ("turns", "journal_from", 0, -1),
        ("grants", "decision", "allow", "perhaps"),
        ("tool_calls", "status", "denied", "done?"),
    ],
)
def test_what_no_reader_understands_is_told(
    table: str, column: str, meant: Value, not_meant: Value
) -> None:
    assert is_meant(table, column, meant)
    assert not is_meant(table, column, not_meant)


@pytest.mark.parametrize(
    ("table", "column"),
    [("messages", "text"), ("tool_calls", "arguments"), ("journal", "events")],
)
def test_what_may_be_anything_is_never_doubted(table: str, column: str) -> None:
    assert is_meant(table, column, "{cut")


@pytest.mark.parametrize("column", ["seq", "message_count"])
def test_a_number_in_words_is_none(column: str) -> None:
    table = "messages" if column == "seq" else "conversations"

    assert not is_meant(table, column, "5")
