"""Which version of the schema a damaged file has."""

from collections import Counter
from pathlib import Path

import apsw

from tina.database.engine.sqlite import APPLICATION_ID
from tina.database.migrations import LATEST_VERSION
from tina.database.salvage.filling import make_schema, read_tables
from tina.database.salvage.pages import Pages
from tina.database.salvage.shapes import Table, fit
from tina.database.salvage.trees import find_leaves, read_rows
from tina.domain.failures import NewerFileFailure

_PLAUSIBLE_VERSIONS = 1000


def find_version(pages: Pages, path: Path) -> int:
    """What the header says, or if that is damaged, what fits the rows best.

    Raises:
        NewerFileFailure: a later Tina wrote the file.
    """
    if pages.header and pages.header.application_id == APPLICATION_ID:
        version = pages.header.user_version
        if 1 <= version <= LATEST_VERSION:
            return version
        if LATEST_VERSION < version < _PLAUSIBLE_VERSIONS:
            raise NewerFileFailure(
                f"The database {path} was written by a newer Tina (version {version}, "
                f"this one knows {LATEST_VERSION}). Update Tina, then save it."
            )
    return _guess_version(pages)


def _guess_version(pages: Pages) -> int:
    """The version whose tables can hold most of the rows; the newest of equals."""
    versions = {number: _tables_of(number) for number in range(LATEST_VERSION, 0, -1)}
    fitting: Counter[int] = Counter(dict.fromkeys(versions, 0))
    for leaf in find_leaves(pages):
        for row in read_rows(pages, leaf.number):
            fitting.update(
                number
                for number, tables in versions.items()
                if row and fit(row, tables)
            )
    return max(versions, key=fitting.__getitem__)


def _tables_of(version: int) -> list[Table]:
    connection = apsw.Connection(":memory:")
    try:
        make_schema(connection, version=version)
        return read_tables(connection)
    finally:
        connection.close()
