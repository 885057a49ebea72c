"""A damaged file, opened to be looked at and for nothing else."""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tina.database.salvage.pages import Pages
from tina.domain.failures import StorageFailure


@contextmanager
def read_pages(path: Path) -> Generator[Pages]:
    """The pages of the file with the log beside it, while it is open.

    Raises:
        StorageFailure: there is no such file, or it cannot be read at all.
    """
    with _opened(path) as descriptor:
        log = _read_log(path.with_name(f"{path.name}-wal"))
        file_bytes = os.fstat(descriptor).st_size

        def read(offset: int, length: int) -> bytes:
            # Not a memory map: a disk that cannot read a block would kill the process.
            try:
                return os.pread(descriptor, length, offset)
            except OSError:
                return b""

        yield Pages(read, file_bytes=file_bytes, log=log)


@contextmanager
def _opened(path: Path) -> Generator[int]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StorageFailure(
                f"{path} is no file, so there is nothing in it to save. Give the path "
                "of the database file itself."
            )
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError as error:
        raise StorageFailure(
            f"There is no file {path}, so there is nothing to save. Give the path of "
            "the damaged file."
        ) from error
    except OSError as error:
        raise StorageFailure(
            f"The file {path} cannot be read ({error.strerror}). Check its "
            "permissions and the disk it is on."
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read_log(path: Path) -> bytes:
    """The log beside the file; empty if there is none that can be read."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""
