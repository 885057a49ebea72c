"""A disk on which the n-th call of a kind fails, once or until it is healed."""

import errno
import threading
from collections import Counter
from typing import NamedTuple

import apsw

from tests.faults.vfs import OK, Call

_UNLOCK = 1
"""SQLITE_SHM_UNLOCK: the flag of a call that gives a lock of the index back."""


class Fault(NamedTuple):
    """How calls of one kind fail: SQLite's code, and the system's own number."""

    kind: str
    code: int
    errno: int
    is_short: bool = False
    """Of a write, half is done before it fails."""


FAULTS = {
    "write-full": Fault("write", apsw.SQLITE_FULL, errno.ENOSPC),
    "write-full-half": Fault("write", apsw.SQLITE_FULL, errno.ENOSPC, is_short=True),
    "write-quota": Fault("write", apsw.SQLITE_IOERR_WRITE, errno.EDQUOT),
    "write-broken": Fault("write", apsw.SQLITE_IOERR_WRITE, errno.EIO),
    "write-broken-half": Fault(
        "write", apsw.SQLITE_IOERR_WRITE, errno.EIO, is_short=True
    ),
    "sync-broken": Fault("sync", apsw.SQLITE_IOERR_FSYNC, errno.EIO),
    "sync-full": Fault("sync", apsw.SQLITE_IOERR_FSYNC, errno.ENOSPC),
    "truncate-broken": Fault("truncate", apsw.SQLITE_IOERR_TRUNCATE, errno.EIO),
    "open-refused": Fault("open", apsw.SQLITE_CANTOPEN, errno.EACCES),
    "open-full": Fault("open", apsw.SQLITE_CANTOPEN, errno.ENOSPC),
    "open-read-only": Fault("open", apsw.SQLITE_READONLY_DIRECTORY, errno.EACCES),
    "delete-refused": Fault("delete", apsw.SQLITE_IOERR_DELETE, errno.EACCES),
    "delete-broken": Fault("delete", apsw.SQLITE_IOERR_DELETE, errno.EIO),
    "access-broken": Fault("access", apsw.SQLITE_IOERR_ACCESS, errno.EIO),
    "path-refused": Fault("path", apsw.SQLITE_CANTOPEN_FULLPATH, errno.EACCES),
    "read-broken": Fault("read", apsw.SQLITE_IOERR_READ, errno.EIO),
    "size-broken": Fault("size", apsw.SQLITE_IOERR_FSTAT, errno.EIO),
    "lock-broken": Fault("lock", apsw.SQLITE_IOERR_LOCK, errno.EIO),
    "unlock-broken": Fault("unlock", apsw.SQLITE_IOERR_UNLOCK, errno.EIO),
    "index-full": Fault("index", apsw.SQLITE_IOERR_SHMSIZE, errno.ENOSPC),
    "index-broken": Fault("index", apsw.SQLITE_IOERR_SHMMAP, errno.EIO),
    "index-lock-broken": Fault("index_lock", apsw.SQLITE_IOERR_SHMLOCK, errno.EIO),
}
"""What the system can answer, and what SQLite makes of it (os_unix.c)."""


class FaultyDisk:
    """Counts every call; from the `at`-th of the fault's kind on, that call fails.

    Attributes:
        counts: calls so far, by kind.
        struck: how many failed.
    """

    def __init__(
        self, fault: Fault | None = None, *, at: int = 0, is_lasting: bool = False
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.struck = 0
        self._fault = fault
        self._at = at
        self._is_lasting = is_lasting
        self._errno = 0
        self._lock = threading.Lock()

    def heal(self) -> None:
        with self._lock:
            self._fault = None
            self._errno = 0

    def handle(self, call: Call) -> int:
        with self._lock:
            self.counts[call.kind] += 1
            fault = self._fault if self._is_struck(call) else None
            if fault is not None:
                self.struck += 1
                self._errno = fault.errno  # as the system's, it stays
        return call.go_on() if fault is None else _fail(call, fault)

    def errno(self) -> int:
        return self._errno

    def _is_struck(self, call: Call) -> bool:
        if self._fault is None or self._fault.kind != call.kind:
            return False
        number = self.counts[call.kind]
        return number >= self._at if self._is_lasting else number == self._at


def _fail(call: Call, fault: Fault) -> int:
    if fault.is_short:
        half = call.run(len(call.data) // 2)
        assert half == OK
    is_unlock = call.kind == "index_lock" and call.number & _UNLOCK
    if call.kind == "unlock" or is_unlock:
        # The system gives every lock back, whatever it says: nobody waits for ever.
        call.go_on()
    return fault.code
