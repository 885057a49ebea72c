"""The files of a database and the disk they lie on; opens no database."""

__all__: list[str] = []
