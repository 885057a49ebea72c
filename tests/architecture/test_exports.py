"""A room's public names; their order is the linter's business (RUF022)."""

import ast
import importlib
from pathlib import Path

import pytest

from tests.architecture.tree import SOURCE, name_of, read, show

ROOMS = [SOURCE / "__init__.py", *sorted(SOURCE.glob("*/__init__.py"))]


def exported_names(code: str) -> list[str] | None:
    """What `__all__` lists; None if there is none."""
    for node in ast.parse(code).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        target = node.target if isinstance(node, ast.AnnAssign) else target
        if isinstance(target, ast.Name) and target.id == "__all__":
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert node.value is not None
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def public_names(code: str) -> set[str]:
    """What a reader can import from the code's top level, submodules aside."""
    names: set[str] = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.ImportFrom) and node.module != "typing":
            names.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.requirement("architecture:exports")
@pytest.mark.parametrize("room", ROOMS, ids=show)
def test_a_room_lists_what_it_offers_and_offers_what_it_lists(room: Path) -> None:
    exported = exported_names(read(room))
    module = importlib.import_module(name_of(room))

    assert exported is not None, (
        "`__all__: list[str] = []` says that nothing is offered"
    )
    assert len(exported) == len(set(exported))
    assert [name for name in exported if not hasattr(module, name)] == []
    assert public_names(read(room)) - set(exported) == set()


def test_names_that_are_not_listed_are_found() -> None:
    code = 'from tina.a import B, _c\n__all__ = ["D"]\ndef d(): ...\nclass D: ...\n'

    assert exported_names(code) == ["D"]
    assert public_names(code) == {"B", "D", "d"}
    assert exported_names("def d(): ...") is None
