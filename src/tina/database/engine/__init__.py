"""One SQLite file: a writer, readers, a checkpointer, and what a disk does to them."""

__all__: list[str] = []
