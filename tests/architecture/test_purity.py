"""What the import contract "pure" cannot say: packages nobody thought of, built-ins."""

import ast
from pathlib import Path

import pytest

from scripts.coverage_gate import is_in, pure_modules
from tests.architecture.tree import (
    MODULES,
    imported_modules,
    is_standard_library,
    name_of,
    read,
    show,
)

PURE = [module for module in MODULES if is_in(name_of(module), pure_modules())]
WORLD = {"open", "input", "print", "breakpoint", "__import__"}
PACKAGES = {"tina.markdown": {"markdown_it"}}
"""What a pure module may import besides the standard library and msgspec."""


def impurities(module: str, code: str) -> list[str]:
    allowed = {"msgspec", "tina", *PACKAGES.get(module, set())}
    imports = [
        name
        for name in imported_modules(code)
        if not is_standard_library(name) and name.partition(".")[0] not in allowed
    ]
    calls = [
        node.func.id
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in WORLD
    ]
    return imports + calls


@pytest.mark.requirement("architecture:pure")
@pytest.mark.parametrize("module", PURE, ids=show)
def test_a_pure_module_touches_nothing(module: Path) -> None:
    assert impurities(name_of(module), read(module)) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import requests.sessions", ["requests.sessions"]),
        ("def f():\n    from httpx import Client", ["httpx"]),
        ("open('x')", ["open"]),
        ("import re, msgspec\nfrom tina.domain import ids", []),
    ],
)
def test_an_impurity_is_found(code: str, found: list[str]) -> None:
    assert impurities("tina.domain.sample", code) == found
