"""Text that every database and every wire can hold."""

import re

_UNHOLDABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """`text` without NUL; half a surrogate pair becomes U+FFFD.

    PostgreSQL refuses NUL, and nothing can encode a lone surrogate as UTF-8.
    """
    if text.isascii() and "\0" not in text:  # most of what models say
        return text
    return _UNHOLDABLE.sub(_replacement, text)


def is_clean(text: str) -> bool:
    """Whether `clean_text` would change nothing."""
    return _UNHOLDABLE.search(text) is None


def _replacement(found: re.Match[str]) -> str:
    return "" if found[0] == "\0" else "\ufffd"
