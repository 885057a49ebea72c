"""Only regular files are opened, and nothing that is in the way makes one wait."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tina.database.files.regular_file import is_in_the_way, open_regular

WAYS = [os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_TRUNC]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.bind(str(path))


def link_to_a_file(path: Path) -> None:
    path.with_name("theirs").write_bytes(b"theirs")
    path.symlink_to("theirs")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_a_device(path: Path) -> None:
    path.symlink_to(os.devnull)


OBSTACLES: list[Callable[[Path], None]] = [
    Path.mkdir,
    os.mkfifo,
    make_socket,
    link_to_a_file,
    link_to_nothing,
    link_to_a_device,
]


@pytest.mark.parametrize("flags", WAYS)
@pytest.mark.parametrize("put", OBSTACLES)
def test_what_is_no_file_is_refused_and_named(
    tmp_path: Path, put: Callable[[Path], None], flags: int
) -> None:
    path = tmp_path / "bell"
    put(path)
    before = sorted(child.name for child in tmp_path.iterdir())

    with pytest.raises(OSError, match="not an ordinary file") as raised:
        open_regular(path, flags)

    assert raised.value.filename == str(path)
    assert is_in_the_way(path)
    assert sorted(child.name for child in tmp_path.iterdir()) == before
    assert all(child.read_bytes() == b"theirs" for child in tmp_path.glob("theirs"))


def test_a_device_is_refused() -> None:
    with pytest.raises(OSError, match="not an ordinary file"):
        open_regular(Path(os.devnull), os.O_WRONLY)


def test_a_file_is_made_for_its_owner_and_not_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    assert not is_in_the_way(path)

    descriptor = open_regular(path, os.O_WRONLY | os.O_CREAT)

    is_handed_on = os.get_inheritable(descriptor)
    os.close(descriptor)
    assert not is_handed_on
    assert path.stat().st_mode & 0o777 == 0o600
    assert not is_in_the_way(path)


def test_another_error_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        open_regular(tmp_path / "bell", os.O_RDONLY)

    assert raised.value.errno == errno.ENOENT
