"""`tina db restore`: says what would change, asks, and puts a backup back."""

import asyncio
import sys

from tina.cli.database import print_json, print_lines
from tina.cli.database_texts import backup_line, preview_lines
from tina.cli.exits import Exit
from tina.cli.standard_input import StdinKind, stdin_kind
from tina.cli.terminal_text import safe_text
from tina.domain.failures import InvalidInputFailure
from tina.domain.keeping import Backup, Restored
from tina.wiring import keeper_for


def restore(name: str | None, *, is_agreed: bool, as_json: bool) -> int:
    """List the backups, or put one back.

    Not one coroutine: while a person is asked, Ctrl-C must end the program at once.
    """
    if name is None:
        return _list(as_json=as_json)
    keeper = keeper_for()
    backup = keeper.find_backup(name)
    preview = asyncio.run(keeper.preview(backup))
    if as_json and not is_agreed:
        print_json(preview)
        return Exit.OK
    if not as_json:
        print_lines(preview_lines(preview, now=keeper.now()))
        if preview.changes_nothing:
            return Exit.OK
    if not is_agreed and not _is_agreed():
        print_lines(["Nothing was changed."])
        return Exit.FAILED
    restored = asyncio.run(keeper.restore(backup))
    if as_json:
        print_json(restored)
    else:
        print_lines(_told(restored))
    return Exit.OK


def _list(*, as_json: bool) -> int:
    keeper = keeper_for()
    backups = keeper.backups()
    if as_json:
        print_json(backups)
    elif not backups:
        sys.stderr.write("There is no backup yet. `tina db backup` makes one.\n")
    else:
        print_lines(backup_line(backup, now=keeper.now()) for backup in backups)
        print_lines([_how(backups[0])])
    return Exit.OK


def _how(newest: Backup) -> str:
    name = safe_text(newest.name.removesuffix(".db"))
    return f"\n`tina db restore {name}` says what would change, and asks."


def _is_agreed() -> bool:
    """Ask at the terminal.

    Raises:
        InvalidInputFailure: there is none; nothing was changed.
    """
    if stdin_kind() is not StdinKind.TERMINAL:
        raise InvalidInputFailure(
            "Nothing was changed: there is nobody to ask. --yes restores the backup "
            "without asking."
        )
    sys.stdout.write("Restore it? [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _told(restored: Restored) -> list[str]:
    if not restored.is_changed:  # somebody else was faster
        return ["Nothing was changed: what is there now is the same."]
    lines = [f"{safe_text(restored.backup.name)} was restored."]
    if restored.kept is not None:
        lines.append(f"What was there before is kept as {safe_text(restored.kept)}.")
    return lines
