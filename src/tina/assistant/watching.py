"""Watching one message while it grows, whoever writes it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from tina.assistant.answer import Answer
from tina.assistant.ports import Ports
from tina.assistant.recovery import Keeper
from tina.assistant.running import Running
from tina.domain.failures import NotFoundFailure
from tina.domain.ids import MessageId
from tina.domain.messages import Message, MessageStatus


class Watching:
    """Shows answers as they grow.

    In the process that writes one it is watched in memory, elsewhere in the journal.
    Should the process that writes it die, whoever watches settles it.
    """

    def __init__(self, ports: Ports, *, running: Running, keeper: Keeper) -> None:
        self._ports = ports
        self._running = running
        self._keeper = keeper

    async def watch_message(
        self, message_id: MessageId, *, min_interval_s: float = 0.0
    ) -> AsyncGenerator[Message]:
        """The message now, and again as it grows; how it ended is last.

        Whoever is slow gets the newest; nothing queues.

        Args:
            min_interval_s: the least time between two looks, to gather bursts.

        Raises:
            NotFoundFailure: there is no such message.
            StorageFailure: it could not be read.
        """
        turn = self._running.find(message_id)
        growth = self._growth(message_id) if turn is None else turn.growth()
        async with aclosing(growth) as messages:
            async for message in messages:
                yield message
                if min_interval_s and message.status is MessageStatus.STREAMING:
                    await self._ports.clock.sleep(min_interval_s)

    async def _growth(self, message_id: MessageId) -> AsyncGenerator[Message]:
        message = await self._get(message_id)
        if message.status is MessageStatus.STREAMING:
            async with aclosing(self._folded(message)) as grown:
                async for message_so_far in grown:
                    yield message_so_far
            message = await self._get(message_id)
        yield message

    async def _folded(self, message: Message) -> AsyncGenerator[Message]:
        said = Answer()
        with self._keeper.keeping():
            async with aclosing(self._ports.live.follow(message.id)) as pieces:
                async for piece in pieces:
                    if piece.is_fold:
                        said = Answer()
                    said.feed(piece.events)
                    yield msgspec.structs.replace(message, parts=said.parts())

    async def _get(self, message_id: MessageId) -> Message:
        message = await self._ports.messages.get(message_id)
        if message is None:
            raise NotFoundFailure(f"There is no message {message_id}.")
        return self._keeper.as_left((message,))[0]
