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

from cyclopts import CycloptsError

from tina.cli.commands import app
from tina.cli.exits import Exit, exit_for_failure
from tina.cli.output import OutputError, write_out
from tina.domain.failures import Failure

_logger = logging.getLogger(__name__)


def run(tokens: list[str]) -> int:
    """Parse, run, and turn whatever happens into a code and at most one line."""
    _prepare_streams()
    try:
        code = _run(tokens)
        write_out(())
    except OutputError as error:
        _silence_stdout()
        if error.errno == errno.EPIPE:
            return Exit.PIPE_CLOSED
        return _say(f"The output cannot be written: {error.strerror}.", Exit.FAILED)
    return code


def _run(tokens: list[str]) -> int:
    try:
        command, bound, _ = app.parse_args(
            tokens, print_error=False, exit_on_error=False
        )
    except CycloptsError as error:
        return _say(f"{_one_line(error)} `tina --help` shows how.", Exit.USAGE)
    try:
        result = _call(partial(command, *bound.args, **bound.kwargs))
        code = asyncio.run(result) if asyncio.iscoroutine(result) else result
    except OutputError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001
        # The last door: a person gets one sentence, whoever debugs gets the rest.
        return _explain(error)
    return int(code) if isinstance(code, int) else Exit.OK


def _call(command: Callable[[], object]) -> object:
    """Begin a command of ours, or let the parser print its help or its version."""
    try:
        return command()
    except SystemExit as error:  # how rich leaves when the reader left
        raise OutputError(errno.EPIPE, "the reader left") from error
    except OSError as error:
        raise OutputError(error.errno, error.strerror) from error


def _explain(error: BaseException) -> int:
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case Failure():
            return _say(error.message, exit_for_failure(error.as_record()))
        case OSError():
            return _say(f"{_one_line(error)}.", Exit.FAILED)
        case _:
            _logger.error("command_broke", exc_info=error)
            return _say(
                "Tina made a mistake; nothing that was stored is lost. "
                "TINA_LOG=debug shows the details.",
                Exit.FAILED,
            )


def _say(sentence: str, code: Exit) -> int:
    with suppress(OSError):  # nobody can be told
        sys.stderr.write(f"tina: {sentence}\n")
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
