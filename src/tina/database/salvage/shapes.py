"""Which table a row can belong to, judged by its values alone. Pure.

A page whose parent is damaged does not say whose it is; but Tina's tables are STRICT
and known, and no row of one of them looks like a row of another.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tina.database.salvage.meanings import is_meant
from tina.database.salvage.records import Value
from tina.database.salvage.trees import Row

ID_BYTES = 16
MAX_RID = 1 << 48
"""Above it stands no row of ours; a damaged key there would use up all keys."""
_YEAR_10000_MS = 253_402_300_800_000
_TYPES: dict[str, type] = {"INTEGER": int, "TEXT": str, "BLOB": bytes}


class Column(NamedTuple):
    name: str
    kind: str
    """INTEGER, TEXT or BLOB."""
    is_required: bool
    is_key: bool
    """It is the row's key, which stands beside the values, not among them."""
    default: Value


class Table(NamedTuple):
    name: str
    columns: tuple[Column, ...]
    fewest: int
    """A row from before the last columns were added has at least so many values."""


def make_table(name: str, columns: tuple[Column, ...]) -> Table:
    needed = [
        place
        for place, column in enumerate(columns, 1)
        if column.is_required and column.default is None
    ]
    return Table(name, columns, max(needed, default=1))


class Fit(NamedTuple):
    """A row of a table, complete: one value for each column."""

    table: str
    values: tuple[Value, ...]

    @property
    def is_garbled(self) -> bool:
        """Whether it has characters that could not be read."""
        return any(
            isinstance(value, str) and "\ufffd" in value for value in self.values
        )


def fit(row: Row, tables: Iterable[Table]) -> Fit | None:
    """The row as one of the first table that can hold it; None if none can."""
    for table in tables:
        values = _fit_table(row, table)
        if values is not None:
            return Fit(table.name, values)
    return None


def _fit_table(row: Row, table: Table) -> tuple[Value, ...] | None:
    if not table.fewest <= len(row.values) <= len(table.columns):
        return None
    if not 0 < row.rowid <= MAX_RID:
        return None
    fitted: list[Value] = []
    for column, value in zip(table.columns, row.values, strict=False):
        mended = _mend(table.name, column, value)
        if mended is None and column.is_required:
            return None
        if mended is None and value is not None and not _is_of_kind(column, value):
            return None
        fitted.append(row.rowid if column.is_key else mended)
    added = table.columns[len(fitted) :]
    return (*fitted, *(column.default for column in added))


def _mend(table: str, column: Column, value: Value) -> Value:
    """The value, or None if it is none of this column's."""
    if value is None or not _is_of_kind(column, value):
        return None
    if isinstance(value, str):
        value = value.replace("\0", "\ufffd")  # in no text that Tina writes
    return value if is_meant(table, column.name, value) else None


def _is_of_kind(column: Column, value: Value) -> bool:
    """Whether the schema lets it stand in this column."""
    if column.is_key or not isinstance(value, _TYPES[column.kind]):
        return False
    if isinstance(value, bytes) and column.name.rpartition("_")[2] == "id":
        return len(value) == ID_BYTES
    if isinstance(value, int) and column.name.endswith("_at"):
        return 0 <= value < _YEAR_10000_MS
    return True
