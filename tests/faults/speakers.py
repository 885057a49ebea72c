"""A process in which many answers are written at once, until it is killed.

And one that does nothing but notice when the machine gives it no time.
"""

import time
from collections.abc import Mapping
from multiprocessing.connection import Connection

import anyio

import tina
from tina.domain.ids import ConversationId

ANSWERS = 20


def speak(home: str, environment: Mapping[str, str], number: int) -> None:
    """Ask 20 questions at once and wait for ever; runs in a process of its own."""
    anyio.run(_speak, home, environment, number)


def title(number: int, place: int) -> str:
    return f"Tell tale {number} of {place}."


async def _speak(home: str, environment: Mapping[str, str], number: int) -> None:
    async with tina.open(home, environment=environment) as app:
        async with anyio.create_task_group() as group:
            for place in range(ANSWERS):
                group.start_soon(_ask, app, title(number, place))
        await anyio.sleep_forever()


async def _ask(app: tina.App, question: str) -> None:
    conversation = await app.conversations.create(question, model="openai:recorded")
    await app.send(ConversationId(conversation.id), question)


BEAT_S = 0.005
LATE_S = 0.01


def beat(out: Connection) -> None:
    """Wake every 5 ms, and tell (when, seconds too late) of each time it was late."""
    before_s = time.monotonic()
    while True:
        time.sleep(BEAT_S)
        now_s = time.monotonic()
        if now_s - before_s > BEAT_S + LATE_S:
            out.send((now_s, now_s - before_s - BEAT_S))
        before_s = now_s
