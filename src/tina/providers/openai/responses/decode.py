"""The stream of the Responses API → stream events.

Events name their item by its place in the output, or (llama.cpp) by its id alone. The
finished item counts; at the end of the answer those items count that were not finished
before, so that an answer in one piece is read like the end of a stream. Its `Finish`
gives the items back byte for byte, since most of them say more than any part can.

Source: OpenAI API reference, "Responses", "Streaming events"; llama.cpp's server.
"""

import re
from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from tina.domain.chat import StopReason, Usage
from tina.domain.events import Finish, KeepAlive, Start, StreamEvent, UsageUpdate
from tina.domain.failures import ProviderFailure, TruncatedFailure
from tina.domain.messages import Replay
from tina.providers.errors import failure_for_event
from tina.providers.lenient import read_json, text_of
from tina.providers.openai.responses.errors import failure_in, unreadable
from tina.providers.openai.responses.finished import begin_item, finish_item, source_in
from tina.providers.openai.responses.items import (
    Event,
    Item,
    Response,
    is_present,
    list_in,
    parse_event,
    parse_fields,
    text_in,
    usage_in,
)
from tina.providers.openai.responses.output import Output
from tina.providers.openai.responses.repeats import Repeats
from tina.providers.openai.responses.slots import Place, PlaceName, Slot

_TEXTS = {
    "response.output_text": PlaceName.TEXT,
    "response.reasoning_summary_text": PlaceName.SUMMARY,
    "response.reasoning_text": PlaceName.REASONING,
    "response.refusal": PlaceName.REFUSAL,
}
_PLACES = {
    f"{name}.{ending}": place
    for name, place in _TEXTS.items()
    for ending in ("delta", "done")
}
_WHOLE, _ERROR, _COMPLETED = "response", "error", "completed"
_FAILED = frozenset({"failed", "cancelled"})
_UNENDED = frozenset({"queued", "in_progress"})
# What tools at the server do, and other work of which nothing is shown.
_WORK = re.compile(r"response\.(?:\w+_call(?:_\w+)?|mcp_\w+|audio|compaction)\..+")
_STOPS: Mapping[str, StopReason] = {
    _COMPLETED: StopReason.STOP,
    "content_filter": StopReason.CONTENT_FILTER,
    "max_output_tokens": StopReason.LENGTH,
}


class ResponsesDecoder:
    """Decodes one answer: `feed` each event, then `finish` once. Pure."""

    def __init__(
        self,
        *,
        provider: str = "openai",
        model: str = "",
        request_id: str | None = None,
        max_tokens: int | None = None,
    ) -> None:
        """Make a decoder for one answer.

        Args:
            provider: for the replay, and for what failures say.
            model: that was asked for; the server's own word for it goes before.
            request_id: from the response's headers.
            max_tokens: that were asked for, if the server may call an answer of that
                length complete.
        """
        self._provider = provider
        self._model = model
        self._request_id = request_id
        self._max_tokens = max_tokens
        self._output = Output()
        self._repeats = Repeats()
        self._usage: Usage | None = None
        self._stop = ""
        self._is_fed = False
        self._is_started = False
        self._is_done = False
        self._is_finished = False

    @property
    def is_done(self) -> bool:
        """Whether the end of the answer was seen; what comes after it is ignored."""
        return self._is_done

    @property
    def is_whole(self) -> bool:
        """The same: nothing follows the end of an answer."""
        return self._is_done

    def feed(self, data: bytes | str, *, event: str = "") -> list[StreamEvent]:
        """Decode the data of one event, or a whole answer that was not streamed.

        Raises:
            ProviderFailure: it is an error, or nothing that can be read.
        """
        if isinstance(data, bytes):
            data = data.decode("utf-8", "replace")
        if self._is_done or data.startswith("[DONE]"):
            return []
        self._is_fed = True
        name = "" if event == "message" else event
        if name and name not in self._READERS:
            return _signs_of_life(name)
        parsed = parse_event(data)
        name = name or _name_of(parsed)
        if parsed is None or name == _ERROR:
            raise self._refusal(name, data)
        read = self._READERS.get(name)
        if read is None:
            return _signs_of_life(name)
        if self._repeats.has(parsed.sequence_number, data):
            return []
        if name == _WHOLE:
            parsed.response = msgspec.Raw(data.encode("utf-8", "replace"))
        parsed.type = name
        events: list[StreamEvent] = []
        read(self, parsed, events)
        return events

    def finish(self) -> list[StreamEvent]:
        """Close the open blocks and say how the answer ended; twice is harmless.

        Raises:
            TruncatedFailure: the stream ended before the answer did.
            ProtocolFailure: it ended in order, but there was no answer in it.
        """
        if self._is_finished:
            return []
        if not self._is_done:
            raise self._missing_end()
        self._is_finished = True
        events = self._output.end(is_cut=self._stop != _COMPLETED or self._is_at_limit)
        if self._usage is not None:
            events.append(UsageUpdate(self._usage))
        end = Finish(self._reason(), raw_reason=self._stop, replay=self._replay())
        return [*events, end]

    def abandon(self) -> list[StreamEvent]:
        """Close the open blocks as incomplete: a failure follows, not a `finish`."""
        if self._is_finished:
            return []
        self._is_finished = True
        return self._output.abandon()

    def _read_begin(self, event: Event, events: list[StreamEvent]) -> None:
        self._start(parse_fields(event.response, Response), events)

    def _read_delta(self, event: Event, events: list[StreamEvent]) -> None:
        if event.delta:
            self._slot_of(event, events).say(_place_of(event), event.delta, events)

    def _read_text(self, event: Event, events: list[StreamEvent]) -> None:
        text = event.text or event.refusal
        if text:
            self._slot_of(event, events).settle(_place_of(event), text, events)

    def _read_fragment(self, event: Event, events: list[StreamEvent]) -> None:
        if event.delta:
            events += self._slot_of(event, events).open_call().add(event.delta)

    def _read_arguments(self, event: Event, events: list[StreamEvent]) -> None:
        arguments = event.arguments or event.input
        if arguments:
            events += self._slot_of(event, events).open_call().settle(arguments)

    def _read_source(self, event: Event, events: list[StreamEvent]) -> None:
        source = source_in(event.annotation)
        if source is not None:
            place = Place(PlaceName.TEXT, event.content_index or 0)
            self._slot_of(event, events).cite(place, source, events)

    def _read_added(self, event: Event, events: list[StreamEvent]) -> None:
        item = parse_fields(event.item, Item)
        if item is not None:
            event.item_id = event.item_id or text_in(item.id)
            slot = self._slot_of(event, events, is_new=True)
            events += begin_item(slot, item)

    def _read_item(self, event: Event, events: list[StreamEvent]) -> None:
        item = parse_fields(event.item, Item)
        if item is not None:
            event.item_id = event.item_id or text_in(item.id)
            slot = self._slot_of(event, events)
            if slot.raw is None:
                slot.raw = bytes(event.item)
                events += finish_item(slot, item)

    def _read_end(self, event: Event, events: list[StreamEvent]) -> None:
        response = parse_fields(event.response, Response) or Response()
        status = (event.type or "").removeprefix("response.")
        self._end(response, status, events)

    def _read_whole(self, event: Event, events: list[StreamEvent]) -> None:
        response = parse_fields(event.response, Response) or Response()
        status = text_in(response.status) or _COMPLETED
        if status not in _UNENDED:
            self._end(response, status, events)

    def _end(self, response: Response, status: str, events: list[StreamEvent]) -> None:
        """The answer is over; what was not told before is in its `output`."""
        self._start(response, events)
        if status in _FAILED:
            error = read_json(response.error)
            raise failure_for_event(error, model=self._model, provider=self._provider)
        listed = list_in(response.output)
        if len(self._output.finished) < len(listed):
            has_indexes = self._output.has_indexes
            for number, raw in enumerate(listed):
                index = number if has_indexes else None
                self._read_item(Event(output_index=index, item=raw), events)
        self._usage = usage_in(response.usage)
        why = text_of(read_json(response.incomplete_details), "reason")
        self._stop = status if status == _COMPLETED else why or status
        self._is_done = True

    def _start(self, response: Response | None, events: list[StreamEvent]) -> None:
        if self._is_started:
            return
        self._is_started = True
        response = response or Response()
        start = Start(
            text_in(response.model) or self._model,
            response_id=text_in(response.id) or None,
            request_id=self._request_id,
        )
        events.append(start)

    def _slot_of(
        self, event: Event, events: list[StreamEvent], *, is_new: bool = False
    ) -> Slot:
        slot = self._output.find(event.output_index, event.item_id)
        if slot is None:
            self._start(None, events)
            slot = self._output.open(event.output_index, event.item_id, is_new=is_new)
        return slot

    @property
    def _is_at_limit(self) -> bool:
        """Whether it is as long as was allowed, whatever its server calls that."""
        written = None if self._usage is None else self._usage.output_tokens
        if self._max_tokens is None or written is None:
            return False
        return written >= self._max_tokens

    def _reason(self) -> StopReason:
        reason = _STOPS.get(self._stop, StopReason.UNKNOWN)
        if reason not in (StopReason.STOP, StopReason.UNKNOWN):
            return reason
        calls = [call.is_complete for call in self._output.calls]
        if self._is_at_limit and not (calls and all(calls)):
            return StopReason.LENGTH
        if any(calls):
            return StopReason.TOOL_CALLS
        if reason is StopReason.STOP and any(s.has_refusal for s in self._output):
            return StopReason.CONTENT_FILTER
        return reason

    def _replay(self) -> Replay | None:
        items = b",".join(self._output.finished)
        if not items:
            return None
        payload = b'{"output":[%b]}' % items
        return Replay(
            provider=self._provider, payload=payload.decode("utf-8", "replace")
        )

    def _refusal(self, name: str, data: str) -> ProviderFailure:
        if name == _ERROR:
            return failure_in(data, model=self._model, provider=self._provider)
        return unreadable(self._provider)

    def _missing_end(self) -> ProviderFailure:
        if self._is_fed and not self._is_started:
            return unreadable(self._provider)
        return TruncatedFailure(
            f"The answer of {self._provider} broke off before its end. Try again."
        )

    _READERS: ClassVar[Mapping[str, Callable[..., None]]] = {
        "response.output_text.delta": _read_delta,
        "response.output_text.done": _read_text,
        "response.reasoning_summary_text.delta": _read_delta,
        "response.reasoning_summary_text.done": _read_text,
        "response.reasoning_text.delta": _read_delta,
        "response.reasoning_text.done": _read_text,
        "response.refusal.delta": _read_delta,
        "response.refusal.done": _read_text,
        "response.created": _read_begin,
        "response.queued": _read_begin,
        "response.in_progress": _read_begin,
        "response.output_item.added": _read_added,
        "response.output_text.annotation.added": _read_source,
        "response.function_call_arguments.delta": _read_fragment,
        "response.function_call_arguments.done": _read_arguments,
        "response.custom_tool_call_input.delta": _read_fragment,
        "response.custom_tool_call_input.done": _read_arguments,
        "response.output_item.done": _read_item,
        "response.completed": _read_end,
        "response.incomplete": _read_end,
        "response.failed": _read_end,
        "response.cancelled": _read_end,
        _WHOLE: _read_whole,
        _ERROR: _read_begin,  # never called: `feed` raises what an error means
    }


def _name_of(parsed: Event | None) -> str:
    """What an event without a name is."""
    if parsed is None or parsed.type:
        return "" if parsed is None else parsed.type or ""
    if is_present(parsed.error) or parsed.object == _ERROR:
        return _ERROR
    return _WHOLE if parsed.object == _WHOLE else ""


def _place_of(event: Event) -> Place:
    index = event.content_index if event.summary_index is None else event.summary_index
    return Place(_PLACES[event.type or ""], index or 0)


def _signs_of_life(name: str) -> list[StreamEvent]:
    """Work is a sign of life; an event that nobody knows is none."""
    return [KeepAlive()] if _WORK.fullmatch(name) else []
