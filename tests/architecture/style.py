"""House rules that no linter knows. Each returns what it found, worded for people."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import TypeGuard

SCOPES = frozenset(
    {
        "CancelScope",
        "TaskGroup",
        "create_task_group",
        "fail_after",
        "fail_at",
        "move_on_after",
        "move_on_at",
        "timeout",
    }
)
BARE_QUANTITIES = frozenset({"delay", "duration", "interval", "size", "timeout"})
SQL_WORD = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|PRAGMA|VACUUM|WHERE)\b"
)
SUPPRESSION = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:)")
REASON = re.compile(r"\S\s*( - |# )\s*\w+")
"""`noqa: B008 - frozen`, `type: ignore[arg-type]  # the stub is wrong`."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def comments(code: str) -> Iterator[tuple[int, str]]:
    """Line number and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def unnumbered_todos(code: str) -> list[str]:
    """`TODO` only with an issue number: `TODO(#12): …`."""
    return [
        f"line {line}: {text}"
        for line, text in comments(code)
        if re.search(r"\b(TODO(?!\(#\d+\))|FIXME|XXX|HACK)\b", text)
    ]


def unexplained_suppressions(code: str) -> list[str]:
    """A suppression has its reason behind it, or in a comment right above or below."""
    lines = ["", *code.splitlines(), ""]
    return [
        f"line {line}: {text}"
        for line, text in comments(code)
        if SUPPRESSION.match(text)
        and not REASON.search(text)
        and not any(
            lines[near].lstrip().startswith("#") for near in (line - 1, line + 1)
        )
    ]


def composed_sql(code: str) -> list[str]:
    """SQL is literal text: no f-string, no `%`, no `+`, no `format` makes it."""
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Call)
        and SQL_WORD.search("".join(_template(node)))
    ]


def _template(node: ast.expr) -> Iterator[str]:
    """The literal text that the expression fills in or adds to."""
    match node:
        case ast.JoinedStr(values=values):
            yield from _texts(*values)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod(), right=right):
            yield from _texts(left, right)
        case ast.Call(func=ast.Attribute(value=value, attr="format")):
            yield from _texts(value)
        case _:
            return


def _texts(*nodes: ast.expr) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def yields_inside_scopes(code: str) -> list[str]:
    """Never `yield` inside a task group or cancel scope: it would be left elsewhere."""
    return [
        f"{function.name} (line {function.lineno})"
        for function in _functions(code)
        if not _is_context_manager(function)
        for block in _own_nodes(function)
        if isinstance(block, ast.With | ast.AsyncWith)
        and _opens_scope(block)
        and any(isinstance(node, ast.Yield) for node in _own_nodes(block))
    ]


def _functions(code: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _own_nodes(parent: ast.AST) -> Iterator[ast.AST]:
    """What lies in it, without what lies in functions of its own."""
    for node in ast.iter_child_nodes(parent):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield node
            yield from _own_nodes(node)


def _is_context_manager(function: Function) -> bool:
    names = {_last_name(decorator) for decorator in function.decorator_list}
    return bool(names & {"asynccontextmanager", "contextmanager", "fixture"})


def _opens_scope(block: ast.With | ast.AsyncWith) -> bool:
    return any(_last_name(item.context_expr) in SCOPES for item in block.items)


def _last_name(node: ast.expr) -> str:
    """`anyio.fail_after(5)` → `fail_after`."""
    called = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(called).rpartition(".")[2]


def unowned_tasks(code: str) -> list[str]:
    """Every task lives in a task group, or is awaited by the function that made it."""
    tree = ast.parse(code)
    owned = {
        task
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef)
        for task in _awaited_tasks(function)
    }
    return [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if _makes_a_task(node) and node not in owned
    ]


def _makes_a_task(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and _last_name(node) in {
        "create_task",
        "ensure_future",
    }


def _awaited_tasks(function: ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What is made into a task there, given a name, and awaited by that name."""
    nodes = list(ast.walk(function))
    awaited = {
        node.value.id
        for node in nodes
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Name)
    }
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                if name in awaited and _makes_a_task(value):
                    yield value
            case _:
                continue


def unitless_names(code: str) -> list[str]:
    """Units are in a number's name: `timeout_s`, `size_bytes`."""
    return [
        f"line {line}: {name}"
        for name, annotation, line in _annotated_names(code)
        if name.lstrip("_") in BARE_QUANTITIES
        and re.search(r"\b(int|float)\b", ast.unparse(annotation))
    ]


def _annotated_names(code: str) -> Iterator[tuple[str, ast.expr, int]]:
    """Arguments and fields."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                yield name, annotation, node.lineno
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                yield name, annotation, node.lineno
            case _:
                continue


def misnamed_failures(code: str) -> list[str]:
    """A kind of failure bears a name that ends in Failure."""
    return [
        node.name
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ClassDef)
        and not node.name.endswith("Failure")
        and any(_last_name(base).endswith("Failure") for base in node.bases)
    ]
