"""Rows to domain values and back. Pure."""

__all__: list[str] = []
