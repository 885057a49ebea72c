"""What happens to Tina when her disk fills up; run by `test_full_disk.py`.

    python filling.py FOLDER real|counted

`real`: the folder is a disk of its own, as large as `DISK_BYTES`. `counted`: SQLite is
told "full" as soon as the files in the folder are larger than that.
Prints what was seen, as JSON.
"""

import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import anyio
import apsw

import tina
import tina.database.engine.reserve
from tina.assistant import Turn
from tina.domain.failures import DiskFullFailure, StorageFailure
from tina.domain.messages import MessageStatus
from tina.testing.provider import Pause, ScriptedProvider
from tina.wiring.system import SystemClock

T = TypeVar("T")

MIB = 1024 * 1024
DISK_BYTES = 64 * MIB
LONG_TEXT = "What was said before the disk was full. " * 1000
HUGE_TEXT = "x" * 6 * MIB
"""More than the log has room for, which is used again and again."""
WAIT_S = 10.0


class Gate(SystemClock):
    """A pause of the provider lasts until the test goes on."""

    def __init__(self) -> None:
        self.is_reached, self.may_go_on = anyio.Event(), anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.is_reached.set()
        await self.may_go_on.wait()


class Disk:
    """The folder, as large as `DISK_BYTES`, and a file that takes what is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def free_bytes(self, _: Path) -> int:
        return shutil.disk_usage(self.folder).free

    def fill(self) -> None:
        chunk = MIB
        with self._ballast.open("wb", buffering=0) as file:
            while chunk:
                try:
                    file.write(bytes(chunk))
                except OSError:
                    chunk //= 2

    def clear(self) -> None:
        self._ballast.unlink()


class CountedDisk(Disk):
    """Full by arithmetic: SQLite's writes go through a layer that adds up."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._taken_bytes = 0
        tina.database.engine.reserve.free_bytes = self.free_bytes
        self._vfs = CountingVfs(self)

    def free_bytes(self, _: Path) -> int:
        return max(0, DISK_BYTES - self._used_bytes() - self._taken_bytes)

    def _used_bytes(self) -> int:
        used = 0
        for child in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # a lease that was given up
                used += child.stat().st_size
        return used

    def fill(self) -> None:
        self._taken_bytes = self.free_bytes(self.folder)

    def clear(self) -> None:
        self._taken_bytes = 0


class CountingVfs(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.base = apsw.vfs_names()[0]
        super().__init__("counting", self.base, makedefault=True)

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        return CountingFile(self._disk, self.base, name, flags)


class CountingFile(apsw.VFSFile):
    def __init__(
        self,
        disk: Disk,
        base: str,
        name: str | apsw.URIFilename | None,
        flags: list[int],
    ) -> None:
        super().__init__(base, name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        grows_by = offset + len(data) - self.xFileSize()
        if grows_by > 0 and grows_by > self._disk.free_bytes(Path()):
            raise apsw.FullError("no room")
        super().xWrite(data, offset)


async def main(folder: Path, kind: str) -> None:
    disk = Disk(folder) if kind == "real" else CountedDisk(folder)
    seen: dict[str, object] = {}
    first, second = Gate(), Gate()
    providers = {
        "first": ScriptedProvider(LONG_TEXT, Pause(0), " The end.", clock=first),
        "second": ScriptedProvider(HUGE_TEXT, Pause(0), " The end.", clock=second),
        "quick": ScriptedProvider("At once."),
    }
    with anyio.fail_after(60):
        async with tina.open(
            folder / "home", environment={}, providers=providers
        ) as app:
            await fill_and_end(app, disk, first, seen)
            await clear_and_ask(app, disk, seen)
            await fill_whole_and_end(app, disk, second, seen)
            seen["problems"] = await app.check_database()
    print(json.dumps(seen))


async def fill_and_end(
    app: tina.App, disk: Disk, gate: Gate, seen: dict[str, object]
) -> None:
    """The disk is full while an answer runs: the reserve takes its end."""
    reserve = app.paths.database.with_name("tina.db-reserve")
    seen["reserve before"] = reserve.exists()
    turn = await ask(app, "first")
    await gate.is_reached.wait()
    disk.fill()
    gate.may_go_on.set()
    answer = await turn.result()
    seen["end"] = (answer.status.value, answer.text == LONG_TEXT + " The end.")
    seen["refused"] = await failure_of(lambda: ask(app, "quick"))
    seen["read meanwhile"] = [row.title for row in await app.conversations.list()]


async def clear_and_ask(app: tina.App, disk: Disk, seen: dict[str, object]) -> None:
    """With room again everything goes on by itself."""
    disk.clear()
    turn = await until(lambda: ask(app, "quick"))
    seen["after"] = (await turn.result()).text
    reserve = app.paths.database.with_name("tina.db-reserve")
    seen["reserve after"] = reserve.exists()


async def fill_whole_and_end(
    app: tina.App, disk: Disk, gate: Gate, seen: dict[str, object]
) -> None:
    """Not even a reserve: the end is told, kept, and stored when there is room."""
    turn = await ask(app, "second")
    await gate.is_reached.wait()
    app.paths.database.with_name("tina.db-reserve").unlink()
    disk.fill()
    gate.may_go_on.set()
    seen["told"] = await failure_of(turn.result)
    seen["kept"] = turn.answer.text == HUGE_TEXT + " The end."
    disk.clear()
    answer = await until(turn.result)
    stored = await app.conversations.messages(turn.conversation_id)
    seen["stored"] = (answer.status.value, stored[-1].text == answer.text)
    seen["still streaming"] = sum(
        message.status is MessageStatus.STREAMING for message in stored
    )


async def ask(app: tina.App, provider: str) -> Turn:
    conversation = await app.conversations.create(provider, model=f"{provider}:x")
    return await app.send(conversation.id, "Why?")


async def failure_of(call: Callable[[], Awaitable[object]]) -> str | None:
    try:
        await call()
    except StorageFailure as failure:
        return failure.kind
    return None


async def until(call: Callable[[], Awaitable[T]]) -> T:
    """Its value, as soon as the disk is not full any more."""
    clock = SystemClock()
    give_up_s = clock.monotonic() + WAIT_S
    while True:
        try:
            return await call()
        except DiskFullFailure:
            if clock.monotonic() > give_up_s:
                raise
            await clock.sleep(0.1)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2])
