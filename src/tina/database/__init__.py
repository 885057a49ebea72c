"""SQLite through apsw: typed rows, DAOs, mappers, repositories, migrations."""

from tina.database.database import Database

__all__ = ["Database"]
