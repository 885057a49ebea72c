"""The turns that this process runs.

They belong to the app's task group, never to whoever asked. A turn starts here because
somebody asked here, or because this process claimed one that was queued. Whoever wants
to stop one from another process writes that into its row; `_heed_stops` sees it.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Generic, NamedTuple, TypeVar

import anyio
from anyio.abc import TaskGroup

from tina.assistant.asking import Asking, Material, check_provider
from tina.assistant.journal import Journal
from tina.assistant.ports import Ports
from tina.assistant.purse import Purse
from tina.assistant.rules import Rules
from tina.assistant.turn import Turn
from tina.domain.failures import (
    ClosedFailure,
    DamagedFailure,
    Failure,
    InternalFailure,
    StorageFailure,
)
from tina.domain.ids import MessageId
from tina.domain.messages import Message, MessageStatus, Role
from tina.domain.queries import ListOpenTurns
from tina.domain.turns import NewTurn, OpenTurn, TurnRequest

MAX_RUNNING_TURNS = 1000
"""More wait in line: each is stored, and asks its model when another has ended."""
MAX_UNPRICED = 100
"""With so many answers whose cost is unknown, prices are loaded although others run."""
RETRY_DELAY_S = 1.0
READ_TRIES = 5

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class Running:
    """Begins turns, drives them to their end, and knows which are running here."""

    def __init__(
        self,
        ports: Ports,
        *,
        rules: Callable[[], Rules],
        journal: Journal,
        group: TaskGroup,
    ) -> None:
        self._ports = ports
        self._rules = rules
        self._journal = journal
        self._group = group
        self._turns: dict[MessageId, Turn] = {}
        self._slots = anyio.CapacityLimiter(MAX_RUNNING_TURNS)
        self._purse = Purse(ports)
        self._unpriced: list[tuple[Turn, Asking]] = []
        self._is_heeding = False
        self._to_stop: frozenset[MessageId] = frozenset()
        """Answers of any process that somebody wants to stop, as last seen."""

    def find(self, message_id: MessageId) -> Turn | None:
        """The turn that writes this answer, if it runs in this process."""
        return self._turns.get(message_id)

    async def stop(self, message_id: MessageId) -> bool:
        """Stop an answer and keep what was said; False if it does not run here."""
        turn = self._turns.get(message_id)
        if turn is None:
            return False
        await turn.stop()
        return True

    async def begin(self, new: NewTurn, material: Material) -> Turn:
        """Store a turn that this process has claimed, and drive it.

        Raises:
            NotFoundFailure, TipMovedFailure, StorageFailure: nothing was stored.
            ModelNotFoundFailure: there is no such provider; nothing was stored.
        """
        asked = new.request
        check_provider(self._ports.providers, asked.model, fallback=asked.fallback)

        async def store() -> Turn:
            await self._ports.turns.begin(new)
            return self._make(new.answer)

        return await self._in_own_task(
            store, lambda turn: self._drive(turn, material, new.request)
        )

    async def claim(self) -> Turn | None:
        """Take the next queued turn, if there is one, and drive it.

        A turn that cannot even begin (its provider is gone, its answer cannot be read)
        is settled as failed.
        """
        claimed = await self._in_own_task(self._claim, self._prepare_and_drive)
        return None if claimed is None else claimed.turn

    async def _in_own_task(
        self, begin: Callable[[], Awaitable[T]], go_on: Callable[[T], Awaitable[None]]
    ) -> T:
        """Begin and go on in a task that is not the caller's; returns what began.

        Who asks may be cancelled in any way. The beginning is shielded, for a stored
        turn that nobody runs would be nobody's; the database's own limit bounds it.
        """
        beginning = _Beginning[T]()

        async def run() -> None:
            with beginning, anyio.CancelScope(shield=True):
                beginning.begun.append(await begin())
            for begun in beginning.begun:
                await go_on(begun)

        self._group.start_soon(run)
        return await beginning.result()

    async def _claim(self) -> "_Claimed | None":
        claimed = await self._ports.turns.claim(await self._ports.leases.hold())
        if claimed is None:
            return None
        try:
            answer = await self._read_answer(claimed.answer_id)
        except StorageFailure as failure:
            now = self._ports.clock.now()
            return _Claimed(claimed, self._make(_stand_in(claimed, now)), failure)
        if answer is None:  # purged in the same moment
            return None
        return _Claimed(claimed, self._make(answer), None)

    async def _read_answer(self, message_id: MessageId) -> Message | None:
        """Try for a while: the answer is claimed, so nobody else would run it."""
        for _ in range(READ_TRIES - 1):
            try:
                return await self._ports.messages.get(message_id)
            except DamagedFailure:
                raise
            except StorageFailure as failure:
                _logger.warning("answer_not_read", extra={"kind": failure.kind})
            await self._ports.clock.sleep(RETRY_DELAY_S)
        return await self._ports.messages.get(message_id)

    async def _prepare_and_drive(self, claimed: "_Claimed | None") -> None:
        if claimed is None:
            return
        open_turn, turn, failure = claimed
        if failure is not None:
            await self._fail(turn, failure)
            return
        try:
            material = await self._material_for(open_turn, turn.answer)
        except Failure as error:
            await self._fail(turn, error)
        except Exception:
            # The supervisor's door: a fault of ours must not leave a turn running.
            _logger.exception("turn_not_prepared")
            await self._fail(
                turn, InternalFailure("Tina made a mistake before asking.")
            )
        else:
            await self._drive(turn, material, open_turn.request)

    async def _fail(self, turn: Turn, failure: Failure) -> None:
        await turn.fail(failure)
        await self._settle_again(turn)

    async def _material_for(self, claimed: OpenTurn, answer: Message) -> Material:
        conversation = await self._ports.conversations.get(claimed.conversation_id)
        history: tuple[Message, ...] = ()
        if answer.parent_id is not None:
            history = await self._ports.messages.list_branch(answer.parent_id)
        return Material(
            conversation_id=claimed.conversation_id,
            system=None if conversation is None else conversation.system,
            history=history,
        )

    def _make(self, answer: Message) -> Turn:
        return Turn(
            answer,
            turns=self._ports.turns,
            messages=self._ports.messages,
            journal=self._journal,
        )

    async def _drive(
        self, turn: Turn, material: Material, request: TurnRequest
    ) -> None:
        asking = Asking(
            self._ports,
            self._rules(),
            self._purse,
            material=material,
            request=request,
        )
        self._turns[turn.message_id] = turn
        if not self._is_heeding:
            self._is_heeding = True
            self._group.start_soon(self._heed_stops)
        if turn.message_id in self._to_stop:  # somebody was faster than we are
            self._group.start_soon(turn.stop)
        try:
            await turn.run(
                asking, slots=self._slots, is_alone=lambda: len(self._turns) == 1
            )
            await self._settle_again(turn)
            if turn.is_unpriced:
                self._unpriced.append((turn, asking))
            else:
                asking.close()
        finally:
            del self._turns[turn.message_id]
        if not self._turns or len(self._unpriced) >= MAX_UNPRICED:
            await self._price_the_rest()

    async def _price_the_rest(self) -> None:
        """Find the costs that were left until nobody streams, or there are many."""
        while self._unpriced:
            turn, asking = self._unpriced.pop()
            try:
                await turn.enter_cost(asking)
            finally:
                asking.close()

    async def _settle_again(self, turn: Turn) -> None:
        """While this process lives nobody else may settle its turns."""
        while turn.is_unsettled:
            await self._ports.clock.sleep(RETRY_DELAY_S)
            await turn.settle_again()

    async def _heed_stops(self) -> None:
        """Stop the turns here that somebody in another process wants to stop."""
        while True:
            try:
                await self._watch_for_stops()
            except StorageFailure as failure:
                _logger.warning("stops_not_seen", extra={"kind": failure.kind})
            await self._ports.clock.sleep(RETRY_DELAY_S)

    async def _watch_for_stops(self) -> None:
        async with aclosing(self._ports.live.watch(ListOpenTurns())) as watched:
            async for open_turns in watched:
                self._to_stop = frozenset(
                    turn.answer_id for turn in open_turns if turn.is_stop_requested
                )
                for message_id in self._to_stop & self._turns.keys():
                    self._group.start_soon(self._turns[message_id].stop)


class _Claimed(NamedTuple):
    """A turn that this process has to end; with a failure it cannot even begin."""

    open_turn: OpenTurn
    turn: Turn
    failure: Failure | None


def _stand_in(claimed: OpenTurn, now: datetime) -> Message:
    """An answer that cannot be read, as far as its end needs it."""
    return Message(
        id=claimed.answer_id,
        conversation_id=claimed.conversation_id,
        parent_id=None,
        role=Role.ASSISTANT,
        status=MessageStatus.STREAMING,
        parts=(),
        created_at=now,
        model=claimed.request.model,
    )


class _Beginning(Generic[T]):
    """Carries what began, or why nothing did, from its task to whoever waits for it."""

    def __init__(self) -> None:
        self.begun: list[T] = []
        self._is_over = anyio.Event()
        self._failure: Exception | None = None

    async def result(self) -> T:
        await self._is_over.wait()
        if self._failure is not None:
            raise self._failure
        return self.begun[0]

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self._failure = error
        elif error is not None:
            self._failure = ClosedFailure("Tina was closed before this could be asked.")
        self._is_over.set()
        return isinstance(error, Exception)
