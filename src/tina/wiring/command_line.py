"""What the command line asks of the house beyond an open app."""

import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tina.wiring.app import App
from tina.wiring.opening import Replacements, open_app, paths_for


@asynccontextmanager
async def open_for(
    *, key: str | None = None, model: str | None = None, keeps: bool = True
) -> AsyncGenerator[App]:
    """Open Tina as the command line does.

    Args:
        key: of the provider of `model`; goes before every other.
        model: `provider:model` that the key is for; otherwise the default.
        keeps: whether conversations are kept; otherwise they lie in a folder that is
            deleted at the end.
    """
    set_up_log()
    replacements: Replacements = {}
    if key is not None:
        replacements["key"] = key
        if model is not None:
            replacements["key_model"] = model
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

    set_up_log()
    return await pull(
        name, models=paths_for().models, environment=os.environ, progress=say
    )


def set_up_log(environment: Mapping[str, str] | None = None) -> None:
    """Log to standard error from the level on that `TINA_LOG` names, if it does."""
    environment = os.environ if environment is None else environment
    level = environment.get("TINA_LOG", "").strip().upper()
    if level in logging.getLevelNamesMapping():
        logging.basicConfig(level=level)
