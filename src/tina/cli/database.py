"""`tina db`: the database file."""

import sys
from collections.abc import Iterable
from pathlib import Path

from tina.cli.database_texts import (
    bytes_text,
    migration_lines,
    repair_lines,
    status_lines,
)
from tina.cli.exits import Exit
from tina.cli.output import write_out
from tina.cli.shapes import to_json
from tina.cli.terminal_text import safe_text
from tina.domain.failures import StorageFailure
from tina.wiring import keeper_for


async def status(*, as_json: bool) -> int:
    """Say how the file is, whatever it is."""
    status = await keeper_for().status()
    if as_json:
        print_json(status)
    else:
        print_lines(status_lines(status))
        if status.problem is not None:
            sys.stderr.write(f"tina: {safe_text(status.problem)}\n")
    return Exit.OK if status.problem is None else Exit.FAILED


async def migrate(*, as_json: bool) -> int:
    """Bring the file up to date."""
    keeper = keeper_for()
    migration = await keeper.migrate()
    if as_json:
        print_json({"path": str(keeper.path), "migration": migration})
    elif migration is None:
        print_lines([f"{safe_text(str(keeper.path))} is up to date."])
    else:
        print_lines(migration_lines(str(keeper.path), migration))
    return Exit.OK


async def back_up(path: Path | None, *, as_json: bool) -> int:
    """Make a backup and say where it is."""
    keeper = keeper_for()
    backup = await keeper.back_up(path)
    if as_json:
        print_json(backup)
        return Exit.OK
    name = backup.path if backup.kind is None else backup.name.removesuffix(".db")
    print_lines(
        [
            f"{safe_text(backup.path)} ({bytes_text(backup.size_bytes)})",
            f"`tina db restore {safe_text(name)}` brings it back.",
        ]
    )
    return Exit.OK


async def check(*, as_json: bool) -> int:
    """Read the whole file and say whether it is whole."""
    keeper = keeper_for()
    try:
        problems = await keeper.check()
        advice = "`tina db repair` mends what can be mended."
    except StorageFailure as failure:
        problems, advice = (failure.message,), None
    if as_json:
        print_json({"ok": not problems, "path": str(keeper.path), "problems": problems})
    elif problems:
        lines = [*problems, *([advice] if advice else [])]
        sys.stderr.writelines(f"tina: {safe_text(line)}\n" for line in lines)
    elif keeper.path.exists():
        print_lines([f"{safe_text(str(keeper.path))} is whole."])
    else:
        print_lines(["There is no database yet."])
    return Exit.FAILED if problems else Exit.OK


async def vacuum(*, as_json: bool) -> int:
    """Give room back to the disk."""
    keeper = keeper_for()
    vacuumed = await keeper.vacuum()
    if as_json:
        print_json(vacuumed)
        return Exit.OK
    before, after = vacuumed.before_bytes, vacuumed.after_bytes
    print_lines(
        [
            f"{safe_text(str(keeper.path))}: {bytes_text(before)} before, "
            f"{bytes_text(after)} now, {bytes_text(max(0, before - after))} gained."
        ]
    )
    return Exit.OK


async def repair(*, as_json: bool) -> int:
    """Mend the file, or save what can be read of it."""
    repair = await keeper_for().repair()
    if as_json:
        print_json(repair)
    else:
        print_lines(repair_lines(repair))
    return Exit.OK


def print_json(value: object) -> None:
    write_out([to_json(value), "\n"])


def print_lines(lines: Iterable[str]) -> None:
    write_out(f"{line}\n" for line in lines)
