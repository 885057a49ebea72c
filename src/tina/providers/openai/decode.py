"""The stream of chat completions → stream events.

The choice with index 0 is read. Text, reasoning and refusal are one block each; they
begin with their first piece and end with the answer, because servers mix them.
An answer is whole once a `finish_reason` was seen, or the `[DONE]` after an answer.
Its `Finish` has a replay only if the events do not hold all that the server wants back.

Source: OpenAI API reference, "Chat Completions", streaming.
"""

from collections.abc import Mapping

import msgspec

from tina.domain.chat import StopReason, Usage
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
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
from tina.providers.openai.calls import ToolCalls
from tina.providers.openai.chunks import (
    ABSENT,
    CallDelta,
    Choice,
    Chunk,
    Delta,
    is_list,
    is_mapping,
    is_present,
    parse_chunk,
    read_json,
    read_usage,
)
from tina.providers.openai.errors import failure_for_event
from tina.providers.openai.replay import Leftovers

_TEXT, _REASONING, _REFUSAL = "text", "reasoning", "refusal"
_KINDS = {
    _TEXT: BlockKind.TEXT,
    _REASONING: BlockKind.REASONING,
    _REFUSAL: BlockKind.REFUSAL,
}
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


class ChatDecoder:
    """Decodes one answer: `feed` each chunk, then `finish` once.

    Pure. The first chunk gives the `Start`, `finish` the `Finish`, its last event.
    """

    def __init__(
        self,
        *,
        provider: str = "openai",
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
        self._said: dict[str, list[str]] = {}
        self._reasoning_field = "reasoning_content"
        self._calls = ToolCalls()
        self._leftovers = Leftovers()
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

    def feed(self, payload: bytes | str) -> list[StreamEvent]:
        """Decode the data of one event, or a whole answer that was not streamed.

        Raises:
            ProviderFailure: the chunk is an error.
            ProtocolFailure: it is no chunk.
        """
        if self._is_done:
            return []
        if payload[:6] in ("[DONE]", b"[DONE]"):
            self._is_done = True
            return []
        chunk = parse_chunk(payload)
        if chunk.error is not ABSENT and is_present(chunk.error):
            raise self._failure_for(read_json(chunk.error))
        events: list[StreamEvent] = []
        if not self._is_started:
            events.append(self._start(chunk))
        self._usage = read_usage(chunk) or self._usage
        for choice in chunk.choices or ():
            if choice.index == 0 or choice.index is None:
                self._read_choice(choice, events)
        return events

    def failure_in(self, payload: str) -> ProviderFailure:
        """The failure that an event named `error` means."""
        error = read_json(payload.encode("utf-8", "replace")) or payload
        if is_mapping(error):
            error = error.get("error") or error
        return self._failure_for(error)

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
        events: list[StreamEvent] = [BlockEnd(key) for key in self._said]
        events += self._calls.end(
            response_id=self._response_id, is_cut=self._stop == "length"
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
        ends = (BlockEnd(key, is_incomplete=True) for key in self._said)
        return [*ends, *self._calls.abandon()]

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
        delta = choice.delta or choice.message
        if delta is not None:
            self._read_delta(delta, events)
        stop = choice.finish_reason
        if isinstance(stop, str) and stop:
            self._stop = clean_text(stop)
            if stop in _BREAKDOWNS:
                raise _BREAKDOWNS[stop](
                    f"{self._provider} broke off its answer. Try again in a moment.",
                    code=stop,
                )

    def _read_delta(self, delta: Delta, events: list[StreamEvent]) -> None:
        content = delta.content
        if isinstance(content, list):
            self._read_parts(content, events)
        elif content:
            self._say(_TEXT, content, events)
        if delta.reasoning or delta.reasoning_content:
            self._read_reasoning(delta, events)
        if delta.refusal:
            self._say(_REFUSAL, delta.refusal, events)
        if delta.tool_calls:
            for call in delta.tool_calls:
                events += self._calls.add(call)
        if delta.function_call:
            events += self._calls.add(CallDelta(-1, None, delta.function_call))
        self._leftovers.read(delta)

    def _read_reasoning(self, delta: Delta, events: list[StreamEvent]) -> None:
        """Only one of the names: some servers send the same text under both."""
        for name in ("reasoning", "reasoning_content"):
            text = getattr(delta, name)
            if isinstance(text, str) and text:
                self._reasoning_field = name
                self._say(_REASONING, text, events)
                break

    def _read_parts(self, parts: list[object], events: list[StreamEvent]) -> None:
        """Content as typed parts, of which `thinking` holds parts itself."""
        for part in parts:
            if not is_mapping(part):
                continue
            text, thinking = part.get("text"), part.get("thinking")
            if isinstance(text, str) and text:
                self._say(_TEXT, text, events)
            for inner in thinking if is_list(thinking) else ():
                text = inner.get("text") if is_mapping(inner) else None
                if isinstance(text, str) and text:
                    self._say(_REASONING, text, events)

    def _say(self, key: str, text: str, events: list[StreamEvent]) -> None:
        text = clean_text(text)
        said = self._said.get(key)
        if said is None:
            said = self._said[key] = []
            events.append(BlockStart(key, _KINDS[key]))
        said.append(text)
        events.append(TextDelta(key, text))

    def _reason(self) -> StopReason:
        """A server's word for it is not enough: some say `stop` after a call."""
        reason = _STOPS.get(self._stop or "", StopReason.UNKNOWN)
        if reason in (StopReason.STOP, StopReason.UNKNOWN):
            if self._calls.has_complete_call:
                return StopReason.TOOL_CALLS
            if reason is StopReason.STOP and _REFUSAL in self._said:
                return StopReason.CONTENT_FILTER
        return reason

    def _replay(self) -> Replay | None:
        """The whole message as it is sent back, if its parts do not express it."""
        leftovers = self._leftovers.as_wire()
        if not (leftovers or self._calls.has_extra):
            return None
        message = msgspec.json.encode(self._as_wire() | leftovers).decode()
        return Replay(provider=self._provider, payload=message)

    def _as_wire(self) -> dict[str, object]:
        fields = {
            _TEXT: "content",
            _REASONING: self._reasoning_field,
            _REFUSAL: _REFUSAL,
        }
        message: dict[str, object] = {"role": "assistant", "content": None}
        for key, pieces in self._said.items():
            message[fields[key]] = "".join(pieces)
        calls = self._calls.as_wire()
        if calls:
            message["tool_calls"] = calls
        return message

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
