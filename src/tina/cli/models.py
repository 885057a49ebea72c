"""`tina models`: what can answer here."""

import sys

from tina.cli.exits import Exit
from tina.cli.output import write_out
from tina.cli.shapes import model_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.chat import ModelInfo
from tina.domain.result import Err, Ok
from tina.wiring import open_for, pull_weights


async def list_models(*, as_json: bool) -> int:
    """List the models of every provider that is set up."""
    models: list[ModelInfo] = []
    code = Exit.OK
    async with open_for() as app:
        for name, answer in (await app.models()).items():
            match answer:
                case Ok(offered):
                    models.extend(offered)
                case Err(failure):
                    code = Exit.FAILED
                    sys.stderr.write(f"tina: {name}: {failure.message}\n")
    if as_json:
        write_out([to_json([model_shape(model) for model in models]), "\n"])
    else:
        write_out(_line(model) for model in models)
    return code


async def pull(name: str) -> int:
    """Fetch a model that runs on this machine."""
    path = await pull_weights(name, say=_progress)
    write_out([f"{path}\n"])
    return Exit.OK


def _line(model: ModelInfo) -> str:
    window = "" if model.context_tokens is None else f"{model.context_tokens:,} tokens"
    note = f"  {safe_text(model.note)}" if model.note else ""
    return f"{safe_text(str(model.ref)):<32}  {window:>14}{note}\n"


def _progress(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
