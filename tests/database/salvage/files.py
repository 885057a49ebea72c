"""Small databases for the tests of the parser."""

from pathlib import Path

import apsw

from tina.database.salvage.pages import Pages


def make_file(path: Path, *statements: str, page_bytes: int = 4096) -> bytes:
    connection = apsw.Connection(str(path))
    connection.pragma("page_size", page_bytes)
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return path.read_bytes()


def pages_of(file: bytes, log: bytes = b"") -> Pages:
    return Pages(
        lambda offset, length: file[offset : offset + length],
        file_bytes=len(file),
        log=log,
    )


def hurt(file: bytes, at: int, data: bytes) -> bytes:
    return file[:at] + data + file[at + len(data) :]
