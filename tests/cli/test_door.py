"""From words to a code, in this process."""

from pathlib import Path

import pytest

from tina.cli.door import run


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        (["--help"], 0, "Usage: tina", ""),
        (["log"], 0, "", "No conversations yet."),
        (["log", "--json"], 0, "[]\n", ""),
        (["log", "-n", "many"], 2, "", "tina: Invalid value"),
        (["log", "-n", "-1"], 2, "", "tina: -n wants 0"),
        (["show"], 2, "", "tina: There is no conversation yet."),
        (["models", "list"], 0, "local:smollm2 ", ""),
        (["models", "list", "--json"], 0, '[{"id":"local:smollm2"', ""),
        (["models", "pull", "nobody"], 3, "", "tina: Tina cannot fetch 'nobody'"),
        (["db", "check"], 0, "/", ""),
        (["db", "check", "--json"], 0, '{"ok":true', ""),
        (["chat", "-c", "--no-log"], 2, "", "tina: --no-log keeps nothing"),
    ],
)
def test_words_become_a_code_and_a_line(
    words: list[str],
    code: int,
    out: str,
    err: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = run(words)

    printed, told = capsys.readouterr()
    assert found == code
    assert printed.startswith(out)
    assert told.startswith(err)
    assert bool(told) == bool(err)


def test_a_damaged_file_is_told_by_its_check(
    environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (environment / "tina.db").write_text("no database " * 1000, encoding="utf-8")

    code = run(["db", "check"])

    assert code == 1
    assert capsys.readouterr().err.startswith("tina: ")
