"""JSON whose escapes stand for halves of UTF-16 pairs.

Servers that cut text between two tokens send them, and strict decoders refuse the
whole document.
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


def repair_escapes(json_text: str) -> str:
    """JSON text in which no escape stands for half of a UTF-16 pair."""
    return _ESCAPE.sub(_repair, _HALF_PAIR.sub(_REPLACEMENT, json_text))


def _repair(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape[2] else escape[0]
