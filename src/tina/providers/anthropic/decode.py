"""The stream of Messages → stream events.

An answer is whole once `message_stop` was seen, and not before. Its `Finish` has a
replay if the content array says more than the parts of a message hold.

Pure.

Source: Anthropic API reference, "Streaming Messages" and "Messages"; documentation,
"Handling stop reasons".
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    KeepAlive,
    Start,
    StreamEvent,
    TextDelta,
    UsageUpdate,
)
from tina.domain.failures import ProtocolFailure, ProviderFailure, TruncatedFailure
from tina.domain.text import clean_text
from tina.providers.anthropic.endings import Ending
from tina.providers.anthropic.events import (
    ABSENT,
    Event,
    MessageBody,
    items_of,
    parse_event,
    parse_message,
)
from tina.providers.anthropic.open_blocks import OpenBlocks
from tina.providers.anthropic.usage import Counts
from tina.providers.errors import failure_for_event
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import read_json

_DELTA = "content_block_delta"
_UNNAMED = "message"
"""What server-sent events without a name are called."""
_REFUSAL = "refusal"


class MessagesDecoder:
    """Decodes one answer: `feed` each event, then `finish` once."""

    def __init__(
        self,
        *,
        provider: str = "anthropic",
        model: str = "",
        request_id: str | None = None,
    ) -> None:
        """Make a decoder for one answer.

        Args:
            provider: for the replay, and for what failures say.
            model: that was asked for; the server's own word for it goes before.
            request_id: from the response's headers.
        """
        self._provider = provider
        self._model = model
        self._request_id = request_id
        self._response_id: str | None = None
        self._blocks = OpenBlocks()
        self._counts = Counts()
        self._ending = Ending()
        self._is_started = False
        self._is_done = False
        self._is_finished = False

    @property
    def is_done(self) -> bool:
        """Whether `message_stop` was seen; what comes after it is ignored."""
        return self._is_done

    @property
    def is_whole(self) -> bool:
        """Whether the answer is complete: a stop reason alone does not make it so."""
        return self._is_done

    def feed(self, data: bytes | str, *, event: str = "") -> list[StreamEvent]:
        """Decode one event, or a whole answer that was not streamed.

        Raises:
            ProviderFailure: it is an error.
            ProtocolFailure: it is nothing that the protocol knows.
        """
        if self._is_done:
            return []
        if isinstance(data, bytes):
            data = data.decode("utf-8", "replace")
        if event == "error":
            raise self._failure_in(data)
        found = parse_event(data, "" if event == _UNNAMED else event)
        if found.type == _DELTA and self._is_started:  # nearly all of them
            return self._blocks.add(found)
        return self._read(found, data)

    def finish(self) -> list[StreamEvent]:
        """Close the open blocks and say how the answer ended; twice is harmless.

        Raises:
            TruncatedFailure: the stream ended before the answer did.
            ProtocolFailure: it ended in order, but there was no answer in it.
        """
        if self._is_finished:
            return []
        if not (self._is_done and self._is_started):
            raise self._missing_end()
        self._is_finished = True
        ends = self._blocks.close(is_cut=self._ending.is_cut)
        return [*ends, *self._refusal(), self._finish()]

    def abandon(self) -> list[StreamEvent]:
        """Close the open blocks as incomplete: a failure follows, not a `finish`."""
        if self._is_finished:
            return []
        self._is_finished = True
        return self._blocks.abandon()

    def _read(self, event: Event, data: str) -> list[StreamEvent]:
        name = event.type
        if isinstance(name, str) and name in self._readers:
            return self._readers[name](self, event)
        if event.type == "message":
            return self._read_whole(parse_message(data.encode()))
        is_error = event.error is not ABSENT and bool(read_json(event.error))
        if event.type == "error" or (is_error and not event.type):
            raise self._failure_in(data)
        return []  # something new

    def _begin(self, event: Event) -> list[StreamEvent]:
        return [*self._start(), *self._blocks.begin(event, spare_id=self._spare_id)]

    def _add(self, event: Event) -> list[StreamEvent]:
        return [*self._start(), *self._blocks.add(event)]

    def _end(self, event: Event) -> list[StreamEvent]:
        return self._blocks.end(event)

    def _start_message(self, event: Event) -> list[StreamEvent]:
        message = parse_message(event.message)
        return self._start(message) + self._count(message.usage)

    def _end_message(self, event: Event) -> list[StreamEvent]:
        if event.delta is not None:
            self._ending.read(event.delta)
        return self._start() + self._count(event.usage)

    def _stop(self, _event: Event) -> list[StreamEvent]:
        self._is_done = True
        return []

    def _ping(self, _event: Event) -> list[StreamEvent]:
        return [KeepAlive()]

    def _read_whole(self, message: MessageBody) -> list[StreamEvent]:
        """An answer that was not streamed."""
        events = self._start(message) + self._count(message.usage)
        content = items_of(message.content) or ()
        events += self._blocks.take_all(content, spare_id=self._spare_id)
        self._ending.read(message)
        self._is_done = True
        return events

    def _start(self, message: MessageBody | None = None) -> list[StreamEvent]:
        """Say who answers, once."""
        if self._is_started:
            return []
        self._is_started = True
        if message is not None:
            self._model = _word(message.model) or self._model
            self._response_id = _word(message.id)
        return [
            Start(
                self._model, response_id=self._response_id, request_id=self._request_id
            )
        ]

    def _count(self, raw: msgspec.Raw) -> list[StreamEvent]:
        self._counts.read(raw)
        usage = None if raw is ABSENT else self._counts.usage
        return [] if usage is None else [UsageUpdate(usage)]

    def _refusal(self) -> list[StreamEvent]:
        """What its server says of a refusal, as the model's refusal."""
        explanation = self._ending.explanation
        if not explanation:
            return []
        return [
            BlockStart(_REFUSAL, BlockKind.REFUSAL),
            TextDelta(_REFUSAL, explanation),
            BlockEnd(_REFUSAL),
        ]

    def _finish(self) -> Finish:
        ending = self._ending
        has_call = self._blocks.has_call(is_cut=ending.is_cut)
        # What was thought before a refusal is not to be used: it is not sent back.
        replay = None if ending.is_refusal else self._blocks.replay(self._provider)
        return Finish(
            ending.reason(has_call=has_call),
            raw_reason=ending.raw_reason,
            stop_sequence=ending.stop_sequence,
            replay=replay,
        )

    @property
    def _spare_id(self) -> str:
        """What makes ids unique that have to be invented."""
        return self._response_id or "0"

    def _failure_in(self, data: str) -> ProviderFailure:
        error = read_json(repair_escapes(data).encode()) or data
        failure = failure_for_event(error, model=self._model, provider=self._provider)
        failure.request_id = failure.request_id or self._request_id
        return failure

    def _missing_end(self) -> TruncatedFailure | ProtocolFailure:
        if self._is_done:
            return ProtocolFailure(
                f"{self._provider} ended its answer without saying anything. "
                "Try again, or try another model."
            )
        return TruncatedFailure(
            f"The answer of {self._provider} broke off before its end. Try again."
        )

    # `Any` is the decoder itself, which has no name yet.
    _readers: ClassVar[Mapping[str, Callable[[Any, Event], list[StreamEvent]]]] = {
        _DELTA: _add,
        "content_block_start": _begin,
        "content_block_stop": _end,
        "message_delta": _end_message,
        "message_start": _start_message,
        "message_stop": _stop,
        "ping": _ping,
    }


def _word(value: object) -> str | None:
    return clean_text(value) or None if isinstance(value, str) else None
