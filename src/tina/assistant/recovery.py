"""Settles what dead processes left behind."""

import logging
from collections.abc import Generator
from contextlib import contextmanager, suppress

import anyio
from msgspec.structs import replace

from tina.assistant.answer import Answer
from tina.assistant.context import fit, guess_usage, history_for
from tina.assistant.ports import Ports
from tina.domain.chat import parse_model_ref
from tina.domain.failures import (
    BusyFailure,
    DiskFullFailure,
    Failure,
    StorageFailure,
    TooLargeFailure,
)
from tina.domain.ids import MessageId
from tina.domain.messages import Message
from tina.domain.turns import OpenTurn

LOOK_INTERVAL_S = 1.0
PRICE_LIMIT_S = 5.0

_logger = logging.getLogger(__name__)


class Keeper:
    """Finds turns whose process died, and settles them as *interrupted*.

    Several processes may do this at once: settling a message happens once, whoever
    comes second changes nothing. An answer that cannot be settled now (the disk is
    full, another process holds the file) is shown as it will be (`as_left`) and tried
    again. A turn that is queued waits for whoever claims it; nobody died.

    A death is no event that anybody hears, so `run` asks once a second, while somebody
    watches an answer of another process, or a look left something: what could not be
    settled then, or all that was not found before it was cut.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._left: dict[MessageId, Message] = {}
        self._is_cut = False
        self._watchers = 0
        self._wanted = anyio.Event()

    async def recover(self) -> tuple[MessageId, ...]:
        """Fold the journal of each dead turn into its answer.

        May be cancelled: what is not settled then is left to the next look.

        Returns:
            The answers that this call settled.

        Raises:
            StorageFailure: it cannot be read who runs what.
        """
        self._is_cut = False
        try:
            await self._find_the_dead()
        except anyio.get_cancelled_exc_class():
            self._is_cut = True
            self._wanted.set()
            raise
        settled: list[MessageId] = []
        for message_id, message in list(self._left.items()):
            try:
                is_ours = await self._ports.turns.settle(message)
            except StorageFailure as failure:
                _logger.warning("answer_not_recovered", extra={"kind": failure.kind})
                if isinstance(failure, BusyFailure | DiskFullFailure):
                    break  # the others would wait as long for the same
                continue
            self._left.pop(message_id, None)
            if is_ours:
                settled.append(message_id)
        return tuple(settled)

    def as_left(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Messages with those that are still to be settled as they will be."""
        if not self._left:
            return messages
        return tuple(self._left.get(message.id, message) for message in messages)

    @contextmanager
    def keeping(self) -> Generator[None]:
        """Look while the context is open; any number may be."""
        self._watchers += 1
        self._wanted.set()
        try:
            yield
        finally:
            self._watchers -= 1

    async def run(self) -> None:
        """Look while it is wanted, for ever; ends by cancellation."""
        while True:
            if not self._left:
                await self._wanted.wait()
            self._wanted = anyio.Event()
            while self._watchers or self._left or self._is_cut:
                await self._ports.clock.sleep(LOOK_INTERVAL_S)
                try:
                    await self.recover()
                except StorageFailure as failure:
                    _logger.warning("dead_not_found", extra={"kind": failure.kind})

    async def _find_the_dead(self) -> None:
        before, found = self._left, dict[MessageId, Message]()
        for turn in await self._ports.turns.list_open():
            try:
                if await self._is_dead(turn):
                    # The dead say no more: what was found once is the whole.
                    message = before.get(turn.answer_id) or await self._fold(turn)
                    if message is not None:
                        found[turn.answer_id] = message
            except StorageFailure as failure:
                # Until it can be settled the rest can be read.
                _logger.warning("answer_not_recovered", extra={"kind": failure.kind})
        self._left = found

    async def _is_dead(self, turn: OpenTurn) -> bool:
        lease_id = turn.lease_id
        return lease_id is not None and not await self._ports.leases.is_held(lease_id)

    async def _fold(self, turn: OpenTurn) -> Message | None:
        message = await self._ports.messages.get(turn.answer_id)
        if message is None:
            return None
        answer = Answer()
        try:
            answer.feed(await self._ports.journal.read(turn.answer_id))
        except TooLargeFailure:
            # What came before the limit is kept, as while it streamed.
            _logger.warning("answer_too_long")
        ending = answer.given(message).interrupted(answer.parts(), answer.usage)
        return await self._paid(ending) if answer.has_begun else ending

    async def _paid(self, ending: Message) -> Message:
        """The end with what it used and cost, as far as that can be guessed."""
        branch: tuple[Message, ...] = ()
        with suppress(StorageFailure):  # what was said is settled in any case
            if ending.parent_id is not None:
                branch = await self._ports.messages.list_branch(ending.parent_id)
        sent = history_for(branch)[ending.notes.left_out_messages :]
        asked = fit(sent, system=None, budget=None)
        usage = guess_usage(asked, ending.parts, counted=ending.usage)
        with anyio.move_on_after(PRICE_LIMIT_S), suppress(Failure):
            cost = await self._ports.facts.cost_micros(
                parse_model_ref(ending.model or ""), usage, may_load=True
            )
            usage = replace(usage, cost_micros=cost)
        return replace(ending, usage=usage)
