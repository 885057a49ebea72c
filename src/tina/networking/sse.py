"""Server-sent events: bytes in, events out.

Pure. A chunk may end anywhere: inside a character, between CR and LF, inside the
byte order mark. Lines end with CR, LF or CRLF and nothing else, which is why they
are cut as bytes; a UTF-8 sequence never contains one, so that decoding each value by
itself gives what decoding the whole stream would.

The standard discards an event that the end of the stream cuts off. Some servers omit
its last blank line: `pending` shows what is left, for callers who know better.

Source: HTML standard, "Server-sent events", "Parsing an event stream" and
"Interpreting an event stream"; Encoding standard, "UTF-8 decode".
"""

import msgspec

from tina.domain.failures import TooLargeFailure

MAX_EVENT_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_LONGEST_RETRY_DIGITS = 4_000  # Python refuses longer ones; no time needs them


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event. `id` is the last one seen, `retry` (ms) this event's own."""

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class SseDecoder:
    """Decodes one stream; how its bytes are cut into chunks changes nothing.

    An event may have `max_event_bytes`: its data so far, with a line end for each
    complete data line, and the line that is being read. After more it only raises.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._head: bytes | None = b""
        """What may still become a byte order mark; None once that is settled."""
        self._after_cr = False
        self._is_too_large = False
        # bytearrays grow in amortized constant time: fed one byte at a time, a line
        # costs linear time and no more memory than its bytes.
        self._line = bytearray()
        self._data: bytes | bytearray | None = None
        self._held_bytes = 0
        self._event = ""
        self._id = ""
        self._retry: int | None = None
        self._retry_ms: int | None = None

    @property
    def retry_ms(self) -> int | None:
        """The stream's reconnection time, as the server set it last."""
        return self._retry_ms

    @property
    def pending(self) -> str | None:
        """Data of the unfinished event, the unfinished line included; None without.

        Raises:
            TooLargeFailure: the stream went over the limit.
        """
        self._check()
        values = [] if self._data is None else [bytes(self._data)]
        name, _, value = bytes(self._line).partition(b":")
        if name == b"data":
            values.append(value.removeprefix(b" "))
        return b"\n".join(values).decode("utf-8", "replace") if values else None

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes; return the events that they complete.

        Raises:
            TooLargeFailure: an event is over the limit. If this chunk completed
                events before it, they are returned and the next call raises.
        """
        if self._is_too_large:
            self._check()
        *lines, rest = self._lines(chunk)
        events: list[ServerSentEvent] = []
        for line in lines:
            if len(line) + self._held_bytes > self._max_event_bytes:
                return self._overflow(events)
            # The two lines that nearly all events are made of, without a call each.
            if line.startswith(b"data: ") and self._data is None:
                self._data = line[6:]
                self._held_bytes += len(line) - 5
            elif line.startswith(b"event: "):
                self._event = line[7:].decode("utf-8", "replace")
            elif not line:
                self._dispatch(events)
            else:
                self._read_line(line)
        self._line += rest
        if len(self._line) + self._held_bytes > self._max_event_bytes:
            return self._overflow(events)
        return events

    def _lines(self, chunk: bytes) -> list[bytes]:
        """The lines that the chunk completes, and then the beginning of the next."""
        if self._head is not None or self._after_cr or b"\r" in chunk:
            chunk = self._normalized(chunk)
        lines = chunk.split(b"\n")
        if self._line and len(lines) > 1:
            lines[0] = bytes(self._line + lines[0])
            self._line.clear()
        return lines

    def _normalized(self, chunk: bytes) -> bytes:
        """The chunk with LF for every line end, and without the byte order mark."""
        if self._head is not None:
            chunk = self._without_bom(chunk)
        if self._after_cr and chunk:
            # This LF belongs to the CR that ended the last chunk.
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _without_bom(self, chunk: bytes) -> bytes:
        head = (self._head or b"") + chunk
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _add_data(self, value: bytes) -> None:
        self._held_bytes += len(value) + 1
        if self._data is None:
            self._data = value
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value

    def _read_line(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._add_data(value)
            case b"event":
                self._event = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
            case b"retry" if value.isdigit() and len(value) <= _LONGEST_RETRY_DIGITS:
                self._retry = self._retry_ms = int(value)
            case _:
                pass  # a comment has an empty name; other fields are ignored

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data is not None:
            data = self._data.decode("utf-8", "replace")
            event = self._event or "message"
            events.append(ServerSentEvent(data, event, self._id, self._retry))
            self._data = None
            self._held_bytes = 0
        self._event = ""
        self._retry = None

    def _overflow(self, events: list[ServerSentEvent]) -> list[ServerSentEvent]:
        self._is_too_large = True
        self._line.clear()
        self._data = None
        if not events:
            self._check()
        return events

    def _check(self) -> None:
        if self._is_too_large:
            raise TooLargeFailure(
                f"The server sent an event of more than {self._max_event_bytes} bytes; "
                "that is over the limit. Try again, or ask for a shorter answer."
            )
