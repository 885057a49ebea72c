"""A full disk takes nothing that was said, and is over when there is room again.

The scenario is `filling.py`, in a process of its own: on a disk that is really full
where the system allows one, and everywhere on one that SQLite is told is full.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.small_disks import MIB, can_mount, run_beside, run_on_tmpfs

SCRIPT = Path(__file__).with_name("filling.py")
DISK_BYTES = 64 * MIB


def on_a_disk_of_its_own(folder: Path) -> str:
    return run_on_tmpfs(folder, DISK_BYTES, SCRIPT, "real")


def on_a_counted_disk(folder: Path) -> str:
    return run_beside(folder, SCRIPT, "counted")


WAYS = [on_a_counted_disk, *([on_a_disk_of_its_own] if can_mount() else [])]


@pytest.mark.requirement("database:full:nothing-lost")
@pytest.mark.parametrize("run", WAYS)
def test_a_full_disk_takes_nothing_and_ends_by_itself(
    tmp_path: Path, run: Callable[[Path], str]
) -> None:
    seen = json.loads(run(tmp_path))

    assert seen == {
        # The reserve takes the end of what was running; new questions are refused.
        "reserve before": True,
        "end": ["complete", True],
        "refused": "disk_full",
        "read meanwhile": ["first"],
        # With room again all goes on, and there is a reserve for the next time.
        "after": "At once.",
        "reserve after": True,
        # Without any room the end is kept in memory, and stored later.
        "told": "disk_full",
        "kept": True,
        "stored": ["complete", True],
        "still streaming": 0,
        "problems": [],
    }
