"""What `tina db` says to a person. Pure."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tina.cli.terminal_text import safe_text
from tina.domain.keeping import (
    Backup,
    Contents,
    DatabaseStatus,
    Difference,
    Migration,
    Repair,
    ReserveState,
    RestorePreview,
    TurnHolder,
)
from tina.domain.turns import TurnStatus

_UNITS = ("kB", "MB", "GB", "TB")
_SPANS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def bytes_text(count: int) -> str:
    """`1.4 MB`; in thousands, as disks are sold."""
    if count < 1000:
        return f"{count} B"
    amount, power = count / 1000, 0
    while amount >= 999.95 and power < len(_UNITS) - 1:
        amount, power = amount / 1000, power + 1
    return f"{amount:.1f} {_UNITS[power]}"


def age_text(age: timedelta) -> str:
    """`3 hours ago`."""
    for name, length_s in _SPANS:
        number = int(age.total_seconds() // length_s)
        if number > 0:
            return f"{number} {name}{'' if number == 1 else 's'} ago"
    return "just now"


def status_lines(status: DatabaseStatus) -> Iterator[str]:
    yield safe_text(status.path)
    if not status.exists:
        yield f"  there is no database{_beginning_text(status)}"
    else:
        log = f", log {bytes_text(status.log_bytes)}" if status.log_bytes else ""
        yield _fact("size", f"{bytes_text(status.size_bytes)}{log}")
    if status.why_read_only is not None:
        yield f"  {safe_text(status.why_read_only)}"
    if status.schema_version is not None:
        yield _fact("schema", _schema_text(status.schema_version, status))
    safety = "safe" if status.is_sqlite_safe else "has the WAL-reset bug: update apsw"
    yield _fact("SQLite", f"{status.sqlite_version}, {safety}")
    if status.contents is not None:
        yield from _contents_lines(status.contents)
    if status.exists and status.reserve is ReserveState.NO_ROOM:
        yield _fact("reserve", "none: the disk has too little room to set any aside.")
        yield _fact("", "If it fills up, an answer that is running may be cut off.")
    yield _fact("backups", str(len(status.backups) or "none"))
    for backup in status.backups:
        yield f"    {backup_line(backup, now=status.read_at)}"


def backup_line(backup: Backup, *, now: datetime) -> str:
    name = safe_text(backup.name.removesuffix(".db"))
    age = age_text(now - backup.made_at)
    return f"{name:<38}  {age:>14}  {bytes_text(backup.size_bytes):>9}"


def preview_lines(preview: RestorePreview, *, now: datetime) -> Iterator[str]:
    """What restoring would change."""
    backup = preview.backup
    yield f"{safe_text(backup.name)}, {age_text(now - backup.made_at)}:"
    if preview.problem is not None:
        yield f"  What is there now cannot be read: {safe_text(preview.problem)}"
        yield "  It is kept whole under another name."
        return
    if preview.lost is None or preview.regained is None:
        yield "  There is no database now; nothing can be lost."
        return
    if preview.changes_nothing:
        yield "  Nothing would change: what is there now is the same."
        return
    yield from _difference_lines("would be lost", preview.lost)
    yield from _difference_lines("would come back", preview.regained)
    yield "  What is there now is kept as a backup."


def migration_lines(path: str, migration: Migration) -> Iterator[str]:
    yield (
        f"{safe_text(path)} was brought from version {migration.from_version} "
        f"to {migration.to_version}."
    )
    if migration.backup is not None:
        yield f"How it was before is kept as {safe_text(migration.backup.path)}."


def repair_lines(repair: Repair) -> Iterator[str]:
    for sentence in repair.mended:
        yield f"Mended: {safe_text(sentence)}"
    if repair.original is None:
        if not repair.mended:
            yield "There was nothing to mend."
        return
    yield "The file was damaged. What could be read was saved into a new one:"
    for table, number in sorted((repair.saved or {}).items()):
        yield f"  {table}: {number}"
    for sentence in repair.left_out:
        yield f"  not saved: {safe_text(sentence)}"
    yield f"The damaged file is kept as {safe_text(repair.original)}."
    if repair.newest_backup is not None:
        name = safe_text(repair.newest_backup.name.removesuffix(".db"))
        yield (
            f"If too much is missing: `tina db restore {name}` brings back the newest "
            "backup."
        )


def _fact(name: str, text: str) -> str:
    return f"  {name:<14} {text}"


def _beginning_text(status: DatabaseStatus) -> str:
    if not status.backups:
        return " yet"
    name = safe_text(status.backups[0].name.removesuffix(".db"))
    return f", but there are backups: `tina db restore {name}` brings back the newest"


def _schema_text(version: int, status: DatabaseStatus) -> str:
    if version == status.latest_version:
        return f"version {version}, up to date"
    return (
        f"version {version} of {status.latest_version}; "
        "`tina db migrate` brings it up to date"
    )


def _contents_lines(contents: Contents) -> Iterator[str]:
    deleted = f" ({contents.deleted} deleted)" if contents.deleted else ""
    yield _fact("conversations", f"{contents.conversations}{deleted}")
    backlog = contents.search_backlog
    waiting = f" ({backlog} not in the search index yet)" if backlog else ""
    yield _fact("messages", f"{contents.messages}{waiting}")
    for turn in contents.open_turns:
        yield _fact("open turn", f"{turn.conversation_id[:16]}  {_turn_text(turn)}")


def _turn_text(turn: TurnHolder) -> str:
    if turn.status is TurnStatus.QUEUED:
        return "waits for a process that answers it"
    if turn.is_alive:
        process = "a process" if turn.pid is None else f"process {turn.pid}"
        return f"is being answered by {process}"
    return "was cut off; the next start of Tina saves what was said"


def _difference_lines(what: str, difference: Difference) -> Iterator[str]:
    yield (
        f"  {what}: {_number(difference.conversations, 'conversation')}, "
        f"{_number(difference.messages, 'message')}"
    )
    for title in difference.titles:
        yield f"    {' '.join(safe_text(title).split()) or '(no title)'}"
    more = difference.conversations - len(difference.titles)
    if more > 0:
        yield f"    and {more} more"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
