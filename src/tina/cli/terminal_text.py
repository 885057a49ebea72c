"""What text from a model, a file or the database may do to a terminal: nothing."""

import re

__all__ = ["one_line", "safe_text"]

LONGEST_LINE = 300

_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f"  # C0 but tab and newline, DEL
    "\x80-\x9f"  # C1: one of them starts a sequence as ESC [ does
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # bidi marks, overrides, isolates
    "\u2028\u2029"  # ends of line to some programs, nothing to others
    "\ufff9-\ufffb"  # interlinear annotation
    "\ud800-\udfff"  # lone surrogates cannot be written
    "]"
)


def safe_text(text: str) -> str:
    """The text with nothing in it that a terminal obeys.

    Escape and its kin are shown (as `␛`), because what follows them would otherwise
    pass for something the author wrote. Characters that reorder text are dropped: a
    terminal then shows the order that is stored, and harmless Arabic or Hebrew keeps
    its letters. A carriage return is dropped too: nothing is overwritten, and CR LF
    is one line end. Joiners stay, emoji are built with them.

    Each character is judged alone, so text may be cut anywhere:
    `safe_text(a + b) == safe_text(a) + safe_text(b)`.

    Source: Unicode Technical Report 36, section 3; CVE-2021-42574 (bidi overrides).
    """
    return _UNSAFE.sub(_harmless, text)


def one_line(text: str) -> str:
    """The text on one line that no terminal obeys, cut where it is too long."""
    line = " ".join(safe_text(text).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"


def _harmless(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x0D:
        return ""
    if code < 0x20:
        return chr(0x2400 + code)  # its control picture
    if code == 0x7F:
        return "\u2421"
    if code in {0x2028, 0x2029}:
        return " "
    return "\ufffd" if code < 0xA0 or 0xD800 <= code <= 0xDFFF else ""
