from pathlib import Path

import pytest

from tests.database.salvage.files import hurt, pages_of
from tests.database.salvage.history import Image
from tina.database.migrations import LATEST_VERSION
from tina.database.salvage.versions import find_version
from tina.domain.failures import NewerFileFailure

PATH = Path("tina.db")
VERSION_AT, APPLICATION_AT = 60, 68
SCHEMAS = sorted((Path(__file__).parents[1] / "schemas").glob("version-*.db"))


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
@pytest.mark.parametrize("is_hurt", [False, True])
def test_the_version_is_read_or_told_from_the_rows(
    path: Path, *, is_hurt: bool
) -> None:
    file = path.read_bytes()
    number = int(path.stem.removeprefix("version-"))

    pages = pages_of(hurt(file, 0, bytes(4096)) if is_hurt else file)

    assert find_version(pages, path) == number


@pytest.mark.parametrize("length", [100, 4096])
def test_without_a_header_the_newest_is_told_from_the_rows(
    closed: Image, length: int
) -> None:
    pages = pages_of(hurt(closed.file, 0, bytes(length)))

    assert find_version(pages, PATH) == LATEST_VERSION


def test_without_any_row_it_is_the_newest() -> None:
    assert find_version(pages_of(bytes(8192)), PATH) == LATEST_VERSION


@pytest.mark.parametrize("version", [0, 1_000, 2**32 - 1])
def test_a_number_that_can_be_no_version_is_not_believed(
    closed: Image, version: int
) -> None:
    file = hurt(closed.file, VERSION_AT, version.to_bytes(4, "big"))

    assert find_version(pages_of(file), PATH) == LATEST_VERSION


def test_the_number_of_another_program_is_not_believed(closed: Image) -> None:
    file = hurt(closed.file, VERSION_AT, (1).to_bytes(4, "big"))

    assert find_version(pages_of(file), PATH) == 1
    assert find_version(pages_of(hurt(file, APPLICATION_AT, b"?")), PATH) == (
        LATEST_VERSION
    )


def test_a_file_from_the_future_is_refused(closed: Image) -> None:
    file = hurt(closed.file, VERSION_AT, (LATEST_VERSION + 1).to_bytes(4, "big"))

    with pytest.raises(NewerFileFailure, match="Update Tina"):
        find_version(pages_of(file), PATH)
