"""Print the newest conversations now, and again whenever any process changes them.

    python examples/watch_a_list.py          # Ctrl-C ends it

Ask something in another terminal (`tina "What is a fjord?"`) and see it appear.
"""

import asyncio
import sys
from contextlib import aclosing, suppress

import tina


async def main(changes: int | None) -> None:
    """Print the list `changes` times; None: for ever."""
    async with tina.open() as app:
        # At most four lists a second, however much happens; the newest is always shown.
        watched = app.conversations.watch(limit=10, min_interval_s=0.25)
        async with aclosing(watched) as lists:
            shown = 0
            async for conversations in lists:
                print(f"-- {len(conversations)} conversation(s)")
                for conversation in conversations:
                    print(f"{conversation.id[:16]}  {conversation.title}")
                    print(f"    {conversation.preview}", flush=True)
                shown += 1
                if shown == changes:
                    return


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else None))
