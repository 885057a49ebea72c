"""Statements on one table each: rows in, rows out, on a connection that is given."""

__all__: list[str] = []
