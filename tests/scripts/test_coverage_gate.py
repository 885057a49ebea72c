import json
from pathlib import Path
from typing import Any

import pytest

from scripts import coverage_gate
from scripts.coverage_gate import is_in, module_name, required_percent, shortfalls

PURE = ("tina.domain", "tina.providers.*.encode", "tina.markdown")


def report(**percents: float) -> dict[str, Any]:
    return {
        "files": {
            f"src/tina/{name.replace('__', '/')}.py": {
                "summary": {"percent_covered": percent},
                "missing_lines": [7],
                "missing_branches": [[7, 9]],
            }
            for name, percent in percents.items()
        },
        "totals": {"percent_covered": 96.5},
    }


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("tina.domain", 100.0),
        ("tina.domain.ids", 100.0),
        ("tina.providers.openai.encode", 100.0),
        ("tina.providers.openai.extra.encode", 95.0),
        ("tina.markdown", 100.0),
        ("tina.markdowner", 95.0),
        ("tina.assistant.turn", 100.0),
        ("tina.database.engine.engine", 95.0),
    ],
)
def test_a_pure_module_owes_all_and_another_most(module: str, expected: float) -> None:
    assert required_percent(module, PURE) == expected


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("src/tina/domain/ids.py", "tina.domain.ids"),
        ("src/tina/domain/__init__.py", "tina.domain"),
        ("src/tina/markdown.py", "tina.markdown"),
    ],
)
def test_a_path_becomes_a_module(path: str, name: str) -> None:
    assert module_name(path) == name


def test_each_module_under_its_mark_is_named() -> None:
    lines = shortfalls(
        report(domain__ids=99.9, markdown=100.0, cli__ask=95.0, wiring=94.9), PURE
    )

    assert [line.split(":")[0] for line in lines] == [
        "src/tina/domain/ids.py",
        "src/tina/wiring.py",
    ]
    assert "lines [7]" in lines[0]


@pytest.mark.parametrize(
    ("measured", "status"),
    [(report(cli__ask=95.0), 0), (report(cli__ask=94.0), 1), (report(), 1)],
)
def test_the_gate_closes(tmp_path: Path, measured: dict[str, Any], status: int) -> None:
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(measured), encoding="utf-8")

    assert coverage_gate.main(str(path)) == status


def test_the_domain_is_pure_in_the_real_list() -> None:
    assert is_in("tina.domain.messages", coverage_gate.pure_modules())
