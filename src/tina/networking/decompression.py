"""Expands a compressed body in small pieces, and only so far.

Pure. A bomb is stopped by what it grows to, not by what it is: no call makes more
than one piece, and a body may be at most a hundred times what came over the wire.

Source: RFC 9110, section 8.4.1 (gzip, deflate); RFC 1952, section 2.2 (a file is a
series of members). Some servers send "deflate" without its zlib wrapper, and every
browser takes it.
"""

import zlib

from tina.domain.failures import ProtocolFailure, TooLargeFailure, TruncatedFailure

MAX_RATIO = 100
FREE_BYTES = 64 * 1024
"""What a body may grow to, however small it is."""
PIECE_BYTES = 64 * 1024
_INPUT_BYTES = 16 * 1024
_MOST_MEMBERS = 1_000
_GZIP_BITS = 16 + zlib.MAX_WBITS
_GZIP = frozenset({"gzip", "x-gzip"})
_DEFLATE = "deflate"
_ZLIB_METHOD = 8  # the low half of the first byte, if there is a wrapper
_PLAIN = frozenset({"", "identity"})


class Inflater:
    """Expands one body of a server that is named `host`."""

    def __init__(self, host: str, *, is_gzip: bool) -> None:
        self._host = host
        self._is_gzip = is_gzip
        self._member = zlib.decompressobj(_GZIP_BITS if is_gzip else zlib.MAX_WBITS)
        self._members = 1
        self._input = memoryview(b"")
        self._took_bytes = 0
        self._made_bytes = 0

    def feed(self, compressed: bytes) -> None:
        """Give the next bytes, once `take` has nothing any more."""
        is_first = not self._took_bytes and compressed
        if is_first and not self._is_gzip and compressed[0] & 0x0F != _ZLIB_METHOD:
            self._member = zlib.decompressobj(-zlib.MAX_WBITS)
        self._input = memoryview(compressed)

    def take(self) -> bytes:
        """The next piece, at most `PIECE_BYTES`; empty if more has to be fed.

        Raises:
            TooLargeFailure: it grows too much.
            ProtocolFailure: it is not what the server said it is.
        """
        while self._input or not self._member.eof:
            if self._member.eof:
                self._begin_member()
            piece = self._expand()
            if piece or not self._input:
                return piece
        return b""

    def finish(self) -> None:
        """Say that all was fed.

        Raises:
            TruncatedFailure: the end is missing.
        """
        if self._took_bytes and not self._member.eof:
            raise TruncatedFailure(
                f"The compressed answer of {self._host!r} has no end. Try again."
            )

    def _begin_member(self) -> None:
        self._members += 1
        if not self._is_gzip or self._members > _MOST_MEMBERS:
            raise self._unreadable()
        self._member = zlib.decompressobj(_GZIP_BITS)

    def _expand(self) -> bytes:
        part = self._input[:_INPUT_BYTES]
        member = self._member
        try:
            piece = member.decompress(part, PIECE_BYTES)
        except zlib.error as error:
            raise self._unreadable() from error
        rest = member.unused_data if member.eof else member.unconsumed_tail
        took_bytes = len(part) - len(rest)
        self._input = self._input[took_bytes:]
        self._took_bytes += took_bytes
        self._made_bytes += len(piece)
        if self._made_bytes > max(FREE_BYTES, MAX_RATIO * self._took_bytes):
            raise TooLargeFailure(
                f"The compressed answer of {self._host!r} grows to more than "
                f"{MAX_RATIO} times its size; that is over the limit. "
                "Check the base URL."
            )
        return piece

    def _unreadable(self) -> ProtocolFailure:
        return ProtocolFailure(
            f"The compressed answer of {self._host!r} cannot be read. Try again; "
            "if it stays so, check the base URL."
        )


def inflater_for(content_encoding: str, host: str) -> Inflater | None:
    """What expands a body with this header; None if it is not compressed.

    Raises:
        ProtocolFailure: Tina does not know the coding.
    """
    coding = content_encoding.strip().lower()
    if coding in _PLAIN:
        return None
    if coding in _GZIP or coding == _DEFLATE:
        return Inflater(host, is_gzip=coding in _GZIP)
    raise ProtocolFailure(
        f"{host!r} compressed its answer in a way that was not asked for and that "
        "Tina does not know. Check the base URL, and whether a proxy is in between."
    )
