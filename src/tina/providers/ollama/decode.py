"""The lines of Ollama's answer → stream events.

Text and reasoning are one block each; they begin with their first piece and end with
the answer. Tool calls arrive whole, in any line. The answer is whole once a line says
`done`; the server's word for why says nothing of tool calls. There is no replay: the
parts express all that the server wants back.

Pure.

Source: Ollama API documentation, "Generate a chat completion"; "Streaming"; "Errors".
"""

import re
from collections.abc import Collection, Mapping

import msgspec

from tina.domain.chat import StopReason
from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Finish,
    Start,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    UsageUpdate,
)
from tina.domain.failures import ProtocolFailure, TruncatedFailure
from tina.domain.ids import ToolCallId
from tina.domain.text import clean_text
from tina.providers.errors import failure_for_event
from tina.providers.escapes import repair_escapes
from tina.providers.lenient import read_json
from tina.providers.ollama.lines import (
    ABSENT,
    Call,
    Line,
    Said,
    parse_line,
    read_error,
    read_usage,
)

_TEXT, _REASONING = "text", "reasoning"
_KINDS = {_TEXT: BlockKind.TEXT, _REASONING: BlockKind.REASONING}
_STOPS: Mapping[str, StopReason] = {
    "stop": StopReason.STOP,
    "length": StopReason.LENGTH,
}
_NO_LETTERS = re.compile("[^0-9A-Za-z]+")
_STAMP_CHARS = 32


class OllamaDecoder:
    """Decodes one answer: `feed` each line, then `finish` once."""

    def __init__(
        self,
        *,
        provider: str = "ollama",
        model: str = "",
        request_id: str | None = None,
        taken: Collection[str] = (),
    ) -> None:
        """Make a decoder for one answer.

        Args:
            provider: for what failures say.
            model: that was asked for; the server's own word for it goes before.
            request_id: from the response's headers.
            taken: ids of tool calls of earlier answers.
        """
        self._provider = provider
        self._model = model
        self._request_id = request_id
        self._taken = set(taken)
        self._open: list[str] = []
        self._calls = 0
        self._last: Line | None = None
        self._is_started = False
        self._is_finished = False

    @property
    def is_done(self) -> bool:
        """Whether the last line was seen; what comes after it is ignored."""
        return self._last is not None

    @property
    def is_whole(self) -> bool:
        """The same: the counts stand in the last line."""
        return self._last is not None

    def feed(self, data: bytes | str, *, event: str = "") -> list[StreamEvent]:
        """Decode one line, or a whole answer that was not streamed.

        Raises:
            ProviderFailure: it is an error.
            ProtocolFailure: it is no line of an answer.
        """
        del event  # lines have no names
        if self._last is not None:
            return []
        line = parse_line(data)
        if line.error is not ABSENT and (error := read_error(line)):
            raise failure_for_event(error, model=self._model, provider=self._provider)
        events: list[StreamEvent] = [] if self._is_started else [self._start(line)]
        if line.message is not None:
            self._read_message(line.message, line, events)
        if line.done is True:
            self._last = line
        return events

    def finish(self) -> list[StreamEvent]:
        """Close the open blocks and say how the answer ended; twice is harmless.

        Raises:
            TruncatedFailure: the stream ended before the answer did.
            ProtocolFailure: there is nothing in it, not even a count.
        """
        if self._is_finished:
            return []
        last = self._last
        if last is None:
            raise TruncatedFailure(
                f"The answer of {self._provider} broke off before its end. Try again."
            )
        usage = read_usage(last)
        if usage is None and not self._open and not self._calls:
            # Such as an answer that only says that the model was loaded.
            raise ProtocolFailure(f"{self._provider} answered with nothing. Try again.")
        self._is_finished = True
        events: list[StreamEvent] = [BlockEnd(key) for key in self._open]
        if usage is not None:
            events.append(UsageUpdate(usage))
        raw = last.done_reason
        raw = clean_text(raw) if isinstance(raw, str) and raw else None
        events.append(Finish(self._reason(raw), raw_reason=raw))
        return events

    def abandon(self) -> list[StreamEvent]:
        """Close the open blocks as incomplete: a failure follows, not a `finish`."""
        if self._is_finished:
            return []
        self._is_finished = True
        return [BlockEnd(key, is_incomplete=True) for key in self._open]

    def _start(self, line: Line) -> Start:
        self._is_started = True
        if isinstance(line.model, str) and line.model:
            self._model = clean_text(line.model)
        return Start(self._model, request_id=self._request_id)

    def _read_message(
        self, message: Said, line: Line, events: list[StreamEvent]
    ) -> None:
        if message.thinking and isinstance(message.thinking, str):
            self._say(_REASONING, message.thinking, events)
        if message.content:
            self._say(_TEXT, message.content, events)
        if message.tool_calls:
            for call in message.tool_calls:
                self._read_call(call, line, events)

    def _say(self, key: str, text: str, events: list[StreamEvent]) -> None:
        if key not in self._open:
            self._open.append(key)
            events.append(BlockStart(key, _KINDS[key]))
        events.append(TextDelta(key, clean_text(text)))

    def _read_call(self, call: Call, line: Line, events: list[StreamEvent]) -> None:
        """Whole as it is, so that its block ends at once."""
        key = f"tool:{self._calls}"
        name, arguments = "", "{}"
        if call.function is not None:
            name = _word(call.function.name)
            arguments = _arguments(call.function.arguments)
        call_id = ToolCallId(_word(call.id) or self._fresh_id(line))
        self._taken.add(call_id)
        self._calls += 1
        events += [
            BlockStart(
                key, BlockKind.TOOL_CALL, call_id=call_id, tool=name or "unknown"
            ),
            ToolArgumentsDelta(key, arguments),
            BlockEnd(key),
        ]

    def _fresh_id(self, line: Line) -> str:
        """An id for a call of an old server, which gives none.

        The time in the line makes it another one in each answer; where there is none,
        it is at least no id of the history.
        """
        stamp = _NO_LETTERS.sub("", _word(line.created_at))[:_STAMP_CHARS]
        number = self._calls
        while True:
            call_id = f"call_{number}_{stamp}" if stamp else f"call_{number}"
            if call_id not in self._taken:
                return call_id
            number += 1

    def _reason(self, raw: str | None) -> StopReason:
        """A server's word for it is not enough: it says `stop` after a call."""
        reason = _STOPS.get(raw or "", StopReason.UNKNOWN)
        if self._calls and reason is not StopReason.LENGTH:
            return StopReason.TOOL_CALLS
        return reason


def _word(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""


def _arguments(raw: msgspec.Raw) -> str:
    """As the model wrote them; some servers send the object as text."""
    text = bytes(raw).decode("utf-8", "replace")
    if text.startswith('"'):
        inner = read_json(repair_escapes(text).encode())
        text = inner if isinstance(inner, str) else text
    text = clean_text(text)
    return "{}" if text in ("", "null") else text
