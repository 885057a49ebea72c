import ast
from collections.abc import Iterator

import pytest

from tests.architecture.tree import ROOT, read
from tests.requirements import REQUIREMENTS

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def proven_ids(code: str) -> Iterator[str]:
    """The argument of each decorator `requirement("…")`, however it is reached."""
    for node in ast.walk(ast.parse(code)):
        for decorator in getattr(node, "decorator_list", ()):
            if (
                isinstance(decorator, ast.Call)
                and ast.unparse(decorator.func).rpartition(".")[2] == "requirement"
            ):
                yield from (ast.literal_eval(argument) for argument in decorator.args)


def test_each_promise_has_a_test_and_each_mark_a_promise() -> None:
    promised = {requirement.id for requirement in REQUIREMENTS}
    proven = {found for test in TESTS for found in proven_ids(read(test))}

    assert promised - proven == set(), "promised, but no test proves it"
    assert proven - promised == set(), "proven, but not in tests/requirements.py"


def test_the_promises_are_sorted_and_whole() -> None:
    ids = [requirement.id for requirement in REQUIREMENTS]

    assert ids == sorted(set(ids))
    assert [entry.id for entry in REQUIREMENTS if not all(entry)] == []


@pytest.mark.parametrize(
    "code",
    [
        "@pytest.mark.requirement('a:b')\ndef test_x(): ...",
        "@requirement('a:b')\nasync def test_x(): ...",
        "@mark.anyio\n@mark.requirement('a:b')\nclass TestX: ...",
    ],
)
def test_a_mark_is_found_in_each_form(code: str) -> None:
    assert list(proven_ids(code)) == ["a:b"]


def test_what_is_no_mark_is_not_found() -> None:
    code = "requirement('a:b')\n@other('c:d')\ndef test_x(): ..."

    assert list(proven_ids(code)) == []
