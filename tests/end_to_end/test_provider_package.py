"""The example package: installed as a tool would, and asked through the program."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "examples" / "provider_package"
GIVE_UP_S = 60.0


def install(target: Path) -> None:
    """What an installer makes of the package; offline, so by hand.

    Source: PyPA specifications, "Recording installed projects" and "Entry points".
    """
    with (PACKAGE / "pyproject.toml").open("rb") as file:
        whole = tomllib.load(file)
    project = whole["project"]
    module = whole["tool"]["hatch"]["build"]["targets"]["wheel"]["include"][0]
    (target / module).write_bytes((PACKAGE / module).read_bytes())
    info = (
        target / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    )
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\n"
        f"Version: {project['version']}\n",
        encoding="utf-8",
    )
    lines: list[str] = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {at}" for name, at in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    site.mkdir()
    install(site)
    return site


def tina(site: Path | None, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = {} if site is None else {"PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "tina", *arguments],
        env={**os.environ, **path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
    )


@pytest.mark.requirement("providers:plugin")
@pytest.mark.parametrize("model", ["echo:loud", "echo/loud"])
def test_an_installed_package_answers(site: Path, model: str) -> None:
    done = tina(site, "-m", model, "Is anybody there?")

    assert (done.returncode, done.stdout) == (0, "IS ANYBODY THERE?\n"), done.stderr


def test_it_gets_what_the_user_configured(site: Path, environment: Path) -> None:
    text = '[providers.echo.options]\ngreeting = "You said:"\n'
    (environment / "config.toml").write_text(text, encoding="utf-8")

    done = tina(site, "-m", "echo:plain", "Hello")

    assert done.stdout == "You said: Hello\n", done.stderr


def test_its_models_are_listed_beside_the_others(site: Path) -> None:
    done = tina(site, "models", "list")

    assert "echo:plain" in done.stdout
    assert "echo:loud" in done.stdout
    assert "local:" in done.stdout


def test_without_the_package_the_name_is_unknown() -> None:
    done = tina(None, "-m", "echo:loud", "Is anybody there?")

    assert done.returncode != 0
    assert "There is no provider 'echo'" in done.stderr


def test_a_package_that_is_broken_costs_only_who_asks_for_it(site: Path) -> None:
    (site / "tina_echo.py").write_text("raise RuntimeError('broken')", encoding="utf-8")

    asked = tina(site, "-m", "echo:loud", "Is anybody there?")
    other = tina(site, "log")

    assert asked.returncode != 0
    assert "The package tina-echo offers the provider 'echo'" in asked.stderr
    assert "Traceback" not in asked.stderr
    assert other.returncode == 0
