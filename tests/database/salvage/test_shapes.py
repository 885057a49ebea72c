"""Which rows a table can hold, and that no table takes another's."""

import pytest

from tina.database.salvage.records import Value
from tina.database.salvage.shapes import MAX_RID, Column, Fit, fit, make_table
from tina.database.salvage.trees import Row

ID = b"i" * 16
NOW = 1_700_000_000_000


def column(name: str, kind: str, *, is_required: bool = True) -> Column:
    return Column(name, kind, is_required, is_key=False, default=None)


KEY = Column("rid", "INTEGER", is_required=False, is_key=True, default=None)
MESSAGES = make_table(
    "messages",
    (
        KEY,
        column("id", "BLOB"),
        column("parent_id", "BLOB", is_required=False),
        column("role", "TEXT"),
        column("usage", "TEXT", is_required=False),
        column("created_at", "INTEGER"),
        Column("is_pinned", "INTEGER", is_required=True, is_key=False, default=0),
        column("metadata", "TEXT", is_required=False),
    ),
)
NOTES = make_table("notes", (KEY, column("text", "TEXT")))
VALUES: tuple[Value, ...] = (None, ID, None, "user", None, NOW, 1, "{}")


def fit_messages(values: tuple[Value, ...], *, rowid: int = 7) -> Fit | None:
    return fit(Row(rowid, values, (2,)), [MESSAGES])


def changed(place: int, value: Value) -> tuple[Value, ...]:
    return (*VALUES[:place], value, *VALUES[place + 1 :])


def test_a_row_gets_its_key_in_its_place() -> None:
    assert fit_messages(VALUES) == Fit("messages", (7, *VALUES[1:]))


def test_a_row_from_before_a_column_was_added_gets_the_default() -> None:
    assert fit_messages(VALUES[:-2]) == Fit("messages", (7, *VALUES[1:-2], 0, None))


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="nothing"),
        pytest.param(VALUES[:5], id="without-what-is-required"),
        pytest.param((*VALUES, None), id="one-too-many"),
        pytest.param(changed(0, 7), id="key-among-the-values"),
        pytest.param(changed(1, None), id="required-is-null"),
        pytest.param(changed(1, ID[1:]), id="id-too-short"),
        pytest.param(changed(2, ID + b"i"), id="id-too-long"),
        pytest.param(changed(2, "text"), id="text-for-bytes"),
        pytest.param(changed(3, b"user"), id="bytes-for-text"),
        pytest.param(changed(3, "usher"), id="unknown-word"),
        pytest.param(changed(5, float(NOW)), id="float-for-integer"),
        pytest.param(changed(5, -1), id="before-1970"),
        pytest.param(changed(5, 253_402_300_800_000), id="after-the-last-year"),
    ],
)
def test_a_row_with_other_values_is_of_another_table(
    values: tuple[Value, ...],
) -> None:
    assert fit_messages(values) is None


@pytest.mark.parametrize(
    ("rowid", "is_ours"),
    [(-1, False), (0, False), (1, True), (MAX_RID, True), (MAX_RID + 1, False)],
)
def test_keys_are_counted_from_one(rowid: int, *, is_ours: bool) -> None:
    assert (fit_messages(VALUES, rowid=rowid) is not None) is is_ours


def test_a_damaged_value_that_can_be_spared_is_left_out() -> None:
    fitted = fit_messages(changed(4, '{"input'))

    assert fitted == Fit("messages", (7, *VALUES[1:]))


def test_text_that_could_not_be_read_is_noticed() -> None:
    whole = fit(Row(1, (None, "a"), (2,)), [NOTES])
    zeroed = fit(Row(1, (None, "a\0\0"), (2,)), [NOTES])

    assert whole is not None
    assert zeroed is not None
    assert zeroed.values == (1, "a\ufffd\ufffd")
    assert (whole.is_garbled, zeroed.is_garbled) == (False, True)


def test_the_first_table_that_fits_gets_the_row() -> None:
    row = Row(1, (None, "a"), (2,))
    other = NOTES._replace(name="other")

    assert fit(row, [MESSAGES, other, NOTES]) == Fit("other", (1, "a"))
    assert fit(row, []) is None
