"""One turn: stream an answer and store how it ended, however it ended.

Theory. The answer exists as a row before a model is asked, and its end is written in
one transaction. Between the two it is in three places: in memory (for readers here), in
the journal (for everybody else, and for whoever settles it after a death), and in the
provider's hands. `run` leaves in one of four ways, and each settles the row:
the provider finished (complete), it failed (failed), a person stopped it (stopped), or
the process is leaving (interrupted). What was said is kept in all four.
"""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress

import anyio
import msgspec

from tina.assistant.answer import Answer, keepable
from tina.assistant.asking import Asking, Prepared
from tina.assistant.context import Fitted, guess_usage
from tina.assistant.hub import EventLog
from tina.assistant.journal import Journal
from tina.assistant.policy import may_fall_back
from tina.domain.events import Failed, FellBack, Finish, LeftOut, StreamEvent
from tina.domain.failures import (
    BusyFailure,
    DamagedFailure,
    Failure,
    InternalFailure,
    NotFoundFailure,
    StorageFailure,
    TruncatedFailure,
)
from tina.domain.ids import ConversationId, MessageId
from tina.domain.messages import Message
from tina.domain.ports import MessageRepository, TurnRepository
from tina.domain.text import clean_value

SETTLE_TIMEOUT_S = 12.0
"""Longer than two waits for a database that another process holds."""

PRICE_LIMIT_S = 5.0

_logger = logging.getLogger(__name__)


class Turn:
    """A running answer. Reading it, or not, changes nothing about it.

    Attributes:
        conversation_id: where it happens.
        prompt_id: the message it answers.
        message_id: the answer.
        model: `provider:model` that was asked.
    """

    def __init__(
        self,
        answer: Message,
        *,
        turns: TurnRepository,
        messages: MessageRepository,
        journal: Journal,
    ) -> None:
        self._answer = answer
        self._turns = turns
        self._messages = messages
        self._journal = journal
        self._said = Answer()
        self._log = EventLog()
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._failure_to_store: Failure | None = None
        self._fitted: Fitted | None = None

    @property
    def conversation_id(self) -> ConversationId:
        return self._answer.conversation_id

    @property
    def prompt_id(self) -> MessageId | None:
        return self._answer.parent_id

    @property
    def message_id(self) -> MessageId:
        return self._answer.id

    @property
    def model(self) -> str | None:
        return self._answer.model

    @property
    def answer(self) -> Message:
        """The answer as far as it is known here, stored or not."""
        if self._ended.is_set():
            return self._answer
        return msgspec.structs.replace(
            self._said.given(self._answer), parts=self._said.parts()
        )

    def events(self) -> AsyncGenerator[StreamEvent]:
        """Everything said from the beginning, then live; `Finish` or `Failed` is last.

        A stopped or interrupted turn ends without either. Any number of readers.
        """
        return self._log.read()

    async def growth(self) -> AsyncGenerator[Message]:
        """The answer now, and again as it grows; its end is last.

        Whoever is slow gets the newest; nothing queues.
        """
        async with aclosing(self._log.changes()) as changes:
            async for _ in changes:
                yield self.answer

    async def result(self) -> Message:
        """The answer as it was stored in the end, whatever its status.

        Raises:
            StorageFailure: its end could not be stored; `answer` still has it.
            NotFoundFailure: its conversation was purged meanwhile.
        """
        await self._ended.wait()
        if self._failure_to_store is not None:
            raise self._failure_to_store
        return self._answer

    async def ended(self) -> None:
        """Wait for the end, stored or not."""
        await self._ended.wait()

    async def fail(self, failure: Failure) -> None:
        """End a turn that could not even begin; called instead of `run`."""
        try:
            await self._settle(self._failed(failure))
        finally:
            self._tell_the_end()

    @property
    def is_unsettled(self) -> bool:
        """Whether its end could not be stored yet; it is kept here until it can."""
        failure = self._failure_to_store
        is_hopeless = isinstance(failure, DamagedFailure)
        return isinstance(failure, StorageFailure) and not is_hopeless

    @property
    def is_unpriced(self) -> bool:
        """Whether its cost is still to be found."""
        usage = self._answer.usage
        return usage is not None and usage.cost_micros is None

    async def settle_again(self) -> None:
        """Try once more to store an end that could not be."""
        self._failure_to_store = await self._store()

    async def stop(self) -> None:
        """End the answer now and keep what was said; returns when that is stored."""
        if not self._ended.is_set():
            self._scope.cancel()
            await self._ended.wait()

    async def run(
        self,
        asking: Asking,
        *,
        slots: anyio.CapacityLimiter,
        is_alone: Callable[[], bool],
    ) -> None:
        """Drive the turn to its end; called once, by whoever owns its task.

        A provider's failure is the turn's outcome: it is stored, not raised.

        Args:
            asking: whom, and what.
            slots: the model is asked when one is free; who waits longest is next.
            is_alone: whether no other turn runs here that finding a price would hold
                up; otherwise `enter_cost` is left to the caller.

        Raises:
            The runtime's cancellation, after what was said was stored.
        """
        ending: Message | None = None
        self._journal.begin(self._answer.id, self._said)
        try:
            with self._scope:
                async with slots:
                    ending = await self._ask(asking)
            if ending is None:
                ending = self._stopped()
            ending = await self._counted(asking, ending)
        finally:
            is_leaving = ending is None
            if ending is None:
                ending = self._guessed(self._interrupted())
            try:
                await self._settle(ending)
                if self.is_unpriced and (is_leaving or is_alone()):
                    await self.enter_cost(asking)
            finally:
                self._tell_the_end()

    async def _ask(self, asking: Asking) -> Message:
        """Ask one model after the other, until one says something."""
        failure: Failure | None = None
        for model in asking.models:
            if failure is not None:
                self._take([FellBack(model, failure.as_record())])
            try:
                return await self._stream(await asking.prepare(model))
            except Failure as error:
                failure = error
                if not may_fall_back(error, has_begun=self._said.has_begun):
                    break
            except Exception:
                # The supervisor's door: a fault of ours must not leave a turn running.
                _logger.exception("turn_broke", extra={"message_id": self._answer.id})
                failure = InternalFailure(
                    "Tina made a mistake while answering; what was said is kept."
                )
                break
        return self._failed(failure or InternalFailure("There was nobody to ask."))

    async def _stream(self, prepared: Prepared) -> Message:
        self._fitted = prepared.fitted
        if prepared.fitted.left_out:
            self._take([LeftOut(prepared.fitted.left_out)])
        async with prepared.provider.stream(prepared.request) as batches:
            async for events in batches:
                self._take(events)
        finish = self._said.finish
        if finish is None:
            raise TruncatedFailure("The answer ended before the model finished it.")
        return self._completed(finish)

    async def _counted(self, asking: Asking, ending: Message) -> Message:
        """The end with what it used, guessed if need be, and the cost if it is at hand.

        The first price of a process is not: the end does not wait for it.
        """
        ending = self._guessed(ending)
        usage = ending.usage
        if usage is None:
            return ending
        with anyio.move_on_after(PRICE_LIMIT_S), suppress(Failure):
            usage = await asking.priced(ending.model or "", usage, may_load=False)
        return msgspec.structs.replace(ending, usage=usage)

    def _guessed(self, ending: Message) -> Message:
        """The end with a guess of what it used, if it was not counted to the end."""
        is_counted = ending.usage is not None and self._said.finish is not None
        if is_counted or not self._said.has_begun:
            return ending
        # What was counted so far, at its beginning, says little of the answer.
        usage = guess_usage(self._fitted, ending.parts, counted=ending.usage)
        return msgspec.structs.replace(ending, usage=usage)

    async def enter_cost(self, asking: Asking) -> None:
        """Add what it cost to an end that is stored without it.

        Also when everybody is leaving: nobody else would.
        """
        answer, usage = self._answer, self._answer.usage
        if self._failure_to_store is not None or usage is None:
            return
        with (
            anyio.move_on_after(PRICE_LIMIT_S, shield=True),
            suppress(Failure),
        ):
            priced = await asking.priced(answer.model or "", usage, may_load=True)
            if priced.cost_micros is not None:
                await asking.enter_cost(answer.id, priced.cost_micros)
                self._answer = msgspec.structs.replace(answer, usage=priced)

    def _take(self, events: Sequence[StreamEvent]) -> None:
        kept = keepable(events)
        self._said.feed(kept)
        self._journal.add(self._answer.id, kept)
        self._log.append(kept)

    def _completed(self, finish: Finish) -> Message:
        return self._said.given(self._answer).completed(
            self._said.parts(),
            stop_reason=finish.reason,
            usage=self._said.usage,
            replay=finish.replay,
        )

    def _failed(self, failure: Failure) -> Message:
        record = clean_value(failure.as_record())
        self._log.append([Failed(record)])
        return self._said.given(self._answer).failed(
            self._said.parts(), failure=record, usage=self._said.usage
        )

    def _stopped(self) -> Message:
        answer = self._said.given(self._answer)
        return answer.stopped(self._said.parts(), self._said.usage)

    def _interrupted(self) -> Message:
        answer = self._said.given(self._answer)
        return answer.interrupted(self._said.parts(), self._said.usage)

    async def _settle(self, ending: Message) -> None:
        """Store the end; whatever happens, who waits for it is told.

        A cancelled process has this long to keep what was said, and no longer.
        """
        self._failure_to_store = BusyFailure(
            f"The answer's end could not be stored within {SETTLE_TIMEOUT_S:g} s. "
            "Tina tries again, at the latest when she is opened the next time."
        )
        self._answer = ending
        try:
            with anyio.move_on_after(SETTLE_TIMEOUT_S, shield=True):
                self._failure_to_store = await self._store()
        finally:
            self._journal.forget(ending.id)

    def _tell_the_end(self) -> None:
        self._log.end()
        self._ended.set()

    async def _store(self) -> Failure | None:
        """Store the end; why that could not be, if so."""
        try:
            return await self._settle_once()
        except Failure as failure:
            _logger.warning("turn_not_settled", extra={"kind": failure.kind})
            return failure
        except Exception:
            # The supervisor's door: one turn's fault must not end the others.
            _logger.exception("turn_not_settled", extra={"message_id": self._answer.id})
        return await self._store_what_was_said()

    async def _store_what_was_said(self) -> Failure | None:
        """After a fault of ours: the text alone, without what may be at fault."""
        failure = InternalFailure(
            "Tina made a mistake while storing the answer's end; what was said is kept."
        )
        self._answer = self._answer.failed(
            self._said.parts(), failure=failure.as_record(), usage=None
        )
        try:
            return await self._settle_once()
        except Failure as error:
            return error
        except Exception:
            # The supervisor's door, as above.
            _logger.exception("turn_not_settled", extra={"message_id": self._answer.id})
            return InternalFailure(
                "Tina made a mistake while storing the answer's end; she settles it "
                "when she is opened the next time."
            )

    async def _settle_once(self) -> Failure | None:
        """Store the end; if somebody else has ended it, what they stored counts."""
        if await self._turns.settle(self._answer):
            return None
        stored = await self._messages.get(self._answer.id)
        if stored is None:
            return NotFoundFailure(
                "This conversation was deleted for good while it was answered."
            )
        self._answer = stored
        return None
