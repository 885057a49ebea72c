"""Opens files beside the database so that none can keep whoever opens them waiting.

What lies under the name may be no file at all: opening a pipe waits for its other end,
and a symbolic link or a device leads to something of somebody else's.
"""

import errno
import os
import stat
from pathlib import Path

_NO_FILE = frozenset({errno.EISDIR, errno.ELOOP, errno.ENODEV, errno.ENXIO})
"""How the system refuses a folder, a symbolic link, a device, a pipe none reads."""


def open_regular(path: Path, flags: int) -> int:
    """A descriptor of the file, for this process alone; closed by the caller.

    Args:
        flags: those of `os.open`; with `O_CREAT` the file is made for its owner alone.

    Raises:
        OSError: it cannot be opened, or is not a regular file; then it is untouched.
    """
    flags |= os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _no_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _no_file(path)
    return descriptor


def is_in_the_way(path: Path) -> bool:
    """Whether something is there that is not a regular file."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _no_file(path: Path) -> OSError:
    reason = "it is not an ordinary file; move it away"
    return OSError(errno.EINVAL, reason, str(path))
