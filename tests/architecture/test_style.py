from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import style
from tests.architecture.tree import MODULES, ROOT, SOURCE, read, show

EVERYWHERE = [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))]
EMPTY_NAMES = {"utils", "helpers", "common", "manager", "misc", "base2"}

RULES = [
    style.unexplained_suppressions,
    style.yields_inside_scopes,
    style.unowned_tasks,
    style.unitless_names,
    style.misnamed_failures,
]

BAD_SAMPLES = [
    (style.unnumbered_todos, "x = 1  # TODO: later"),
    (style.unnumbered_todos, "# FIXME\n"),
    (style.unexplained_suppressions, "x = 1\ny = f()  # noqa: S101"),
    (style.unexplained_suppressions, "x = 1\ny = f()  # type: ignore[arg-type]"),
    (style.composed_sql, 'run(f"SELECT {a} FROM b")'),
    (style.composed_sql, 'run("PRAGMA x = %s" % a)'),
    (style.composed_sql, 'run("DELETE FROM " + table)'),
    (style.composed_sql, 'run("UPDATE {} SET a = 1".format(table))'),
    (
        style.yields_inside_scopes,
        "async def f():\n async with anyio.create_task_group() as g:\n  yield 1",
    ),
    (
        style.yields_inside_scopes,
        "async def f():\n with fail_after(5):\n  if x:\n   yield 1",
    ),
    (style.unowned_tasks, "task = asyncio.create_task(f())"),
    (style.unowned_tasks, "loop.ensure_future(f())"),
    (style.unowned_tasks, "async def f():\n    t = create_task(g())\n    await h()"),
    (style.unitless_names, "def f(timeout: float): ..."),
    (style.unitless_names, "class A:\n    size: int | None = 1"),
    (style.misnamed_failures, "class OverloadError(failures.ServerFailure): ..."),
]

GOOD_SAMPLES = [
    (style.unnumbered_todos, 'x = "TODO"  # TODO(#12): when the page exists'),
    (style.unexplained_suppressions, "# why it is right\ny = f()  # noqa: S101"),
    (style.unexplained_suppressions, "x = 1\ny = f()  # noqa: S101\n# why it is right"),
    (style.unexplained_suppressions, "x = 1\ny = f()  # noqa: B008 - frozen"),
    (
        style.unexplained_suppressions,
        "x = 1\ny = f()  # type: ignore[arg-type]  # the stub is wrong",
    ),
    (style.composed_sql, 'run("SELECT a FROM b WHERE c = :c", {"c": f"{x}"})'),
    (
        style.yields_inside_scopes,
        "@asynccontextmanager\nasync def f():\n with fail_after(5):\n  yield 1",
    ),
    (
        style.yields_inside_scopes,
        "async def f():\n with fail_after(5):\n  x = await g()\n yield x",
    ),
    (style.unowned_tasks, "group.start_soon(f)"),
    (style.unowned_tasks, "async def f():\n    t = create_task(g())\n    await t"),
    (style.unitless_names, "def f(timeout_s: float, size_bytes: int): ..."),
    (style.unitless_names, "def f(size: TerminalSize): ..."),
    (style.misnamed_failures, "class OverloadFailure(Failure): ..."),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("module", MODULES, ids=show)
def test_the_source_keeps_the_house_rules(
    module: Path, rule: Callable[[str], list[str]]
) -> None:
    assert rule(read(module)) == []


@pytest.mark.parametrize("module", EVERYWHERE, ids=show)
def test_what_is_left_to_do_has_an_issue(module: Path) -> None:
    assert style.unnumbered_todos(read(module)) == []


@pytest.mark.parametrize(
    "module", sorted((SOURCE / "database").rglob("*.py")), ids=show
)
def test_sql_is_literal_text(module: Path) -> None:
    assert style.composed_sql(read(module)) == []


def test_files_are_named_for_an_idea() -> None:
    assert [show(path) for path in EVERYWHERE if path.stem in EMPTY_NAMES] == []


@pytest.mark.parametrize(("rule", "code"), BAD_SAMPLES)
def test_a_rule_finds_what_breaks_it(
    rule: Callable[[str], list[str]], code: str
) -> None:
    assert len(rule(code)) == 1


@pytest.mark.parametrize(("rule", "code"), GOOD_SAMPLES)
def test_a_rule_passes_what_keeps_it(
    rule: Callable[[str], list[str]], code: str
) -> None:
    assert rule(code) == []
