"""The file that is kept of each schema version holds what migrations need."""

from pathlib import Path

import apsw
import pytest

from scripts.keep_schema import main
from tests.database.test_migrations import KEPT
from tina.database.migrations import LATEST_VERSION
from tina.domain.failures import InvalidInputFailure

_TEXTS = "SELECT role, status, text, parts IS NOT NULL FROM messages ORDER BY rid"
_TITLES = "SELECT title, message_count, preview FROM conversations ORDER BY rid"


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(str(path))
    found = list(connection.execute(statement))
    connection.close()
    return found


def test_the_file_holds_what_that_of_the_first_version_holds(tmp_path: Path) -> None:
    path = main(tmp_path)

    assert path == tmp_path / f"version-{LATEST_VERSION}.db"
    assert rows(path, "PRAGMA user_version") == [(LATEST_VERSION,)]
    assert rows(path, _TEXTS) == rows(KEPT[0], _TEXTS)
    assert rows(path, _TITLES) == rows(KEPT[0], _TITLES)


def test_a_version_is_kept_once(tmp_path: Path) -> None:
    before = main(tmp_path).read_bytes()

    with pytest.raises(InvalidInputFailure, match="already"):
        main(tmp_path)

    assert (tmp_path / f"version-{LATEST_VERSION}.db").read_bytes() == before
