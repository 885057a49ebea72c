import ast
from pathlib import Path

import pytest

from tests.architecture.tree import MODULES, read, show

MODULE_WALL = 400
FUNCTION_WALL = 40


def long_functions(code: str) -> list[str]:
    """Functions past the wall; the docstring is not counted."""
    return [
        f"{node.name} (line {node.lineno}): {length} lines"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := _length(node)) > FUNCTION_WALL
    ]


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


@pytest.mark.requirement("architecture:sizes")
@pytest.mark.parametrize("module", MODULES, ids=show)
def test_a_module_stays_under_the_walls(module: Path) -> None:
    code = read(module)

    assert code.count("\n") <= MODULE_WALL
    assert long_functions(code) == []


@pytest.mark.parametrize("definition", ["def f():", "async def f():"])
def test_a_function_one_line_past_the_wall_is_found(definition: str) -> None:
    longest = f'{definition}\n    """Not\n    counted."""\n' + "    x = 1\n" * 39

    assert long_functions(longest) == []
    assert long_functions(longest + "    x = 1\n") == ["f (line 1): 41 lines"]
