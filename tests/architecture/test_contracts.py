"""The import contracts hold, and each of them breaks when it should."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, SOURCE

BREACHES = [
    pytest.param("rooms", "domain/chat.py", "tina.networking.sse", id="upward"),
    pytest.param(
        "rooms", "database/engine/engine.py", "tina.storage.paths", id="neighbors"
    ),
    pytest.param("rooms", "wiring/app.py", "tina.testing", id="doubles-in-the-product"),
    pytest.param("rooms", "cellar/__init__.py", "tina.domain", id="no-place-given"),
    pytest.param("faces", "cli/__init__.py", "tina.database", id="face-to-adapter"),
    pytest.param("pure", "networking/sse.py", "anyio", id="pure-waits"),
    pytest.param("pure", "domain/ids.py", "random", id="pure-draws-lots"),
]


def lint_imports(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-logo", "--no-cache", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(folder / "src"), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(SOURCE, tmp_path / "src" / "tina")
    return tmp_path


@pytest.mark.requirement("architecture:rooms")
def test_the_contracts_hold() -> None:
    result = lint_imports(ROOT)

    assert result.returncode == 0, result.stdout


@pytest.mark.requirement("architecture:rooms")
@pytest.mark.parametrize(("contract", "module", "imported"), BREACHES)
def test_a_breach_is_found(
    copy: Path, contract: str, module: str, imported: str
) -> None:
    path = copy / "src" / "tina" / module
    path.parent.mkdir(exist_ok=True)
    before = lint_imports(copy, "--contract", contract) if path.exists() else None
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\nimport {imported}\n")

    result = lint_imports(copy, "--contract", contract)

    assert before is None or before.returncode == 0
    assert result.returncode == 1
    assert "BROKEN" in result.stdout
