"""How long a server asks to be left alone, and whether it wants to be asked again.

Pure. What cannot be read says nothing.

Source: RFC 9110, sections 10.2.3 (Retry-After) and 5.6.7 (three forms of dates);
`retry-after-ms` and `x-should-retry` are headers of OpenAI and Anthropic.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil, isfinite

_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*", re.ASCII)
_LONGEST_CHARS = 400  # a float has no more digits, and a date far fewer
_YEAR_S = 365 * 86_400
_UNITS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


def read_retry_after(
    headers: Mapping[str, str], *, now: datetime | None
) -> float | None:
    """Seconds to wait, however many; None if the headers do not say.

    Args:
        headers: names in any case.
        now: aware; without it a date says nothing.
    """
    milliseconds = _number(_find(headers, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = _find(headers, "retry-after")
    seconds = _number(asked)
    return _seconds_until(asked, now) if seconds is None else seconds


def read_should_retry(headers: Mapping[str, str]) -> bool | None:
    """The server's own word on whether to try again, if it gave one."""
    match _find(headers, "x-should-retry").strip().lower():
        case "true":
            return True
        case "false":
            return False
        case _:
            return None


def wait_in_words(wait_s: float) -> str:
    """`45 s`, `12 minutes`: never less than it is."""
    if wait_s > _YEAR_S:
        return "more than a year"
    for unit, unit_s in _UNITS:
        if wait_s >= 2 * unit_s:
            return f"{ceil(wait_s / unit_s)} {unit}"
    return f"{max(1, ceil(wait_s))} s"


def _find(headers: Mapping[str, str], wanted: str) -> str:
    found = (value for name, value in headers.items() if name.lower() == wanted)
    value = next(found, "")
    return value if len(value) <= _LONGEST_CHARS else ""


def _number(text: str) -> float | None:
    # `float` alone would take `1_000`, `nan` and the digits of any script.
    found = _NUMBER.fullmatch(text)
    number = float(found[1]) if found else -1.0
    return number if isfinite(number) and number >= 0 else None


def _seconds_until(text: str, now: datetime | None) -> float | None:
    if now is None:
        return None
    try:
        date = parsedate_to_datetime(text)
        # HTTP's dates are in UTC; two of their forms come back without a zone.
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, OverflowError):
        return None
