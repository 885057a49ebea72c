"""The folder of backups beside a database: which there are, and how they are named.

A name tells kind and time: `daily-20260131T093000Z.db`; a second one of the same second
gets `-2`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tina.database.files.filesystem import size_of
from tina.domain.failures import NotFoundFailure
from tina.domain.keeping import Backup, BackupKind

KEPT = 3
"""So many of each kind; older ones are removed when another is made."""

_SUFFIX = ".db"
_MOST_TRIES = 100
"""Others may be making one in the same second."""
_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"([a-z]+(?:-[a-z]+)?)-(\d{8}T\d{6}Z)(?:-(\d+))?\.db")


class BackupFolder:
    """The backups of one database. Nothing is made before it is needed."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name("backups")

    def list(self) -> tuple[Backup, ...]:
        """All of them, newest first."""
        found = sorted(self._found(), key=_age, reverse=True)
        return tuple(backup for _, backup in found)

    def newest(self, kind: BackupKind | None = None) -> Backup | None:
        """The newest one, of that kind if one is given."""
        return next(
            (backup for backup in self.list() if kind in {None, backup.kind}), None
        )

    def find(self, name: str) -> Backup:
        """The backup of that name, or the file of that path.

        Raises:
            NotFoundFailure: there is neither.
        """
        for backup in self.list():
            if name in {backup.name, backup.name.removesuffix(_SUFFIX)}:
                return backup
        path = Path(name).expanduser().absolute()
        if path.is_file():
            return _named_by_a_person(path)
        raise NotFoundFailure(
            f"There is no backup {name!r}, and no file of that name. "
            "`tina db restore` without a name lists the backups."
        )

    def free_names(self, kind: BackupKind, now: datetime) -> Iterator[str]:
        """Names for a new one, behind those there are; whoever makes it tries them."""
        made_at = now.astimezone(UTC).replace(microsecond=0)
        stem = f"{kind}-{made_at.strftime(_TIME)}"
        taken = [
            number
            for number, backup in self._found()
            if backup.made_at == made_at and backup.kind is kind
        ]
        first = max(taken, default=0) + 1
        for number in range(first, first + _MOST_TRIES):
            yield f"{stem}{_SUFFIX}" if number == 1 else f"{stem}-{number}{_SUFFIX}"

    def prune(self, made: Backup) -> None:
        """Remove all but the newest few of a kind, of which `made` is the newest.

        What seems to be of the time after it is of a clock that was wrong: it goes
        first, so that it does not keep the others out for ever.
        """
        of_kind = [each for each in self.list() if each.kind is made.kind]
        before = [each for each in of_kind if each.made_at <= made.made_at]
        after = [each for each in of_kind if each.made_at > made.made_at]
        others = [each for each in (*before, *after) if each.name != made.name]
        for backup in others[KEPT - 1 :]:
            Path(backup.path).unlink(missing_ok=True)

    def _found(self) -> Iterator[tuple[int, Backup]]:
        """Each with its number among those of its kind and second."""
        if not self.path.is_dir():
            return
        for path in self.path.iterdir():
            parsed = parse_name(path.name)
            if parsed is not None:
                kind, made_at, number = parsed
                backup = Backup(
                    name=path.name,
                    kind=kind,
                    path=str(path),
                    made_at=made_at,
                    size_bytes=size_of(path),
                )
                yield number, backup


def _age(numbered: tuple[int, Backup]) -> tuple[datetime, float, int]:
    """Of two kinds in one second the file tells which came first."""
    number, backup = numbered
    try:
        written = Path(backup.path).stat().st_mtime
    except OSError:  # removed meanwhile
        written = 0.0
    return backup.made_at, written, number


def parse_name(name: str) -> tuple[BackupKind, datetime, int] | None:
    """Kind, time and number of a backup; None if the name is no backup's."""
    found = _NAME.fullmatch(name)
    if found is None or found[1] not in set(BackupKind):
        return None
    try:
        made_at = datetime.strptime(found[2], _TIME).replace(tzinfo=UTC)
    except ValueError:  # a thirteenth month
        return None
    return BackupKind(found[1]), made_at, int(found[3] or 1)


def _named_by_a_person(path: Path) -> Backup:
    facts = path.stat()
    return Backup(
        name=path.name,
        kind=None,
        path=str(path),
        made_at=datetime.fromtimestamp(facts.st_mtime, UTC),
        size_bytes=facts.st_size,
    )
