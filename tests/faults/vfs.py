"""The seam between SQLite and the operating system, where a test puts its own disk.

The functions of SQLite's default VFS are replaced in place by ones that ask a `Disk`.
They return SQLite's codes, as the system's do. An `apsw.VFS` cannot: what a method of
it raises comes out of the statement even where SQLite goes on without (a log that could
not be deleted made `close` fail, which it never does with a real disk).

Source: SQLite, "C-language Interface", sqlite3_vfs and sqlite3_io_methods (structures
that only ever grow at their end).
"""

import ctypes
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple, Protocol

import apsw

OK: int = apsw.SQLITE_OK

_INT, _INT64 = ctypes.c_int, ctypes.c_int64
_POINTER, _TEXT = ctypes.c_void_p, ctypes.c_char_p


class Call(NamedTuple):
    """One call of SQLite's to the system; `file` is its path, empty if it has none."""

    kind: str
    file: str
    run: Callable[[int], int]
    """Do it; of a write only so many bytes. Returns SQLite's code."""
    data: bytes = b""
    """Of a write."""
    number: int = 0
    """Where a write begins; the new size; the flags of an opening, deletion, lock."""

    def go_on(self) -> int:
        return self.run(len(self.data))


class Disk(Protocol):
    """Decides what happens; called in SQLite's threads."""

    def handle(self, call: Call) -> int:
        """Do it or not; SQLite's code for what came of it."""
        ...

    def errno(self) -> int:
        """The system's number for the last error; 0 to ask the system."""
        ...


class _Function(NamedTuple):
    member: str
    kind: str
    arguments: tuple[Any, ...]
    number_at: int | None = None
    """Which argument is the call's number."""


_OF_VFS = (
    _Function("xOpen", "open", (_POINTER, _POINTER, _INT, _POINTER), 2),
    _Function("xDelete", "delete", (_POINTER, _INT), 1),
    _Function("xAccess", "access", (_POINTER, _INT, _POINTER)),
    _Function("xFullPathname", "path", (_POINTER, _INT, _POINTER)),
)
_OF_FILE = (
    _Function("xRead", "read", (_POINTER, _INT, _INT64)),
    _Function("xWrite", "write", (_POINTER, _INT, _INT64), 2),
    _Function("xTruncate", "truncate", (_INT64,), 0),
    _Function("xSync", "sync", (_INT,)),
    _Function("xFileSize", "size", (_POINTER,)),
    _Function("xLock", "lock", (_INT,)),
    _Function("xUnlock", "unlock", (_INT,)),
    _Function("xCheckReservedLock", "check_lock", (_POINTER,)),
    _Function("xShmMap", "index", (_INT, _INT, _INT, _POINTER)),
    _Function("xShmLock", "index_lock", (_INT, _INT, _INT), 2),
)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", _INT), ("szOsFile", _INT), ("mxPathname", _INT),
        ("pNext", _POINTER), ("zName", _TEXT), ("pAppData", _POINTER),
        ("xOpen", _POINTER), ("xDelete", _POINTER), ("xAccess", _POINTER),
        ("xFullPathname", _POINTER), ("xDlOpen", _POINTER), ("xDlError", _POINTER),
        ("xDlSym", _POINTER), ("xDlClose", _POINTER), ("xRandomness", _POINTER),
        ("xSleep", _POINTER), ("xCurrentTime", _POINTER), ("xGetLastError", _POINTER),
    )  # fmt: skip


class _Methods(ctypes.Structure):
    _fields_ = (
        ("iVersion", _INT), ("xClose", _POINTER), ("xRead", _POINTER),
        ("xWrite", _POINTER), ("xTruncate", _POINTER), ("xSync", _POINTER),
        ("xFileSize", _POINTER), ("xLock", _POINTER), ("xUnlock", _POINTER),
        ("xCheckReservedLock", _POINTER), ("xFileControl", _POINTER),
        ("xSectorSize", _POINTER), ("xDeviceCharacteristics", _POINTER),
        ("xShmMap", _POINTER), ("xShmLock", _POINTER), ("xShmBarrier", _POINTER),
        ("xShmUnmap", _POINTER), ("xFetch", _POINTER), ("xUnfetch", _POINTER),
    )  # fmt: skip


class _Seam:
    """The replaced functions of one VFS. Never freed: a file may be open with them."""

    def __init__(self) -> None:
        self.disk: Disk | None = None
        self._vfs = _default_vfs()
        self._paths: dict[int, str] = {}
        self._methods: dict[int, _Methods] = {}
        self._kept: list[object] = []
        self._lock = threading.Lock()
        before = _Vfs.from_buffer_copy(self._vfs)
        after = _Vfs.from_buffer_copy(self._vfs)
        for function in _OF_VFS:
            self._replace(after, function)
        self._replace_last_error(after)
        self._pointers = {
            name: (getattr(before, name), getattr(after, name))
            for name in (*(function.member for function in _OF_VFS), "xGetLastError")
        }

    def switch(self, disk: Disk | None) -> None:
        self.disk = disk
        for name, (before, after) in self._pointers.items():
            setattr(self._vfs, name, before if disk is None else after)

    def _replace(self, table: ctypes.Structure, function: _Function) -> None:
        prototype = ctypes.CFUNCTYPE(_INT, _POINTER, *function.arguments)
        original = prototype(getattr(table, function.member))

        def replacement(this: int, *arguments: Any) -> int:
            call = self._describe(function, original, this, arguments)
            return call.go_on() if self.disk is None else self.disk.handle(call)

        self._point(table, function.member, prototype(replacement))

    def _replace_last_error(self, table: _Vfs) -> None:
        prototype = ctypes.CFUNCTYPE(_INT, _POINTER, _INT, _POINTER)
        original = prototype(table.xGetLastError)

        def replacement(this: int, size: int, text: int) -> int:
            errno = 0 if self.disk is None else self.disk.errno()
            return errno or original(this, size, text)

        self._point(table, "xGetLastError", prototype(replacement))

    def _point(self, table: ctypes.Structure, name: str, function: Any) -> None:
        self._kept.append(function)
        setattr(table, name, ctypes.cast(function, _POINTER).value)

    def _describe(
        self, function: _Function, original: Any, this: int, arguments: tuple[Any, ...]
    ) -> Call:
        number = 0 if function.number_at is None else arguments[function.number_at]
        path = _text_at(arguments[0]) if function in _OF_VFS else self._paths[this]

        def run(size_bytes: int) -> int:
            if function.kind == "write":
                return int(original(this, arguments[0], size_bytes, arguments[2]))
            if function.kind == "open":
                return self._open(original, this, path, arguments)
            return int(original(this, *arguments))

        is_write = function.kind == "write"
        data = ctypes.string_at(arguments[0], arguments[1]) if is_write else b""
        return Call(function.kind, path, run, data, number)

    def _open(
        self, original: Any, this: int, path: str, arguments: tuple[Any, ...]
    ) -> int:
        file = arguments[1]
        code = int(original(this, *arguments))
        if code == OK:
            with self._lock:
                methods = _POINTER.from_address(file)
                methods.value = self._replaced(methods.value or 0)
                self._paths[file] = path
        return code

    def _replaced(self, address: int) -> int:
        """The table to use instead of the one at this address."""
        if address not in self._methods:
            table = _Methods.from_buffer_copy(_Methods.from_address(address))
            for function in _OF_FILE:
                if getattr(table, function.member):  # a journal has no index
                    self._replace(table, function)
            self._methods[address] = table
        return ctypes.addressof(self._methods[address])


def _default_vfs() -> _Vfs:
    address = ctypes.c_void_p()
    connection = apsw.Connection(":memory:")
    connection.file_control(
        "main", apsw.SQLITE_FCNTL_VFS_POINTER, ctypes.addressof(address)
    )
    connection.close()
    assert address.value is not None
    return _Vfs.from_address(address.value)


def _text_at(address: int | None) -> str:
    return "" if address is None else ctypes.string_at(address).decode()


_the_seam = cache(_Seam)


@contextmanager
def disk_beneath(disk: Disk) -> Generator[None]:
    """Let every file of SQLite's that is opened from now on lie on this disk."""
    seam = _the_seam()
    assert seam.disk is None, "one disk at a time"
    seam.switch(disk)
    try:
        yield
    finally:
        seam.switch(None)
