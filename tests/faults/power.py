"""A disk that remembers, so that the power can be cut at any moment afterwards.

Theory. What SQLite does to its files is recorded as events, in order. A cut happens
between two of them. What was synced before it is there; of what was not, anything may
be: each write there, missing or torn (sectors of 512 bytes, each by itself), each new
size there or not. The names of the folder change in order, and the change is sure once
the folder was synced, which SQLite does with the first sync of a new log or journal.
The log's index lies in memory, so it is gone.

Sources: SQLite, "Atomic Commit In SQLite", sections 2 and 3.6; os_unix.c, unixSync.
"""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.faults.vfs import OK, Call

SECTOR_BYTES = 512


class Made(NamedTuple):
    """A name came into the folder; `inode` counts files from 0."""

    name: str
    inode: int


class Removed(NamedTuple):
    name: str


class Written(NamedTuple):
    inode: int
    offset: int
    data: bytes


class Resized(NamedTuple):
    inode: int
    size_bytes: int


class Synced(NamedTuple):
    """What happened to the file before event `before` is on the disk."""

    inode: int
    before: int


class FolderSynced(NamedTuple):
    before: int


Event: TypeAlias = Made | Removed | Written | Resized | Synced | FolderSynced
Files: TypeAlias = Mapping[str, bytes]
"""What lies in a folder, by name."""


class RecordedDisk:
    """Does everything and writes it down.

    Args:
        files: what lies on the disk at the beginning, whole and synced.
    """

    def __init__(self, files: Files) -> None:
        self.events: list[Event] = []
        self._first = dict(files)
        self._inodes = {name: inode for inode, name in enumerate(files)}
        self._count = len(files)
        self._unnamed: set[int] = set()
        """Files whose first sync is still to come."""
        self._lock = threading.Lock()

    def handle(self, call: Call) -> int:
        begun = len(self.events)
        # The database itself is made beside SQLite, so whether it exists says nothing.
        is_new = call.kind == "open" and Path(call.file).name not in self._inodes
        code = call.go_on()
        if code == OK and call.file:
            with self._lock:
                self.events += tuple(self._happened(call, begun, is_new=is_new))
        return code

    def errno(self) -> int:
        return 0

    def cut(self, at: int, draw: random.Random) -> dict[str, bytes]:
        """What may be in the folder when the power is cut before event `at`."""
        events = self.events[:at]
        luck = draw.choice([0.0, 0.0, 0.5, 0.9, 1.0])
        images = [
            self._image(inode, events, luck, draw) for inode in range(self._count)
        ]
        return {name: images[inode] for name, inode in self._names(events, draw)}

    def _happened(self, call: Call, begun: int, *, is_new: bool) -> Iterator[Event]:
        name = Path(call.file).name
        match call.kind:
            case "open" if is_new:
                self._inodes[name] = self._count
                self._unnamed.add(self._count)
                yield Made(name, self._count)
                self._count += 1
            case "delete":
                del self._inodes[name]
                yield Removed(name)
                if call.number:
                    yield FolderSynced(len(self.events) + 1)
            case "write":
                yield Written(self._inodes[name], call.number, call.data)
            case "truncate":
                yield Resized(self._inodes[name], call.number)
            case "sync":
                yield from self._synced(name, begun)
            case _:
                return

    def _synced(self, name: str, begun: int) -> Iterator[Event]:
        inode = self._inodes[name]
        yield Synced(inode, begun)
        if inode in self._unnamed:
            self._unnamed.discard(inode)
            if name.endswith(("-wal", "-journal")):
                yield FolderSynced(begun)

    def _names(
        self, events: Sequence[Event], draw: random.Random
    ) -> Iterator[tuple[str, int]]:
        sure = max((e.before for e in events if isinstance(e, FolderSynced)), default=0)
        changes = [
            (at, event)
            for at, event in enumerate(events)
            if isinstance(event, Made | Removed)
        ]
        fewest = sum(at < sure for at, _ in changes)
        names = {name: inode for inode, name in enumerate(self._first)}
        for _, change in changes[: draw.randint(fewest, len(changes))]:
            if isinstance(change, Made):
                names[change.name] = change.inode
            else:
                del names[change.name]
        yield from names.items()

    def _image(
        self, inode: int, events: Sequence[Event], luck: float, draw: random.Random
    ) -> bytes:
        sure = max(
            (e.before for e in events if isinstance(e, Synced) and e.inode == inode),
            default=0,
        )
        image = bytearray()
        if inode < len(self._first):
            image += list(self._first.values())[inode]
        for at, event in enumerate(events):
            match event:
                case Written(of, offset, data) if of == inode:
                    pieces = (
                        [(offset, data)]
                        if at < sure
                        else _survivors(offset, data, luck, draw)
                    )
                    for place, piece in pieces:
                        _write(image, place, piece)
                case Resized(of, size_bytes) if of == inode:
                    if at < sure or draw.random() < luck:
                        _resize(image, size_bytes)
                case _:
                    continue
        return bytes(image)


def _survivors(
    offset: int, data: bytes, luck: float, draw: random.Random
) -> list[tuple[int, bytes]]:
    """What of an unsynced write reached the disk: all, nothing, or some sectors."""
    if draw.random() < luck:
        return [(offset, data)]
    if draw.random() < 0.5:
        return []
    return [
        (place, piece) for place, piece in _sectors(offset, data) if draw.random() < 0.5
    ]


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    place = offset
    while place < offset + len(data):
        end = (place // SECTOR_BYTES + 1) * SECTOR_BYTES
        yield place, data[place - offset : end - offset]
        place = end


def _write(image: bytearray, offset: int, data: bytes) -> None:
    if len(image) < offset:
        _resize(image, offset)
    image[offset : offset + len(data)] = data


def _resize(image: bytearray, size_bytes: int) -> None:
    del image[size_bytes:]
    image.extend(bytes(size_bytes - len(image)))
