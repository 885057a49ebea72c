"""What a server says of its rate limits, from the headers of any answer.

Pure. What cannot be read is ignored; so is a limit of nothing, which servers send
that do not count.

Source: Anthropic API reference, "Rate limits" (times are RFC 3339); OpenAI API
reference, "Rate limits in headers", and Groq's (times are Go's durations).
"""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec

LONGEST_RESET_S = 86_400.0
_HEADER = re.compile(
    r"(?:anthropic-(?:ratelimit-)?)([a-z-]{1,40})-(limit|remaining|reset)"
)
_X_HEADER = re.compile(r"x-ratelimit-(limit|remaining|reset)-([a-z-]{1,40})")
_COUNT = re.compile(r"\s*([0-9]{1,18})\s*")
_NUMBER = r"[0-9]{1,18}(?:\.[0-9]{0,18})?"
_SECONDS = re.compile(_NUMBER)
_DURATION = re.compile(rf"(?:{_NUMBER}(?:[nuµm]?s|m|h|d)){{1,8}}")
_PIECE = re.compile(rf"({_NUMBER})([a-zµ]+)")
_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3_600.0,
    "d": 86_400.0,
}


class LimitState(msgspec.Struct, frozen=True, kw_only=True):
    """One limit: `remaining` of `limit` are left until it is reset in `reset_s`."""

    name: str
    """What is counted: `requests`, `tokens`, `input-tokens`, …"""
    limit: int | None
    remaining: int
    reset_s: float


def read_limits(headers: Mapping[str, str], *, now: datetime) -> tuple[LimitState, ...]:
    """The limits of which it says what is left and until when, in their order.

    A reset lies at most a day ahead; one in the past is now.

    Args:
        headers: names in any case.
        now: aware.
    """
    said: dict[str, dict[str, str]] = {}
    for header, value in headers.items():
        if named := _read_name(header.lower()):
            name, what = named
            said.setdefault(name, {})[what] = value
    states = (_read_state(name, values, now) for name, values in said.items())
    return tuple(state for state in states if state is not None)


def _read_name(header: str) -> tuple[str, str] | None:
    """Which limit a header is about, and what it says of it."""
    if found := _HEADER.fullmatch(header):
        return found[1], found[2]
    if found := _X_HEADER.fullmatch(header):
        return found[2], found[1]
    return None


def _read_state(
    name: str, values: Mapping[str, str], now: datetime
) -> LimitState | None:
    limit = _read_count(values.get("limit", ""))
    remaining = _read_count(values.get("remaining", ""))
    reset_s = _read_reset(values.get("reset", ""), now)
    if limit == 0 or remaining is None or reset_s is None:
        return None
    reset_s = min(LONGEST_RESET_S, max(0.0, reset_s))
    return LimitState(name=name, limit=limit, remaining=remaining, reset_s=reset_s)


def _read_count(text: str) -> int | None:
    found = _COUNT.fullmatch(text)
    return int(found[1]) if found else None


def _read_reset(text: str, now: datetime) -> float | None:
    """Seconds until then, from a duration or a time."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        # More is a time of day, counted from some beginning or other.
        return seconds if seconds <= LONGEST_RESET_S else None
    if _DURATION.fullmatch(text):
        pieces = _PIECE.findall(text)
        return sum(float(number) * _UNIT_S[unit] for number, unit in pieces)
    try:
        time = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return None if time.tzinfo is None else (time - now).total_seconds()
