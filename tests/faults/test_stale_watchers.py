"""No watcher is left with old data, whoever wrote and however fast.

Two foreign processes and this one write as fast as they can while 50 watchers look on.
The slow look that would cure a bell that was not heard is switched off.
"""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from tina.database import Database
from tina.domain.conversations import ConversationChange, NewConversation
from tina.domain.ids import ConversationId
from tina.domain.queries import ReadConversation
from tina.wiring.system import SystemClock, SystemIds

pytestmark = pytest.mark.anyio

WATCHERS = 50
SECONDS = 4.0
GIVE_UP_S = 60.0
SETTLE_S = 5.0
"""How long a change may take to be seen on the busiest machine."""

WRITER = Path(__file__).with_name("foreign_writer.py")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(
        tmp_path / "tina.db",
        leases=tmp_path,
        clock=SystemClock(),
        ids=SystemIds(),
        look_interval_s=None,
    )
    await database.open()
    yield database
    await database.close()


class Watchers:
    def __init__(self, database: Database) -> None:
        self._database = database
        self.last_seen: dict[ConversationId, str] = {}
        self.answers = 0

    async def watch(self, conversation_id: ConversationId) -> None:
        query = ReadConversation(conversation_id=conversation_id)
        async with aclosing(self._database.live.watch(query)) as views:
            async for view in views:
                assert view is not None
                self.last_seen[conversation_id] = view.conversation.title
                self.answers += 1

    async def stale(self) -> dict[ConversationId, tuple[str, str]]:
        """Those who have not seen the newest title: what they saw, what it is."""
        found: dict[ConversationId, tuple[str, str]] = {}
        for conversation_id, seen in self.last_seen.items():
            stored = await self._database.conversations.get(conversation_id)
            assert stored is not None
            if stored.title != seen:
                found[conversation_id] = seen, stored.title
        return found


async def write_here(
    database: Database, ids: list[ConversationId], foreign: list[subprocess.Popen[str]]
) -> int:
    """Rename as the others do, for as long as they do."""
    number = 0
    while any(process.poll() is None for process in foreign):
        for conversation_id in ids:
            number += 1
            await database.conversations.change(
                conversation_id, ConversationChange(title=f"here {number}")
            )
    return number


@pytest.mark.requirement("live:processes:nobody-stale")
async def test_every_watcher_sees_what_was_written_last(database: Database) -> None:
    ids = [
        (await database.conversations.create(NewConversation())).id
        for _ in range(WATCHERS)
    ]
    watchers = Watchers(database)
    written: list[int] = []
    stale: dict[ConversationId, tuple[str, str]] = {}
    command = [sys.executable, str(WRITER), str(database.path)]

    with anyio.fail_after(GIVE_UP_S):
        async with anyio.create_task_group() as group:
            for conversation_id in ids:
                group.start_soon(watchers.watch, conversation_id)
            foreign = [
                subprocess.Popen(
                    [*command, name, str(SECONDS), *ids],
                    stdout=subprocess.PIPE,
                    text=True,
                )
                for name in ("one", "two")
            ]
            written.append(await write_here(database, ids, foreign))
            written += [int(process.communicate()[0]) for process in foreign]
            with anyio.move_on_after(SETTLE_S):
                while await watchers.stale():
                    await anyio.wait_all_tasks_blocked()
            stale = await watchers.stale()
            group.cancel_scope.cancel()

    print(f"writes {written}, answers {watchers.answers}")
    assert min(written) > 0
    assert len(watchers.last_seen) == WATCHERS
    assert stale == {}
