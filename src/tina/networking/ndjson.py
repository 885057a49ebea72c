"""Newline-delimited JSON: bytes in, lines out.

Pure. A chunk may end anywhere, inside a character too: a UTF-8 sequence never holds a
line end, so that lines are cut as bytes and left as bytes. Lines end with LF and
nothing else; a CR before it is a blank, and JSON lets blanks stand around a value.
Lines of nothing but blanks say nothing.

Some servers omit the last line end: what is left then is `pending`.

Source: the NDJSON specification, version 1.0.0, section 3; RFC 8259, section 2.
"""

from tina.domain.failures import TooLargeFailure

MAX_LINE_BYTES = 8 * 1024 * 1024
_BLANKS = b" \t\r"


class NdjsonDecoder:
    """Cuts one stream into lines; how its bytes are cut into chunks changes nothing.

    A line may have `max_line_bytes`, blanks included and its LF not. After more it
    only raises.
    """

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        # bytearrays grow in amortized constant time: fed one byte at a time, a line
        # costs linear time and no more memory than its bytes.
        self._line = bytearray()
        self._is_too_large = False

    @property
    def pending(self) -> bytes | None:
        """The unfinished line; None if there is nothing in it.

        Raises:
            TooLargeFailure: the stream went over the limit.
        """
        self._check()
        return bytes(self._line.strip(_BLANKS)) or None

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the lines that they complete, without blanks.

        Raises:
            TooLargeFailure: a line is over the limit. If this chunk completed lines
                before it, they are returned and the next call raises.
        """
        self._check()
        *lines, rest = chunk.split(b"\n")
        if self._line and lines:
            lines[0] = bytes(self._line + lines[0])
            self._line.clear()
        whole: list[bytes] = []
        for line in lines:
            if len(line) > self._max_line_bytes:
                return self._overflow(whole)
            if said := line.strip(_BLANKS):
                whole.append(said)
        self._line += rest
        if len(self._line) > self._max_line_bytes:
            return self._overflow(whole)
        return whole

    def _overflow(self, whole: list[bytes]) -> list[bytes]:
        self._is_too_large = True
        self._line.clear()
        if not whole:
            self._check()
        return whole

    def _check(self) -> None:
        if self._is_too_large:
            raise TooLargeFailure(
                f"The server sent a line of more than {self._max_line_bytes} bytes; "
                "that is over the limit. Try again, or ask for a shorter answer."
            )
