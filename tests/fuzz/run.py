"""Runs each target under atheris, in a process of its own: `make fuzz`.

python -m tests.fuzz.run SECONDS [TARGET …]
"""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

FOUND = Path("build/fuzz")
LONGEST_S = 1
LARGEST_BYTES = 65_536


def run_one(name: str, seconds: str) -> None:
    """Fuzz one target until the time is over, or it falls."""
    # Installed by `scripts/fuzz`, and without types.
    atheris: Any = import_module("atheris")

    with atheris.instrument_imports(include=["tina"]):
        from tests.fuzz.targets import SEEDS, TARGETS
    corpus = FOUND / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for seed, data in SEEDS.items():
        (corpus / seed).write_bytes(data)

    def run(data: bytes) -> None:
        TARGETS[name](data)

    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-timeout={LONGEST_S}",
        f"-max_len={LARGEST_BYTES}",
        f"-artifact_prefix={FOUND / name}/",
        "-print_final_stats=1",
    ]
    atheris.Setup(arguments, run)
    atheris.Fuzz()


def run_all(seconds: str, names: list[str]) -> int:
    from tests.fuzz.targets import TARGETS

    fallen = [
        name
        for name in names or TARGETS
        if subprocess.call([sys.executable, "-m", "tests.fuzz.run", "=", seconds, name])
    ]
    sys.stdout.write(f"fuzz: {len(fallen)} fell: {', '.join(fallen) or 'none'}\n")
    return 1 if fallen else 0


if __name__ == "__main__":
    if sys.argv[1] == "=":
        run_one(sys.argv[3], sys.argv[2])
    else:
        sys.exit(run_all(sys.argv[1], sys.argv[2:]))
