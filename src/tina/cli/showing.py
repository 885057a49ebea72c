"""How an answer appears: growing text, one JSON object, or a line per event."""

import re
from typing import Protocol

from tina.cli.flags import Showing
from tina.cli.notes import aside, usage_text
from tina.cli.output import Output
from tina.cli.shapes import answer_shape, event_line, to_json
from tina.cli.terminal import AnswerWriter, RawWriter, answer_writer
from tina.cli.terminal_text import safe_text
from tina.domain.chat import StopReason
from tina.domain.events import BlockKind, BlockStart, StreamEvent, TextDelta
from tina.domain.failures import StorageFailure
from tina.domain.messages import Message, MessageStatus, RefusalPart, TextPart
from tina.wiring import App, Turn

_FENCED = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)^(?P=fence)[`~]*[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


_WHY_IT_ENDED = {
    StopReason.LENGTH: (
        "tina: Cut at its longest length; -o max_tokens with a larger number allows "
        "more.\n"
    ),
    StopReason.CONTEXT_FULL: (
        "tina: Cut: the model's window is full. Ask on in a new conversation, or a "
        "model with a larger window.\n"
    ),
    StopReason.CONTENT_FILTER: (
        "tina: The provider ended the answer: its rules do not allow it.\n"
    ),
    StopReason.TOOL_CALLS: (
        "tina: The model asked for tools, and it has none here; ask it to answer "
        "without.\n"
    ),
    StopReason.PAUSED: "tina: The provider paused its work; `tina continue` goes on.\n",
    StopReason.UNKNOWN: (
        "tina: The provider ended the answer for a reason that Tina does not know; "
        "it may not be whole.\n"
    ),
}
_STORAGE_KINDS = frozenset(
    {StorageFailure.kind, *(each.kind for each in StorageFailure.__subclasses__())}
)


class Screen(Protocol):
    """Where a turn is shown."""

    def show(self, event: StreamEvent) -> None: ...

    def aside(self, event: StreamEvent) -> str:
        """What a person should know of an event at once: a line for standard error."""
        ...

    def tick(self) -> None:
        """Show what waits; called while nothing new is said."""
        ...

    def end(self, message: Message) -> None:
        """Show the rest; called once."""
        ...

    def ending(self, message: Message) -> str:
        """What a person should know of how it ended: lines for standard error."""
        ...


def make_screen(showing: Showing, turn: Turn, app: App, out: Output) -> Screen:
    match showing.format:
        case "json":
            return JsonScreen(out)
        case "stream-json":
            return EventScreen(turn, out)
        case "text" if showing.extract:
            # Code is printed as it is: drawn as markdown it would be another.
            return WholeScreen(RawWriter(out, is_terminal=out.isatty()), showing)
        case "text" if not showing.stream:
            return WholeScreen(_writer(app, out), showing)
        case "text":
            return TextScreen(_writer(app, out), showing)


def text_screen(app: App, out: Output) -> "TextScreen":
    """The text of an answer that another process may write."""
    return TextScreen(_writer(app, out), Showing())


class TextScreen:
    """The text of an answer while it grows."""

    def __init__(self, writer: AnswerWriter, showing: Showing) -> None:
        self._writer = writer
        self._showing = showing
        self._kinds: dict[str, BlockKind] = {}

    def show(self, event: StreamEvent) -> None:
        match event:
            case BlockStart(key=key, kind=kind):
                self._kinds[key] = kind
            case TextDelta(key=key, text=text):
                self._add(self._kinds.get(key, BlockKind.TEXT), text)
            case _:
                return

    def aside(self, event: StreamEvent) -> str:
        return aside(event)

    def tick(self) -> None:
        self._writer.tick()

    def end(self, message: Message) -> None:
        self._writer.close()

    def ending(self, message: Message) -> str:
        return _ending(message, says_usage=self._showing.usage)

    def _add(self, kind: BlockKind, text: str) -> None:
        if kind is not BlockKind.REASONING:
            self._writer.text(text)
        elif self._showing.reasoning:
            self._writer.reasoning(text)


class WholeScreen:
    """The answer, or its first code block, when it is done."""

    def __init__(self, writer: AnswerWriter, showing: Showing) -> None:
        self._writer = writer
        self._showing = showing

    def show(self, event: StreamEvent) -> None:
        return

    def aside(self, event: StreamEvent) -> str:
        return aside(event)

    def tick(self) -> None:
        return

    def end(self, message: Message) -> None:
        text = said_text(message)
        self._writer.text(first_code_block(text) if self._showing.extract else text)
        self._writer.close()

    def ending(self, message: Message) -> str:
        return _ending(message, says_usage=self._showing.usage)


class JsonScreen:
    """One JSON object when it is done."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def show(self, event: StreamEvent) -> None:
        return

    def aside(self, event: StreamEvent) -> str:
        return ""

    def tick(self) -> None:
        return

    def end(self, message: Message) -> None:
        self._out.write(to_json(answer_shape(message)) + "\n")

    def ending(self, message: Message) -> str:
        return _failure_lines(message)


class EventScreen:
    """A JSON object per line: the turn, each event, the answer."""

    def __init__(self, turn: Turn, out: Output) -> None:
        self._out = out
        self._line(
            to_json(
                {
                    "t": "turn",
                    "conversation_id": turn.conversation_id,
                    "message_id": turn.message_id,
                    "model": turn.model,
                }
            )
        )

    def show(self, event: StreamEvent) -> None:
        self._line(event_line(event))

    def aside(self, event: StreamEvent) -> str:
        return ""

    def tick(self) -> None:
        return

    def end(self, message: Message) -> None:
        self._line(to_json({"t": "answer", **answer_shape(message)}))

    def ending(self, message: Message) -> str:
        return _failure_lines(message)

    def _line(self, line: str) -> None:
        self._out.write(line + "\n")


def said_text(message: Message) -> str:
    """What it says to a person: its text, and its refusal if it refused."""
    return "".join(
        part.text for part in message.parts if isinstance(part, TextPart | RefusalPart)
    )


def first_code_block(text: str) -> str:
    """The first fenced code block; the whole text if there is none. Pure."""
    found = _FENCED.search(text)
    return text if found is None else found["code"]


def _writer(app: App, out: Output) -> AnswerWriter:
    return answer_writer(
        out,
        environment=app.environment,
        size=out.terminal_size,
        clock=app.clock,
    )


def _ending(message: Message, *, says_usage: bool) -> str:
    lines = ""
    if message.status is MessageStatus.STOPPED:
        lines = "tina: Stopped; `tina continue` goes on from here.\n"
    if message.status is MessageStatus.COMPLETE and message.stop_reason is not None:
        lines = _WHY_IT_ENDED.get(message.stop_reason, "")
    if says_usage and message.usage is not None:
        lines += f"{usage_text(message.usage)}\n"
    return lines + _failure_lines(message)


def _failure_lines(message: Message) -> str:
    if message.status is not MessageStatus.FAILED or message.failure is None:
        return ""
    line = f"tina: {safe_text(message.failure.message)}\n"
    if not message.text:
        return line
    if message.failure.kind in _STORAGE_KINDS:
        return line + "tina: The answer could not be stored to its end; copy it.\n"
    return line + "tina: What was said is kept; `tina continue` goes on.\n"
