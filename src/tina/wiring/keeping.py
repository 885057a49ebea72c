"""The database as a file; also one that Tina cannot open."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tina.database.leases import FileLeases
from tina.storage.paths import ensure_folder
from tina.wiring.command_line import set_up_log
from tina.wiring.opening import paths_for
from tina.wiring.system import SystemClock, SystemIds

if TYPE_CHECKING:
    from tina.database.keeping.keeper import DatabaseKeeper


def keeper_for(
    home: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> "DatabaseKeeper":
    """Who looks after the database of that home.

    Raises:
        UnwritableFailure: its folder cannot be made.
    """
    # Imported here: whoever asks a question does not pay for it.
    from tina.database.keeping.keeper import DatabaseKeeper

    set_up_log(environment)
    paths = paths_for(home, environment)
    ensure_folder(paths.data)
    return DatabaseKeeper(
        paths.database,
        leases=FileLeases(paths.leases, ids=SystemIds()),
        clock=SystemClock(),
    )
