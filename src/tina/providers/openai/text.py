"""Text that can be stored and sent: whole characters, no NUL.

Servers and clipboards produce halves of UTF-16 pairs; SQLite ends text at a NUL in
several of its functions, and JSON encoders refuse a half pair.
"""

import re

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_HALF_PAIR = re.compile("[\ud800-\udfff]")
# Every escape is matched, so that the backslash of `\\ud800` (an escaped backslash
# and six harmless letters) is never taken for the beginning of a half pair.
_ESCAPE = re.compile(
    r"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def whole_text(text: str) -> str:
    """`text` with U+FFFD for each half of a UTF-16 pair, and without NUL."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text if text.isascii() else _HALF_PAIR.sub(_REPLACEMENT, text)


def repair_escapes(json_text: str) -> str:
    """JSON text in which no escape stands for half of a UTF-16 pair."""
    return _ESCAPE.sub(_repair, _HALF_PAIR.sub(_REPLACEMENT, json_text))


def _repair(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape[2] else escape[0]
