"""The source tree, as the architecture tests look at it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tina"

MODULES = sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    """`src/tina/cli/ask.py` → `tina.cli.ask`; a package bears its folder's name."""
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def show(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def imported_modules(code: str) -> Iterator[str]:
    """Each module that `code` names in an import, anywhere in it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_standard_library(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names
