"""One tool call put together from pieces.

It begins once its name and its id are known; what comes before waits. The finished item
has the arguments again: they must be what was said, or go on from there, since what was
said cannot be taken back and a call that is not what the model meant must not run.

Pure.
"""

from tina.domain.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    StreamEvent,
    ToolArgumentsDelta,
)
from tina.domain.failures import ProtocolFailure
from tina.domain.ids import ToolCallId
from tina.domain.text import clean_text
from tina.providers.lenient import read_json


class Call:
    """`is_free` means that its input is any text, not JSON."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.is_free = False
        self.is_complete = False
        self._call_id = ""
        self._tool = ""
        self._said: list[str] = []
        self._waiting: list[str] = []
        self._is_announced = False
        self._is_over = False

    def announce(self, call_id: str, tool: str) -> list[StreamEvent]:
        """Learn its id and its name; what is empty is not known yet."""
        self._call_id = self._call_id or call_id
        self._tool = self._tool or tool
        if self._is_announced or not (self._call_id and self._tool):
            return []
        self._is_announced = True
        start = BlockStart(
            self.key,
            BlockKind.TOOL_CALL,
            call_id=ToolCallId(self._call_id),
            tool=self._tool,
        )
        waiting = "".join(self._waiting)
        self._waiting.clear()
        return [start, *self.add(waiting)]

    def add(self, fragment: str) -> list[StreamEvent]:
        fragment = clean_text(fragment)
        if not fragment or self._is_over:
            return []
        if not self._is_announced:
            self._waiting.append(fragment)
            return []
        self._said.append(fragment)
        return [ToolArgumentsDelta(self.key, fragment)]

    def settle(self, arguments: str) -> list[StreamEvent]:
        """Say what of the final arguments was not said before.

        Raises:
            ProtocolFailure: something else was said before.
        """
        if self._is_over:
            return []
        arguments = clean_text(arguments)
        if not self._is_announced:
            self._waiting = [arguments]
            return []
        said = "".join(self._said)
        if arguments.startswith(said):
            return self.add(arguments[len(said) :])
        before, after = read_json(said.encode()), read_json(arguments.encode())
        if before is None or before != after:
            raise ProtocolFailure(
                "The server sent the arguments of a tool call in two versions, so that "
                "the tool was not run. Try again."
            )
        return self.end(is_cut=False)

    def end_if_whole(self) -> list[StreamEvent]:
        """End it, unless it may have been cut: then its arguments are no JSON."""
        arguments = "".join((*self._said, *self._waiting))
        is_whole = self.is_free or not arguments or _is_json(arguments)
        return self.end(is_cut=False) if is_whole else []

    def end(self, *, is_cut: bool) -> list[StreamEvent]:
        """End it; a name or an id that never came is made up."""
        if self._is_over:
            return []
        events = self.announce(f"call_{self.key.partition('.')[0]}", "unknown")
        if not self._said and not self.is_free:
            events += self.add("{}")
        self._is_over = True
        self.is_complete = not is_cut
        return [*events, BlockEnd(self.key, is_incomplete=is_cut)]

    def abandon(self) -> list[StreamEvent]:
        """Close it as incomplete, if it was announced."""
        if self._is_over or not self._is_announced:
            return []
        self._is_over = True
        return [BlockEnd(self.key, is_incomplete=True)]


def _is_json(text: str) -> bool:
    return read_json(text.encode()) is not None
