"""The worker: a process of its own that answers what was asked with `--detach`.

At most one runs for a folder; a locked file says so, and the operating system lets go
of the lock when it dies. It leaves when there was nothing to do for a while. Nothing is
ever left behind between two of them: whoever asks stores the turn first and looks for
the lock then; a worker that leaves lets go of the lock first and looks for turns then.
"""

import os
import resource
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tina.database.files.regular_file import open_regular
from tina.domain.failures import StorageFailure
from tina.domain.turns import TurnStatus
from tina.storage.paths import ensure_folder
from tina.wiring.app import App
from tina.wiring.opening import paths_for
from tina.wiring.worker_lock import hold, noted, refuse_other_settings, told

WORKER_SLOTS = 8
"""How many answers a worker writes at once."""
LINGER_S = 10.0
TRIES = 10
TRY_INTERVAL_S = 0.1
"""Whoever asks whether a worker runs holds the lock for an instant, too."""
DESCRIPTORS = 1024
"""Shells and the like hand on ones with low numbers."""


async def work(app: App, *, linger_s: float | None) -> bool:
    """Answer what is queued until there is nothing left.

    What waits behind an answer that another process writes is waited for.

    Args:
        linger_s: how long to wait for more; None: for ever.

    Returns:
        False if another worker is at it already.

    Raises:
        StorageFailure: nothing was answered; among others, there can be no lock.
    """
    has_worked = False
    tries = TRIES
    while tries:
        with hold(app.paths.worker_lock) as is_mine:
            if is_mine:
                with noted(app.paths.worker_lock, app.environment):
                    await app.run_queued(slots=WORKER_SLOTS, linger_s=linger_s)
                has_worked = True
        # Looked at after the lock is free: whoever asked meanwhile saw it taken.
        left = {turn.status for turn in await app.open_turns()}
        if has_worked and TurnStatus.QUEUED not in left:
            break
        if not is_mine or TurnStatus.RUNNING not in left:
            tries -= 1
        await app.clock.sleep(TRY_INTERVAL_S)
    return has_worked


def check_worker(environment: Mapping[str, str] | None = None) -> None:
    """Refuse, before anything is stored, a worker that would ask somebody else.

    Raises:
        InvalidInputFailure: one runs that was started with other providers' settings.
    """
    environment = os.environ if environment is None else environment
    with suppress(StorageFailure):  # `start_worker` tells why there can be no lock
        refuse_other_settings(paths_for(None, environment).worker_lock, environment)


def start_worker(environment: Mapping[str, str] | None = None) -> None:
    """Start a worker unless one runs; it outlives this process and its terminal.

    Call `check_worker` before the turn is stored, and this after. A worker that is
    started has this environment.

    Raises:
        StorageFailure: it cannot be started; the turn waits for the next one.
    """
    environment = os.environ if environment is None else environment
    paths = paths_for(None, environment)
    try:
        with hold(paths.worker_lock) as is_free:
            pass
        if is_free:
            with _log(paths.state) as log:
                _spawn(log, environment)
    except (OSError, StorageFailure) as error:
        why = str(error) if isinstance(error, StorageFailure) else f"{told(error)}."
        raise StorageFailure(
            f"The question is stored, but no worker could be started. {why} "
            "When that is mended, `tina worker` answers it."
        ) from error


def _spawn(log: int, environment: Mapping[str, str]) -> None:
    os.posix_spawn(
        sys.executable,
        # -P: what lies in the folder where somebody asks must not be imported.
        [sys.executable, "-P", "-m", "tina", "worker"],
        dict(environment),
        file_actions=[
            # First of all: the log may have the number of one that is closed here.
            (os.POSIX_SPAWN_DUP2, log, 1),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            *((os.POSIX_SPAWN_CLOSE, number) for number in _handed_on()),
        ],
        setsid=True,  # what ends the terminal does not reach it
    )


@contextmanager
def _log(folder: Path) -> Generator[int]:
    """What the worker says goes here; nowhere, if there can be no such file."""
    written = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    try:
        ensure_folder(folder)
        log = open_regular(folder / "worker.log", written)
    except (OSError, StorageFailure):
        log = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        yield log
    finally:
        os.close(log)


def _handed_on() -> Iterator[int]:
    """Descriptors beyond the usual three that a child would get.

    They came from whoever started this process, who may wait for their end: a shell
    for that of a pipe, a terminal for that of itself.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(3, DESCRIPTORS):
        with suppress(OSError):  # it is not open
            if os.get_inheritable(number):
                if number < limit:
                    yield number
                else:
                    # Opened before there was this limit; glibc refuses to close it.
                    os.set_inheritable(number, False)  # noqa: FBT003 - it has no name
