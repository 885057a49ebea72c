"""Disks that tests may fill or make read-only, each in a process of its own.

A mount lives in the mount namespace of the child, and goes with it; so nothing is left
behind, however the test ends. Where the system forbids that, only the other ways run.
"""

import subprocess
import sys
from pathlib import Path

MIB = 1024 * 1024
GIVE_UP_S = 120

_MOUNT = 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"'
_PRIVATE = ["unshare", "--mount", "--map-root-user", "sh", "-c"]


def can_mount() -> bool:
    """Whether a child may have mounts of its own here."""
    command = [*_PRIVATE, _MOUNT, "64k", "/mnt", "true"]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def run_on_tmpfs(folder: Path, size_bytes: int, script: Path, *arguments: str) -> str:
    """Run a script while a small disk is mounted on the folder; what it printed."""
    command = [*_PRIVATE, _MOUNT, str(size_bytes), str(folder)]
    return _run([*command, sys.executable, str(script), str(folder), *arguments])


def run_beside(folder: Path, script: Path, *arguments: str) -> str:
    """Run a script on the folder as it is; what it printed."""
    return _run([sys.executable, str(script), str(folder), *arguments])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP_S)
    assert done.returncode == 0, done.stderr
    return done.stdout
