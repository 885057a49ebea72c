"""What a person can do about a damaged file; said in one place."""

from pathlib import Path

from tina.database.files.backup_folder import BackupFolder
from tina.domain.keeping import Backup


def advice_on_damage(database: Path) -> str:
    """Sentences that follow the one that says what is damaged."""
    repair = "`tina db repair` saves what can be read into a new file."
    try:
        newest = BackupFolder(database).newest()
    except OSError:
        return repair
    if newest is None:
        return f"{repair} There is no backup."
    return f"{repair} {advice_on_backup(newest)}"


def newest_backup(database: Path) -> Backup | None:
    """The one to go back to; None also where the backups cannot be looked at."""
    try:
        return BackupFolder(database).newest()
    except OSError:
        return None


def advice_on_backup(backup: Backup) -> str:
    when = backup.made_at.astimezone().strftime("%Y-%m-%d %H:%M")
    name = backup.name.removesuffix(".db")
    return f"`tina db restore {name}` brings back the backup of {when}."
