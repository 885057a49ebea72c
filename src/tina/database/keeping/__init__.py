"""The file as a whole: who has it open, upgrades, backups, repair, daily upkeep."""

__all__: list[str] = []
