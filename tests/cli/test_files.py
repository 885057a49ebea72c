import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tina.cli.files import read_file
from tina.domain.failures import InvalidInputFailure


def read(path: Path) -> bytes:
    return read_file(path, what="The file", limit_bytes=1024 * 1024)


def test_all_of_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1024 * 1024)

    assert read(path) == b"x" * 1024 * 1024


def make_nothing(path: Path) -> None:
    del path


def make_empty(path: Path) -> None:
    path.touch()


def make_large(path: Path) -> None:
    path.write_bytes(b"x" * (1024 * 1024 + 1))


def link_to_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        pytest.param(os.mkfifo, "a pipe", id="pipe"),
        pytest.param(Path.mkdir, "is a folder", id="folder"),
        pytest.param(link_to_device, "a device", id="device"),
        pytest.param(make_empty, "is empty", id="empty"),
        pytest.param(make_large, "larger than 1 MiB", id="large"),
        pytest.param(make_nothing, "cannot be read: No such file", id="missing"),
    ],
)
def test_what_cannot_be_read_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], object], said: str
) -> None:
    """A pipe that nobody writes into would be waited for, and could not be left."""
    path = tmp_path / "b"
    make(path)

    with pytest.raises(InvalidInputFailure, match=f"The file .*{said}"):
        read(path)
