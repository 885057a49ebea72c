"""The commands of `tina db`. What they do is imported when one is called."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from tina.cli.command_groups import TEND
from tina.cli.flags import Flag

database = App(name="db", help="The database file: state, backups, repair.", group=TEND)


@database.command
def status(*, json: Flag = False) -> object:
    """Say how the database file is: size, version, backups, who works on it.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.status(as_json=json)


@database.command
def migrate(*, json: Flag = False) -> object:
    """Bring the file of an older Tina up to date; opening Tina does it, too.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.migrate(as_json=json)


@database.command
def backup(path: Path | None = None, /, *, json: Flag = False) -> object:
    """Make a backup; Tina may go on working meanwhile.

    Args:
        path: The file, or the folder, that it is written to; otherwise it goes to the
            folder of backups, where the newest three are kept.
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.back_up(path, as_json=json)


@database.command
def restore(
    name: str | None = None,
    /,
    *,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative=())] = False,
    json: Flag = False,
) -> object:
    """Put a backup back; without a name, list the backups.

    It is said first what would change. What is there now is kept as a backup.

    Args:
        name: The backup, or a file.
        yes: Do it without asking.
        json: Print a list or one JSON object; without --yes, what would change.
    """
    from tina.cli import restoring as room

    return room.restore(name, is_agreed=yes, as_json=json)


@database.command
def check(*, json: Flag = False) -> object:
    """Read the whole database and say whether it is whole.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.check(as_json=json)


@database.command
def vacuum(*, json: Flag = False) -> object:
    """Give the room of what was deleted back to the disk.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.vacuum(as_json=json)


@database.command
def repair(*, json: Flag = False) -> object:
    """Mend the database; of a damaged one, save what can be read into a new file.

    Args:
        json: Print one JSON object.
    """
    from tina.cli import database as room

    return room.repair(as_json=json)
