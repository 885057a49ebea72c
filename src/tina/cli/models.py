"""`tina models`: what can answer here."""

import sys
from collections.abc import Sequence

from tina.cli.exits import Exit
from tina.cli.output import write_out
from tina.cli.shapes import model_shape, to_json, tool_shape
from tina.cli.terminal_text import one_line, safe_text
from tina.domain.chat import ModelInfo
from tina.domain.result import Err, Ok
from tina.wiring import open_for, pull_weights


async def list_models(*, refresh: bool, as_json: bool) -> int:
    """List the models of every provider that is set up."""
    models: list[ModelInfo] = []
    code = Exit.OK
    async with open_for() as app:
        for name, answer in (await app.models(refresh=refresh)).items():
            match answer:
                case Ok(offered):
                    models.extend(offered)
                case Err(failure):
                    code = Exit.FAILED
                    sys.stderr.write(
                        f"tina: {safe_text(name)}: {safe_text(failure.message)}\n"
                    )
    if as_json:
        write_out([to_json([model_shape(model) for model in models]), "\n"])
    else:
        write_out(_line(model) for model in models)
    return code


async def check(names: Sequence[str]) -> int:
    """Ask each provider, which costs nothing, and say what comes of it."""
    code = Exit.OK
    async with open_for() as app:
        for name, answer in (await app.check_providers(names)).items():
            match answer:
                case Ok():
                    write_out([f"{safe_text(name)}: ready\n"])
                case Err(failure):
                    code = Exit.FAILED
                    sys.stderr.write(
                        f"tina: {safe_text(name)}: {safe_text(failure.message)}\n"
                    )
    return code


async def list_tools(*, as_json: bool) -> int:
    """List what providers can run on their side."""
    async with open_for() as app:
        offered = app.available_tools()
    found = [(name, tool) for name, tools in offered.items() for tool in tools]
    if as_json:
        write_out([to_json([tool_shape(name, tool) for name, tool in found]), "\n"])
    elif found:
        write_out(
            f"{name}: {tool.name:<20}  {tool.description}\n" for name, tool in found
        )
    else:
        sys.stderr.write(
            "No provider that is set up here runs tools on its side. "
            "`tina models list` shows which are set up.\n"
        )
    return Exit.OK


async def pull(name: str) -> int:
    """Fetch a model that runs on this machine."""
    path = await pull_weights(name, say=_progress)
    write_out([f"{path}\n"])
    return Exit.OK


def _line(model: ModelInfo) -> str:
    window = "" if model.context_tokens is None else f"{model.context_tokens:,} tokens"
    about = [*(model.capabilities or ()), *([model.note] if model.note else [])]
    note = f"  {one_line(', '.join(about))}" if about else ""
    return f"{one_line(str(model.ref)):<32}  {window:>14}{note}\n"


def _progress(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
