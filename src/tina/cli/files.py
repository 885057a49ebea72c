"""Files that a person names, read so that none of them keeps Tina waiting."""

import os
import stat
from pathlib import Path

from tina.domain.failures import InvalidInputFailure


def read_file(path: Path, *, what: str, limit_bytes: int) -> bytes:
    """All of a file.

    Args:
        path: as it was given.
        what: it is, for people: "The file".
        limit_bytes: how large it may be.

    Raises:
        InvalidInputFailure: it cannot be read, is no file, empty or too large.
    """
    named = f"{what} {str(path)!r}"
    try:
        # Opening a pipe would wait for its other end, and nothing could end that.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidInputFailure(
                    f"{named} is a folder, a pipe or a device. Name a file; what a "
                    "program writes can be piped in."
                )
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(limit_bytes + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InvalidInputFailure(f"{named} cannot be read: {error.strerror}.") from (
            error
        )
    if not content:
        raise InvalidInputFailure(f"{named} is empty. Name one that says something.")
    if len(content) > limit_bytes:
        raise InvalidInputFailure(
            f"{named} is larger than {limit_bytes // 1024 // 1024} MiB; "
            "use a part of it."
        )
    return content
