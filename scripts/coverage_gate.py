"""Holds every module to its branch coverage: all of a pure module, most of the rest.

    python scripts/coverage_gate.py coverage.json

The pure modules are those of the import contract "pure" in pyproject.toml; the use
cases in `assistant` are held to the same.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
WHOLE = 100.0
MOST = 95.0


def pure_modules(pyproject: Path = ROOT / "pyproject.toml") -> tuple[str, ...]:
    """Module names; `*` stands for one part of a name, a package for all in it."""
    settings = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (pure,) = (contract for contract in contracts if contract["id"] == "pure")
    return tuple(pure["source_modules"])


def is_in(module: str, packages: Iterable[str]) -> bool:
    return any(
        re.fullmatch(re.escape(package).replace(r"\*", r"[^.]+") + r"(\..+)?", module)
        for package in packages
    )


def required_percent(module: str, pure: Iterable[str]) -> float:
    return WHOLE if is_in(module, (*pure, "tina.assistant")) else MOST


def module_name(path: str) -> str:
    return (
        path.removeprefix("src/")
        .removesuffix(".py")
        .replace("/", ".")
        .removesuffix(".__init__")
    )


def shortfalls(report: Mapping[str, Any], pure: Iterable[str]) -> list[str]:
    """One line for each module under its mark, from coverage's JSON report."""
    pure = tuple(pure)
    lines: list[str] = []
    for path, measured in sorted(report["files"].items()):
        required = required_percent(module_name(path), pure)
        percent = measured["summary"]["percent_covered"]
        if percent < required:
            lines.append(
                f"{path}: {percent:.1f} % of {required:.0f} %, "
                f"lines {measured['missing_lines']}, "
                f"branches {measured.get('missing_branches', [])}"
            )
    return lines


def main(report_path: str) -> int:
    report = json.loads(Path(report_path).read_text(encoding="utf-8"))
    if not report["files"]:
        print("coverage: nothing was measured")
        return 1
    lines = shortfalls(report, pure_modules())
    for line in lines:
        print(f"coverage: {line}")
    total = report["totals"]["percent_covered"]
    print(f"coverage: {total:.1f} % in all, {len(lines)} modules under their mark")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
