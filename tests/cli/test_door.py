"""From words to a code, in this process."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tina.cli import main
from tina.cli.door import run
from tina.testing.server import Recording, playback_thread


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
        (["db", "check"], 0, "There is no database yet.\n", ""),
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


@pytest.mark.parametrize(
    ("words", "is_object"),
    [
        (["ask", "--json", "--bogus", "hi"], True),
        (["ask", "--output-format", "stream-json", "--bogus", "hi"], True),
        (["show", "nope", "--json"], True),
        (["log", "--json", "-n", "many"], True),
        (["ask", "--bogus", "what is json"], False),
        (["show", "json"], False),
        (["ask", "--bogus", "--", "--json"], False),
    ],
)
def test_a_program_that_reads_json_always_gets_one_object(
    words: list[str], is_object: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(words)

    printed, told = capsys.readouterr()
    assert code == 2
    if is_object:
        assert json.loads(printed)["failure"]["kind"] in {"invalid_input", "not_found"}
        assert told == ""
    else:
        assert printed == ""
        assert told.startswith("tina: ")


def test_what_was_typed_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(["--bogus\x1b[2J"])

    assert "\x1b" not in capsys.readouterr().err


def test_a_fault_of_ours_is_one_sentence_and_a_record_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_down(**_: object) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr("tina.cli.history.log", break_down)

    code = run(["log"])

    assert code == 1
    assert capsys.readouterr().err.startswith("tina: Tina made a mistake")
    assert "command_broke" in caplog.text


def test_an_error_of_the_system_is_told_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def break_down(**_: object) -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr("tina.cli.history.log", break_down)

    code = run(["log"])

    assert code == 1
    assert "'/some/file'" in capsys.readouterr().err


def test_ctrl_c_outside_of_an_answer_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tina.cli.history.log", interrupt)

    assert run(["log"]) == 130
    with pytest.raises(SystemExit) as left:
        main(["log"])
    assert left.value.code == 130


def test_ctrl_c_while_modules_are_loaded_is_130(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(_: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("tina.cli.door.run", interrupt)

    with pytest.raises(SystemExit) as left:
        main(["log"])

    assert left.value.code == 130


def test_a_provider_that_cannot_be_asked_is_told_beside_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with playback_thread(Recording(status=500)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        code = run(["models", "list"])

    printed, told = capsys.readouterr()
    assert code == 1
    assert printed.startswith("local:smollm2 ")
    assert told.startswith("tina: openai: ")


def test_weights_that_are_here_are_not_fetched_again(
    environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def pull(name: str, *, say: Callable[[str], None]) -> Path:
        say("It is here already.")
        return environment / f"{name}.gguf"

    monkeypatch.setattr("tina.cli.models.pull_weights", pull)

    code = run(["models", "pull", "smollm2"])

    printed, told = capsys.readouterr()
    assert (code, told) == (0, "It is here already.\n")
    assert printed == f"{environment / 'smollm2.gguf'}\n"
