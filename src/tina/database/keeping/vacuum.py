"""Giving back the room of what was deleted."""

from contextlib import closing
from pathlib import Path

from tina.database.engine.sqlite import open_writer, storage_failures
from tina.database.files.filesystem import require_room, stored_bytes
from tina.database.keeping.interruption import Stop
from tina.domain.keeping import Vacuumed


def vacuum(path: Path, *, stop: Stop) -> Vacuumed:
    """Write the file anew without its gaps; blocks.

    Whoever calls it holds the file lock alone.

    Raises:
        DiskFullFailure: there is no room for it; nothing was changed.
        StorageFailure: it could not be done; the file is as it was.
    """
    # Once for the copy that is made in between, once for the log it goes through.
    require_room(path.parent, 2 * stored_bytes(path), purpose="Vacuuming the database")
    with storage_failures(path), closing(open_writer(path)) as connection:
        stop.watch(connection)
        before = stored_bytes(path)
        connection.execute("VACUUM")
    return Vacuumed(before_bytes=before, after_bytes=stored_bytes(path))
