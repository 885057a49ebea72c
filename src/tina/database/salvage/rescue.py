"""Everything that can still be read in a damaged file, saved into a new one.

Not through SQL: a query stops at the first damaged page, and below a damaged interior
page it finds nothing at all. Here every page is looked at by itself.
"""

import os
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import apsw
import msgspec

from tina.database.engine.sqlite import APPLICATION_ID, storage_failures
from tina.database.salvage.filling import (
    finish_schema,
    insert,
    make_schema,
    read_tables,
)
from tina.database.salvage.pages import Pages
from tina.database.salvage.repairs import repair
from tina.database.salvage.shapes import Fit, Table, fit
from tina.database.salvage.source import read_pages
from tina.database.salvage.trees import Leaf, find_leaves, read_rows
from tina.database.salvage.versions import find_version
from tina.domain.failures import (
    DamagedFailure,
    ForeignFileFailure,
    StorageFailure,
)

PRAGMAS = (
    # The file counts only once it is whole, synced and renamed.
    "PRAGMA journal_mode = MEMORY",
    "PRAGMA synchronous = OFF",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA trusted_schema = OFF",
)


class LeftOut(StrEnum):
    """Why a row of the damaged file is not in the new one."""

    UNREADABLE = "unreadable"
    """It is damaged itself, or what it goes on with on other pages."""
    UNKNOWN = "unknown"
    """It stands in a table of Tina's, but holds what no Tina up to this one writes."""
    DOUBLE = "double"
    """Another row with the same key or id was kept; often an older state of the row."""
    PARENTLESS = "parentless"
    """It belongs to a conversation of which nothing is left."""


class Salvaged(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved. Of rows on pages that cannot be read nobody knows the number."""

    path: Path
    """The new file."""
    version: int
    """Of its schema: that of the damaged file, which may be older than the newest."""
    rows: Mapping[str, int]
    """Saved rows by table."""
    garbled: int
    """Saved rows with characters that could not be read, U+FFFD in their place."""
    left_out: Mapping[LeftOut, int]
    stand_ins: int
    """Conversations that were lost, made up anew for the messages that were not."""
    missing_messages: int
    """How many more messages the saved conversations once had."""


def salvage(path: Path, *, into: Path) -> Salvaged:
    """Save all that can be read of a damaged database into a new file.

    The damaged file and the log beside it are only read. Nothing in this process may
    have the file open: closing it here drops SQLite's locks on it, as POSIX wants it.
    No other process should either. Blocks for a minute per gigabyte or so: call it in
    a thread. Whatever happens, `into` is there whole or not at all.

    Raises:
        DamagedFailure: nothing of Tina's was found.
        ForeignFileFailure: the same, and the file belongs to another program.
        NewerFileFailure: a later Tina wrote the file, and its tables are unknown here.
        StorageFailure: the file cannot be read, or the new one not written.
    """
    if into.exists():
        raise StorageFailure(
            f"There is a file {into} already; Tina left it as it is. Move it away, or "
            "choose another name for what is saved."
        )
    unfinished = into.with_name(f"{into.name}.unfinished")
    with read_pages(path) as pages, _written(unfinished, into):
        salvaged = _fill(pages, find_version(pages, path), unfinished)
        if not any(salvaged.rows.values()):
            raise _nothing_found(pages, path)
        return msgspec.structs.replace(salvaged, path=into)


@contextmanager
def _written(unfinished: Path, into: Path) -> Generator[None]:
    """Give the finished file its name when all of it is on the disk."""
    try:
        unfinished.unlink(missing_ok=True)
        with storage_failures(into):
            yield
        _sync(unfinished)
        unfinished.rename(into)
        _sync(into.parent)
    except OSError as error:
        raise StorageFailure(
            f"What was saved could not be written to {into} ({error.strerror}). Check "
            "that the folder can be written and the disk has room."
        ) from error
    finally:
        with suppress(OSError):
            unfinished.unlink()  # of use to nobody, if it is still there


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fill(pages: Pages, version: int, unfinished: Path) -> Salvaged:
    connection = apsw.Connection(str(unfinished))
    try:
        for pragma in PRAGMAS:
            connection.execute(pragma)
        connection.execute("BEGIN")
        make_schema(connection, version=version)
        copied = _copy_rows(pages, connection)
        repaired = repair(connection, version=version)
        copied.left_out[LeftOut.PARENTLESS] += repaired.parentless.total()
        finish_schema(connection, version=version)
        connection.execute("COMMIT")
    finally:
        connection.close()
    return Salvaged(
        path=unfinished,
        version=version,
        rows=copied.rows - repaired.parentless,
        garbled=copied.garbled,
        left_out=+copied.left_out,
        stand_ins=repaired.stand_ins,
        missing_messages=repaired.missing_messages,
    )


class _Copied:
    """Counters of what was copied, and what was not."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.left_out: Counter[LeftOut] = Counter()
        self.garbled = 0


def _copy_rows(pages: Pages, connection: apsw.Connection) -> _Copied:
    """Put all rows into the new file that fit one of its tables, leaf by leaf."""
    tables = {table.name: table for table in read_tables(connection)}
    copied = _Copied()
    for leaf in find_leaves(pages):
        if leaf.table is None or leaf.table in tables:
            rows = _fit_rows(pages, leaf, tables, copied.left_out)
            kept = insert(connection, rows)
            copied.rows += kept
            copied.left_out[LeftOut.DOUBLE] += len(rows) - kept.total()
            copied.garbled += sum(row.is_garbled for row in rows)
    return copied


def _fit_rows(
    pages: Pages, leaf: Leaf, tables: Mapping[str, Table], left_out: Counter[LeftOut]
) -> list[Fit]:
    # The named table first: what a damaged parent says is most likely true.
    likely = [tables[leaf.table]] if leaf.table else []
    fits: list[Fit] = []
    for row in read_rows(pages, leaf.number):
        fitted = fit(row, (*likely, *tables.values())) if row else None
        if fitted:
            fits.append(fitted)
        elif row is None:
            left_out[LeftOut.UNREADABLE] += 1
        elif leaf.table:  # an orphan may belong to a table that is made anew
            left_out[LeftOut.UNKNOWN] += 1
    return fits


def _nothing_found(pages: Pages, path: Path) -> StorageFailure:
    if pages.header and pages.header.application_id not in {0, APPLICATION_ID}:
        return ForeignFileFailure(
            f"The file {path} is a database of another program; Tina found nothing of "
            "its own in it and left it as it is."
        )
    return DamagedFailure(
        f"Nothing of Tina's was found in {path}; the file is left as it is. Put a "
        "backup in its place (`tina db restore`), or move it away to begin with an "
        "empty one."
    )
