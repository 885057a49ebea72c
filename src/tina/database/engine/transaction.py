"""A transaction for work on the file as a whole; the writer has its own, in groups."""

from collections.abc import Generator
from contextlib import contextmanager

import apsw


@contextmanager
def transaction(connection: apsw.Connection) -> Generator[None]:
    """Commit at the end; after an exception nothing of it has happened."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise
