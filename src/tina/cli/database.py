"""`tina db`: the database file."""

import sys

from tina.cli.exits import Exit
from tina.cli.output import write_out
from tina.cli.shapes import to_json
from tina.domain.failures import StorageFailure
from tina.wiring import open_for, paths_for


async def check(*, as_json: bool) -> int:
    """Read the whole file and say whether it is whole."""
    path = paths_for().database
    try:
        async with open_for() as app:
            problems = await app.check_database()
    except StorageFailure as failure:
        problems = (failure.message,)
    if as_json:
        shape = {"ok": not problems, "path": str(path), "problems": problems}
        write_out([to_json(shape), "\n"])
    elif problems:
        sys.stderr.writelines(f"tina: {problem}\n" for problem in problems)
    else:
        write_out([f"{path} is whole.\n"])
    return Exit.FAILED if problems else Exit.OK
