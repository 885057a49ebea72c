"""The stream of chat completions → stream events.

The choice with index 0 is read. An answer is whole once a `finish_reason` was seen, or
the `[DONE]` after an answer. Its `Finish` has a replay only if the events do not hold
all that the server wants back.

Source: OpenAI API reference, "Chat Completions", streaming.
"""

from collections.abc import Mapping

from tina.domain.chat import StopReason, Usage
from tina.domain.events import (
    Finish,
    KeepAlive,
    Start,
    StreamEvent,
    UsageUpdate,
)
from tina.domain.failures import (
    OverloadFailure,
    ProtocolFailure,
    ProviderFailure,
    ServerFailure,
    TruncatedFailure,
)
from tina.domain.messages import Replay
from tina.domain.text import clean_text
from tina.providers.errors import failure_for_event
from tina.providers.lenient import read_json
from tina.providers.openai.chat.chunks import (
    ABSENT,
    Choice,
    Chunk,
    is_present,
    parse_chunk,
    read_usage,
)
from tina.providers.openai.chat.message import MessageReader
from tina.providers.openai.chat.quirks import ThinkTags

_DONE = ("[DONE]", b"[DONE]")
_FIRST = (0, None)
_STOPS: Mapping[str, StopReason] = {
    "content_filter": StopReason.CONTENT_FILTER,
    "eos": StopReason.STOP,
    "eos_token": StopReason.STOP,
    "function_call": StopReason.STOP,
    "length": StopReason.LENGTH,
    "model_length": StopReason.CONTEXT_FULL,
    "stop": StopReason.STOP,
    "tool_calls": StopReason.STOP,
}
_BREAKDOWNS = {
    "error": ServerFailure,
    "insufficient_system_resource": OverloadFailure,
}


_NORMAL_ENDS = frozenset({"stop", "tool_calls", "function_call", "eos", "eos_token"})
"""Any other reason, and none, may have cut what was said last."""


class ChatDecoder:
    """Decodes one answer: `feed` each chunk, then `finish` once.

    Pure. The first choice gives the `Start`, `finish` the `Finish`, its last event.
    """

    def __init__(
        self,
        *,
        provider: str = "openai",
        model: str = "",
        request_id: str | None = None,
        think_tags: ThinkTags = ThinkTags.NONE,
    ) -> None:
        """Make a decoder for one answer.

        Args:
            provider: for the replay, and for what failures say.
            model: that was asked for; the server's own word for it goes before.
            request_id: from the response's headers.
            think_tags: that may stand in the text.
        """
        self._provider = provider
        self._model = model
        self._request_id = request_id
        self._response_id: str | None = None
        self._message = MessageReader(think_tags)
        self._usage: Usage | None = None
        self._stop: str | None = None
        self._is_started = False
        self._has_choice = False
        self._is_done = False
        self._is_finished = False

    @property
    def is_done(self) -> bool:
        """Whether `[DONE]` was seen; what comes after it is ignored."""
        return self._is_done

    @property
    def is_whole(self) -> bool:
        """Whether the answer is complete, though counts may still follow."""
        return self._has_choice and (self._stop is not None or self._is_done)

    def feed(self, data: bytes | str, *, event: str = "") -> list[StreamEvent]:
        """Decode the data of one event, or a whole answer that was not streamed.

        Raises:
            ProviderFailure: the chunk is an error.
            ProtocolFailure: it is no chunk.
        """
        if self._is_done:
            return []
        if data[:6] in _DONE:
            self._is_done = True
            return []
        chunk = self._parse(data, event)
        events: list[StreamEvent] = []
        # What some put before the answer, such as Azure's filters, names nobody.
        if not self._is_started and (chunk.choices or chunk.id):
            events.append(self._start(chunk))
        for choice in chunk.choices or ():
            if choice.index in _FIRST:
                self._read_choice(choice, events)
        self._read_rest(chunk, events)
        return events

    def _parse(self, data: bytes | str, event: str) -> Chunk:
        if event == "error":
            raise self._failure_in(data)
        chunk = parse_chunk(data)
        if chunk.error is not ABSENT and is_present(chunk.error):
            raise self._failure_for(read_json(chunk.error))
        if chunk.object == "error":  # an old vLLM
            raise self._failure_in(data)
        return chunk

    def _read_rest(self, chunk: Chunk, events: list[StreamEvent]) -> None:
        """What stands beside the choices."""
        usage = read_usage(chunk)
        if usage is not None:
            self._usage = usage
        if chunk.citations is not ABSENT or chunk.search_results is not ABSENT:
            events += self._message.sources.read(chunk.search_results, chunk.citations)
        if chunk.prompt_progress is not ABSENT and not events:
            events.append(KeepAlive())

    def _failure_in(self, data: bytes | str) -> ProviderFailure:
        """The failure that an event named `error` means."""
        raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
        return self._failure_for(read_json(raw) or raw.decode("utf-8", "replace"))

    def finish(self) -> list[StreamEvent]:
        """Close the open blocks and say how the answer ended; twice is harmless.

        Raises:
            TruncatedFailure: the stream ended before the answer did.
            ProtocolFailure: it ended in order, but there was no answer in it.
        """
        if self._is_finished:
            return []
        if not self.is_whole:
            raise self._missing_end()
        self._is_finished = True
        events = self._message.end(
            response_id=self._response_id, is_cut=self._stop not in _NORMAL_ENDS
        )
        if self._usage is not None:
            events.append(UsageUpdate(self._usage))
        events.append(
            Finish(self._reason(), raw_reason=self._stop, replay=self._replay())
        )
        return events

    def abandon(self) -> list[StreamEvent]:
        """Close the open blocks as incomplete: a failure follows, not a `finish`."""
        if self._is_finished:
            return []
        self._is_finished = True
        return self._message.abandon()

    def _start(self, chunk: Chunk) -> Start:
        self._is_started = True
        if isinstance(chunk.model, str) and chunk.model:
            self._model = clean_text(chunk.model)
        if isinstance(chunk.id, str) and chunk.id:
            self._response_id = clean_text(chunk.id)
        return Start(
            self._model, response_id=self._response_id, request_id=self._request_id
        )

    def _read_choice(self, choice: Choice, events: list[StreamEvent]) -> None:
        self._has_choice = True
        delta = choice.delta
        if delta is None and choice.message is not None:
            # Nothing follows an answer in one piece, whether it has a reason or not.
            delta, self._is_done = choice.message, True
        if delta is not None:
            self._message.read(delta, events)
        stop = choice.finish_reason
        if isinstance(stop, str) and stop:
            self._stop = clean_text(stop)
            if stop in _BREAKDOWNS:
                raise _BREAKDOWNS[stop](
                    f"{self._provider} broke off its answer. Try again in a moment.",
                    code=stop,
                )

    def _reason(self) -> StopReason:
        """A server's word for it is not enough: some say `stop` after a call."""
        reason = _STOPS.get(self._stop or "", StopReason.UNKNOWN)
        if reason in (StopReason.STOP, StopReason.UNKNOWN):
            if self._message.has_complete_call:
                return StopReason.TOOL_CALLS
            if reason is StopReason.STOP and self._message.has_refusal:
                return StopReason.CONTENT_FILTER
        return reason

    def _replay(self) -> Replay | None:
        payload = self._message.replay()
        if payload is None:
            return None
        return Replay(provider=self._provider, payload=payload)

    def _failure_for(self, error: object) -> ProviderFailure:
        return failure_for_event(error, model=self._model, provider=self._provider)

    def _missing_end(self) -> TruncatedFailure | ProtocolFailure:
        if self._is_done:
            return ProtocolFailure(
                f"{self._provider} ended its answer without saying anything. "
                "Try again, or try another model."
            )
        return TruncatedFailure(
            f"The answer of {self._provider} broke off before its end. Try again."
        )
