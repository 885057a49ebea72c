"""What the command line asks of the house beyond an open app."""

import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tina.domain.chat import parse_model_ref
from tina.storage.secrets import variable_for
from tina.wiring.app import App
from tina.wiring.opening import DEFAULT_MODEL, Replacements, open_app, paths_for


@asynccontextmanager
async def open_for(
    *, key: str | None = None, model: str | None = None, keeps: bool = True
) -> AsyncGenerator[App]:
    """Open Tina as the command line does.

    Args:
        key: a provider's key that goes before every other.
        model: whose key that is; otherwise the default model's.
        keeps: whether conversations are kept; otherwise they lie in a folder that is
            deleted at the end.
    """
    _set_up_log(os.environ)
    replacements: Replacements = {}
    if key is not None:
        named = model or os.environ.get("TINA_MODEL") or DEFAULT_MODEL
        variable = variable_for(parse_model_ref(named).provider)
        replacements["environment"] = {**os.environ, variable: key}
    async with AsyncExitStack() as stack:
        if not keeps:
            from tempfile import TemporaryDirectory

            folder = stack.enter_context(TemporaryDirectory(prefix="tina-"))
            replacements["data"] = Path(folder)
        yield await stack.enter_async_context(open_app(**replacements))


async def pull_weights(name: str, *, say: Callable[[str], None]) -> Path:
    """Fetch the weights of a model that runs here; where they lie then.

    Raises:
        ModelNotFoundFailure: no such model is known.
        ModelUnavailableFailure: it could not be fetched, or is not what it should be.
    """
    from tina.providers.local.pull import pull

    _set_up_log(os.environ)
    return await pull(
        name, models=paths_for().models, environment=os.environ, progress=say
    )


def _set_up_log(environment: Mapping[str, str]) -> None:
    """Log to stderr if `TINA_LOG` names a level; nothing otherwise."""
    level = environment.get("TINA_LOG", "").strip().upper()
    if level in logging.getLevelNamesMapping():
        logging.basicConfig(level=level)
    else:
        logging.getLogger("tina").addHandler(logging.NullHandler())
