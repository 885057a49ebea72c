"""Another process that renames conversations, as fast as it is let."""

import sys
import time
from pathlib import Path

import anyio

from tina.database import Database
from tina.domain.conversations import ConversationChange
from tina.domain.ids import ConversationId
from tina.wiring.system import SystemClock, SystemIds


async def main(path: Path, name: str, seconds: float, ids: list[str]) -> None:
    """Rename each of the conversations in turn; say how often."""
    clock = SystemClock()
    database = Database(path, leases=path.parent, clock=clock, ids=SystemIds())
    await database.open()
    end_s, number = time.monotonic() + seconds, 0
    while time.monotonic() < end_s:
        for conversation_id in ids:
            number += 1
            await database.conversations.change(
                ConversationId(conversation_id),
                ConversationChange(title=f"{name} {number}"),
            )
    await database.close()
    print(number)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4:])
