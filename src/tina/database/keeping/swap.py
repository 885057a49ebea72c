"""Putting another file in the place of the database.

A kill at any moment leaves the old one or the new one, whole. (Of a damaged one the
log may then stand beside the kept file only; `whole_of` finds it there.)

The trap is the write-ahead log: a new file beside an old log would be corrupted by it.
So the log goes first: it is moved into the file by SQLite, or, where the file is too
damaged for that, kept under another name together with the file.

Whoever calls these holds the file lock alone, and nothing in this process has the file
open.
"""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tina.database.engine.sqlite import open_writer, storage_failures
from tina.database.files.filesystem import (
    file_failures,
    index_of,
    log_of,
    size_of,
    sync_file,
    sync_folder,
)
from tina.domain.failures import StorageFailure


@contextmanager
def new_file_for(path: Path) -> Generator[Path]:
    """A name for the file that will take the place; it does not outlive the block."""
    new = path.with_name(f"{path.name}.new")
    with file_failures(path):
        try:
            new.unlink(missing_ok=True)  # of a process that was killed
            yield new
        finally:
            new.unlink(missing_ok=True)


def replace_whole(path: Path, new: Path) -> None:
    """Put the file in the place of a database that is whole, or empty, or of none.

    Raises:
        StorageFailure: the old one is in its place, with all it holds.
    """
    if size_of(path) > 0:
        with storage_failures(path):
            connection = open_writer(path)
            try:
                # Moves the log into the file and deletes it.
                connection.pragma("journal_mode", "DELETE")
            finally:
                connection.close()
    if size_of(log_of(path)) > 0:
        raise StorageFailure(
            f"The log of the database {path} could not be emptied, so it was left as "
            "it is. Is another program using it?"
        )
    _replace(path, new)


def whole_of(path: Path) -> Path:
    """The damaged file with its log: itself, or what a killed replacement has kept."""
    if size_of(log_of(path)) > 0 or not path.exists():
        return path
    for kept in sorted(path.parent.glob(f"{path.name}.damaged-*"), reverse=True):
        if size_of(log_of(kept)) > 0 and _is_same(path, kept):
            return kept
    return path


def _is_same(path: Path, kept: Path) -> bool:
    """Whether nobody has written into the file since it was kept."""
    here, there = path.stat(), kept.stat()
    return (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns) and (
        here.st_mtime_ns <= log_of(kept).stat().st_ctime_ns
    )


def replace_damaged(path: Path, new: Path, *, now: datetime) -> Path:
    """Put the file in the place of a damaged one; where that is kept, with its log."""
    kept = _free_name(path, now)
    if path.exists():
        _keep(path, kept)
    if size_of(log_of(path)) > 0:
        _keep(log_of(path), log_of(kept))
    sync_folder(path.parent)
    _replace(path, new)
    return kept


def _replace(path: Path, new: Path) -> None:
    for beside in (log_of(path), index_of(path)):
        beside.unlink(missing_ok=True)
    # Before the new one: after a power cut, too, it must not find the old log.
    sync_folder(path.parent)
    sync_file(new)
    new.replace(path)
    sync_folder(path.parent)


def _free_name(path: Path, now: datetime) -> Path:
    stem = f"{path.name}.damaged-{now.astimezone(UTC).strftime('%Y%m%dT%H%M%SZ')}"
    free, number = path.with_name(stem), 1
    while free.exists():
        number += 1
        free = path.with_name(f"{stem}-{number}")
    return free


def _keep(file: Path, kept: Path) -> None:
    try:
        os.link(file, kept)
    except OSError:  # not every file system has links
        shutil.copy2(file, kept)
        sync_file(kept)
