"""An answer that arrives in pieces, through its framing, into a decoder."""

from collections.abc import Sequence

from tina.domain.chat import Deadlines
from tina.domain.events import KeepAlive, StreamEvent
from tina.domain.failures import (
    ProtocolFailure,
    ProviderFailure,
    TimeoutFailure,
    TruncatedFailure,
)
from tina.domain.ports import Clock
from tina.networking.failures import timeout_failure
from tina.networking.http import HttpResponse
from tina.networking.ndjson import NdjsonDecoder
from tina.networking.sse import ServerSentEvent, SseDecoder
from tina.providers.batches import decode_batch
from tina.providers.dialect import AnswerDecoder, Framing
from tina.providers.lenient import read_json


class StreamReader:
    """The bytes of a stream, through its framing, into a decoder. Pure."""

    def feed(self, chunk: bytes) -> tuple[list[StreamEvent], ProviderFailure | None]:
        """What the chunk says, and the failure that ends the stream, if it does."""
        raise NotImplementedError

    def end(self) -> tuple[list[StreamEvent], ProviderFailure | None]:
        """What stands behind the last line end: some servers omit it."""
        raise NotImplementedError


class _SseReader(StreamReader):
    def __init__(self, decoder: AnswerDecoder) -> None:
        self._sse = SseDecoder()
        self._decoder = decoder

    def _decode(self, event: ServerSentEvent) -> list[StreamEvent]:
        return self._decoder.feed(event.data, event=event.event)

    def feed(self, chunk: bytes) -> tuple[list[StreamEvent], ProviderFailure | None]:
        try:
            arrived = self._sse.feed(chunk)
        except ProviderFailure as failure:
            return [], failure
        return decode_batch(self._decode, arrived)

    def end(self) -> tuple[list[StreamEvent], ProviderFailure | None]:
        try:
            data = self._sse.pending
        except ProviderFailure as failure:
            return [], failure
        if data is None or read_json(data.encode("utf-8", "replace")) is None:
            return [], None
        return decode_batch(self._decoder.feed, [data])


class _NdjsonReader(StreamReader):
    def __init__(self, decoder: AnswerDecoder) -> None:
        self._lines = NdjsonDecoder()
        self._decoder = decoder

    def feed(self, chunk: bytes) -> tuple[list[StreamEvent], ProviderFailure | None]:
        try:
            arrived = self._lines.feed(chunk)
        except ProviderFailure as failure:
            return [], failure
        return decode_batch(self._decoder.feed, arrived)

    def end(self) -> tuple[list[StreamEvent], ProviderFailure | None]:
        line = self._lines.pending
        if line is None or read_json(line) is None:
            return [], None
        return decode_batch(self._decoder.feed, [line])


def make_reader(framing: Framing, decoder: AnswerDecoder) -> StreamReader:
    """A reader of one stream."""
    if framing is Framing.SSE:
        return _SseReader(decoder)
    return _NdjsonReader(decoder)


class Pulse:
    """The deadline of a server that only says that it lives."""

    def __init__(self, name: str, clock: Clock, deadlines: Deadlines) -> None:
        self._name = name
        self._clock = clock
        self._limit_s = deadlines.heartbeat_timeout_s
        self._said_at = clock.monotonic()

    def check(self, events: Sequence[StreamEvent]) -> None:
        """Note what came.

        Raises:
            TimeoutFailure: nothing but heartbeats came for too long.
        """
        now = self._clock.monotonic()
        for event in events:
            if not isinstance(event, KeepAlive):
                self._said_at = now
                return
        if now - self._said_at > self._limit_s:
            raise timeout_failure(
                f"{self._name} lives, but said nothing",
                "heartbeat_timeout_s",
                self._limit_s,
            )


class Stream:
    """An answer that is read batch by batch.

    Args:
        is_guess: whether nobody said that it is one: then what makes no sense is not
            an answer that was cut, but none.
    """

    def __init__(
        self,
        name: str,
        response: HttpResponse,
        reader: StreamReader,
        decoder: AnswerDecoder,
        pulse: Pulse,
        *,
        is_guess: bool = False,
    ) -> None:
        self._name = name
        self._is_guess = is_guess
        self._has_said = False
        self._response = response
        self._reader = reader
        self._decoder = decoder
        self._pulse = pulse
        self._has_begun = False
        self._is_read = False
        self._is_told = False
        """Whether all that came has been told."""
        self._is_over = False
        self._failure: ProviderFailure | None = None
        """What ends it, once all that came before has been told."""

    async def next(self) -> Sequence[StreamEvent] | None:
        """The next batch; None after the last.

        Raises:
            ProviderFailure: there is none, and the answer is not whole.
        """
        while not self._is_read:
            try:
                chunk = await self._response.next_chunk()
                events = self._take(chunk)
            except (TruncatedFailure, TimeoutFailure) as error:
                return self._last(error)
            if events:
                self._has_said = True
                return events
        return self._last(None)

    def _take(self, chunk: bytes) -> list[StreamEvent]:
        if not chunk:
            self._is_read = True
            return []
        self._has_begun = True
        events, self._failure = self._reader.feed(chunk)
        self._pulse.check(events)
        self._is_read = self._failure is not None or self._decoder.is_done
        return events

    def _last(self, lost: ProviderFailure | None) -> Sequence[StreamEvent] | None:
        """What is left when nothing more comes."""
        self._is_read = True
        if not self._is_told and self._failure is None:
            self._is_told = True
            events, self._failure = self._reader.end()
            # Once the model has ended its answer, only the goodbye was lost.
            self._failure = self._failure or (None if self._decoder.is_whole else lost)
            if events:
                self._has_said = True
                return events
        if self._failure is not None:
            raise self._failure
        if self._is_over:
            return None
        self._is_over = True
        if not self._has_begun:
            raise said_nothing(self._name)
        if self._is_guess and not self._has_said:
            raise no_answer(self._name)
        return self._decoder.finish()


def said_nothing(name: str) -> ProtocolFailure:
    return ProtocolFailure(
        f"{name} answered with nothing. Try again; if it stays so, check the base URL."
    )


def no_answer(name: str) -> ProtocolFailure:
    return ProtocolFailure(
        f"{name} answered with something that is no answer. "
        "Check that the base URL is that of the API."
    )
