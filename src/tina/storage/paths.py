"""Where Tina keeps what is hers.

Source: XDG Base Directory Specification (folders are made with mode 0700), and what
stands for it on macOS and Windows.
"""

import errno
import os
from pathlib import Path

import msgspec

from tina.domain.failures import (
    DiskFullFailure,
    InvalidInputFailure,
    StorageFailure,
    UnwritableFailure,
)

_NAME = "tina"
_REASONS = {
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.EEXIST: "a file with this name is in the way",
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.ENAMETOOLONG: "the path is too long",
    errno.ELOOP: "its symbolic links go round in a circle",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """The folders, of which none need exist."""

    data: Path
    state: Path
    config: Path
    cache: Path

    @property
    def database(self) -> Path:
        return self.data / "tina.db"

    def resolved(self) -> "Paths":
        """With the folder where the database really lies, if `tina.db` is a link.

        What lies beside it (locks, leases, what wakes watchers) must be the same for
        all who have it open, whichever way they came.

        Raises:
            InvalidInputFailure: it leads to a file of another name.
        """
        if not self.database.is_symlink():
            return self
        real = Path(os.path.realpath(self.database))
        if real.name != self.database.name:
            raise InvalidInputFailure(
                f"{str(self.database)!r} is a link to {str(real)!r}. Tina needs the "
                f"name {self.database.name!r} there, too: rename the file, then make "
                "the link again."
            )
        return msgspec.structs.replace(self, data=real.parent)

    @property
    def models(self) -> Path:
        """Weights: one `<name>.gguf` for each model."""
        return self.data / "models"

    @property
    def leases(self) -> Path:
        return self.data / "leases"

    @property
    def worker_lock(self) -> Path:
        """Locked while a worker answers what was asked with `--detach`."""
        return self.data / "worker.lock"

    @property
    def config_file(self) -> Path:
        """What people set for good; Tina never writes it."""
        return self.config / "config.toml"

    @property
    def model_lists(self) -> Path:
        """What providers said of their models; may be deleted at any time."""
        return self.cache / "models"

    @property
    def chat_history(self) -> Path:
        """The lines a person typed into `tina chat`."""
        return self.state / "chat_history"


def find_paths(home: Path | None) -> Paths:
    """Name the folders; nothing is made.

    Args:
        home: holds everything; None means the usual folders of the system.
    """
    if home is not None:
        return Paths(data=home, state=home, config=home, cache=home / "cache")
    # Imported here: whoever names a home does not pay for it.
    import platformdirs

    folders = platformdirs.PlatformDirs(_NAME, appauthor=False)
    return Paths(
        data=folders.user_data_path,
        state=folders.user_state_path,
        config=folders.user_config_path,
        cache=folders.user_cache_path,
    )


def ensure_folder(path: Path) -> None:
    """Make a folder, and what is missing above it, for its owner alone.

    A folder that exists keeps its mode.

    Raises:
        UnwritableFailure: it cannot be made: no permission, a read-only disk,
            or a file in the way.
        DiskFullFailure: there is no room for it.
    """
    try:
        _make(path)
    except OSError as error:
        raise failure_for(error, path) from error


def _make(path: Path) -> None:
    """Like `mkdir -p`, which makes the folders above with the usual mode instead."""
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileNotFoundError:
        if path.parent == path:  # a drive that is not there
            raise
        _make(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def failure_for(error: OSError, path: Path) -> StorageFailure:
    """The failure that an error of the operating system means, for a person."""
    if error.errno in _FULL:
        return DiskFullFailure(
            f"There is no room left on the disk for the folder {str(path)!r}. "
            "Make some, or choose another folder with TINA_HOME."
        )
    reason = _REASONS.get(error.errno or 0) or error.strerror or "it did not work"
    return UnwritableFailure(
        f"Tina cannot use the folder {str(path)!r}: {reason}. "
        "Choose another folder with TINA_HOME."
    )
