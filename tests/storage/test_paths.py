import errno
import stat
from pathlib import Path

import pytest

from tina.domain.failures import DiskFullFailure, UnwritableFailure
from tina.storage.paths import Paths, ensure_folder, failure_for, find_paths


def test_a_home_holds_everything(tmp_path: Path) -> None:
    paths = find_paths(tmp_path)

    assert paths == Paths(
        data=tmp_path, state=tmp_path, config=tmp_path, cache=tmp_path / "cache"
    )
    assert paths.database == tmp_path / "tina.db"
    assert paths.models == tmp_path / "models"
    assert paths.leases == tmp_path / "leases"
    assert paths.chat_history == tmp_path / "chat_history"
    assert paths.config_file == tmp_path / "config.toml"
    assert paths.model_lists == tmp_path / "cache" / "models"
    assert list(tmp_path.iterdir()) == []


def test_without_a_home_the_system_says_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for kind in ("DATA", "STATE", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))

    paths = find_paths(None)

    assert paths.database == tmp_path / "data" / "tina" / "tina.db"
    assert paths.chat_history == tmp_path / "state" / "tina" / "chat_history"
    assert paths.config_file == tmp_path / "config" / "tina" / "config.toml"
    assert paths.model_lists == tmp_path / "cache" / "tina" / "models"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_and_those_above_it_are_made_for_the_owner_alone(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a" / "b" / "c"

    ensure_folder(folder)
    ensure_folder(folder)

    made = [folder, folder.parent, folder.parent.parent]
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o700] * 3


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    folder.chmod(0o755)

    ensure_folder(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


@pytest.mark.parametrize("below", ["", "deeper", "deeper/still"])
def test_a_file_in_the_way_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("not a folder", encoding="utf-8")

    with pytest.raises(UnwritableFailure, match=r"taken.*TINA_HOME"):
        ensure_folder(tmp_path / "taken" / below)


def test_a_place_that_cannot_exist_is_a_failure() -> None:
    with pytest.raises(UnwritableFailure, match="TINA_HOME"):
        ensure_folder(Path("/proc/no/such/place"))


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EROFS, "the disk is read-only"),
        (errno.EACCES, "you may not write there"),
        (errno.EPERM, "you may not write there"),
        (errno.EEXIST, "a file with this name is in the way"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_the_reason_is_told_in_words(number: int, reason: str) -> None:
    failure = failure_for(OSError(number, "Input/output error"), Path("/x"))

    assert isinstance(failure, UnwritableFailure)
    assert failure.message == (
        f"Tina cannot use the folder '/x': {reason}. "
        "Choose another folder with TINA_HOME."
    )


def test_an_error_without_words_still_makes_a_sentence() -> None:
    assert "it did not work" in failure_for(OSError(), Path("/x")).message


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_apart(number: int) -> None:
    failure = failure_for(OSError(number, "full"), Path("/x"))

    assert isinstance(failure, DiskFullFailure)


def test_a_working_folder_that_is_gone_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(UnwritableFailure, match="TINA_HOME"):
        ensure_folder(Path("data"))
