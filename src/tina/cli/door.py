"""From words on a command line to an exit code: the one place that catches all."""

import asyncio
import errno
import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise

from cyclopts import CycloptsError

from tina.cli.commands import app
from tina.cli.exits import Exit, exit_for_failure
from tina.cli.output import OutputError, write_out
from tina.cli.shapes import refusal_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.failures import Failure, InternalFailure, InvalidInputFailure

_logger = logging.getLogger(__name__)


def run(tokens: list[str]) -> int:
    """Parse, run, and turn whatever happens into a code and at most one line."""
    _prepare_streams()
    # Otherwise Python prints warnings of a library that nobody set up a log for.
    logging.getLogger("tina").addHandler(logging.NullHandler())
    try:
        # Whoever types `tina` and nothing else wants to talk.
        code = _run(tokens or (["chat"] if _is_at_terminal() else []))
        write_out(())
    except OutputError as error:
        _silence_stdout()
        if error.errno == errno.EPIPE:
            return Exit.PIPE_CLOSED
        return _say(f"The output cannot be written: {error.strerror}.", Exit.FAILED)
    return code


def _is_at_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _run(tokens: list[str]) -> int:
    try:
        command, bound, _ = app.parse_args(
            tokens, print_error=False, exit_on_error=False
        )
    except CycloptsError as error:
        sentence = f"{_one_line(error)} `tina --help` shows how."
        return _tell(InvalidInputFailure(sentence), tokens)
    try:
        result = _call(partial(command, *bound.args, **bound.kwargs))
        code = asyncio.run(result) if asyncio.iscoroutine(result) else result
    except OutputError:
        raise
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001
        # The last door: a person gets one sentence, whoever debugs gets the rest.
        return _tell(_explain(error), tokens)
    return int(code) if isinstance(code, int) else Exit.OK


def _call(command: Callable[[], object]) -> object:
    """Begin a command of ours, or let the parser print its help or its version."""
    try:
        return command()
    except SystemExit as error:  # how rich leaves when the reader left
        raise OutputError(errno.EPIPE, "the reader left") from error
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from error


def _explain(error: Exception) -> Failure:
    match error:
        case Failure():
            return error
        case OSError():
            return InternalFailure(f"{_one_line(error)}.")
        case _:
            with suppress(Exception):  # what broke may be what sets up the log
                from tina.wiring import set_up_log

                set_up_log()
            _logger.error("command_broke", exc_info=error)
            return InternalFailure(
                "Tina made a mistake; nothing that was stored is lost. "
                "TINA_LOG=debug shows the details."
            )


def _tell(failure: Failure, tokens: list[str]) -> int:
    """Tell a person in a line, or a program in the one object that it reads."""
    record = failure.as_record()
    code = exit_for_failure(record)
    if _wants_an_object(tokens):
        write_out([to_json(refusal_shape(record)), "\n"])
        return code
    return _say(record.message, code)


def _wants_an_object(tokens: list[str]) -> bool:
    """Whether a program reads what is printed, also when the words make no sense."""
    flags = tokens[: tokens.index("--")] if "--" in tokens else tokens
    formats = (after for flag, after in pairwise(flags) if flag == "--output-format")
    return "--json" in flags or any(after.endswith("json") for after in formats)


def _say(sentence: str, code: Exit) -> int:
    with suppress(OSError):  # nobody can be told
        sys.stderr.write(f"tina: {safe_text(sentence)}\n")
    return code


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _prepare_streams() -> None:
    """Make standard output and error ones that every text can be written to."""
    _replace_missing_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and (
            stream.encoding.lower() != "utf-8" or stream.errors == "strict"
        ):
            stream.reconfigure(errors="replace")


def _replace_missing_streams() -> None:
    """A closed stdout or stderr (`>&-`) is None in Python; write to nowhere then."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Open until the process ends, as the real one would be.
            nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, nowhere)


def _silence_stdout() -> None:
    """Point stdout at nothing, or its flush at exit fails once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
