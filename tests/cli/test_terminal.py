"""Which writer is taken, and the one that writes markdown as it comes."""

import io
import subprocess
import sys

import pytest

from tina.cli.terminal import (
    MarkdownWriter,
    RawWriter,
    answer_writer,
    safe_text,
)
from tina.testing.clock import FakeClock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def size() -> tuple[int, int]:
    return 80, 24


CHOICES = [
    pytest.param({"TERM": "xterm-256color"}, MarkdownWriter, id="terminal"),
    pytest.param({"TERM": "tmux", "NO_COLOR": "1"}, MarkdownWriter, id="no-color"),
    pytest.param({"TERM": "dumb"}, RawWriter, id="dumb"),
    pytest.param({"TERM": ""}, RawWriter, id="empty"),
    pytest.param({}, RawWriter, id="unknown"),
]


@pytest.mark.parametrize(("environment", "kind"), CHOICES)
def test_the_terminal_decides_how_an_answer_is_drawn(
    environment: dict[str, str], kind: type
) -> None:
    writer = answer_writer(
        Terminal(), environment=environment, size=size, clock=FakeClock()
    )

    assert type(writer) is kind


@pytest.mark.parametrize(
    ("no_color", "is_colored"), [("1", False), ("0", False), ("", True)]
)
def test_no_color_means_no_color_unless_it_is_empty(
    no_color: str, *, is_colored: bool
) -> None:
    stream = Terminal()
    environment = {"TERM": "xterm", "NO_COLOR": no_color}
    writer = answer_writer(
        stream, environment=environment, size=size, clock=FakeClock()
    )

    writer.text("> quote")
    writer.close()

    assert ("\x1b[35m" in stream.getvalue()) is is_colored


def test_a_pipe_gets_the_answer_and_nothing_else() -> None:
    stream = io.StringIO()
    writer = answer_writer(stream, environment={}, size=size, clock=FakeClock())

    writer.reasoning("Let me think.")
    writer.text("**bold** \x1b[1m\u202e\r\n")
    writer.tick()
    writer.text("half \ud83d")
    writer.close()
    writer.close()

    assert stream.getvalue() == "**bold** \x1b[1m\u202e\r\nhalf \ufffd\n"


def test_each_piece_leaves_at_once() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", write_through=False)
    writer = RawWriter(stream)

    writer.text("piece")

    assert raw.getvalue() == b"piece"


def test_an_empty_answer_is_no_line() -> None:
    stream = io.StringIO()
    writer = RawWriter(stream)

    writer.text("")
    writer.close()

    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_safe_text_with_the_reasoning_apart() -> None:
    stream = Terminal()
    writer = RawWriter(stream, is_terminal=True)

    for piece in ("Let me", " think\x1b[2J"):
        writer.reasoning(piece)
    writer.text("**An** answer\n")
    writer.reasoning("Again\n")
    writer.text("More")
    writer.reasoning("Why")
    writer.close()

    assert stream.getvalue() == (
        "Let me think␛[2J\n\n**An** answer\nAgain\n\nMore\n\nWhy\n"
    )


def test_choosing_a_writer_does_not_import_what_draws() -> None:
    """`tina --help | cat` and all that is no answer must not pay for rich."""
    code = (
        "import sys, tina.cli.terminal, tina.cli.standard_input, tina.markdown;"
        "sys.exit(bool({'rich', 'markdown_it', 'pygments'} & sys.modules.keys()))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)

    assert done.returncode == 0


def test_safe_text_is_offered_here() -> None:
    assert safe_text("a\x1b") == "a␛"
