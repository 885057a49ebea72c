"""`tina search`: where something was said."""

import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

from tina.cli.exits import Exit
from tina.cli.flags import Narrowing
from tina.cli.history import SHORT_ID_CHARS, chosen_conversation
from tina.cli.output import write_out
from tina.cli.shapes import search_shape, to_json
from tina.cli.terminal_text import safe_text
from tina.domain.failures import InvalidInputFailure
from tina.domain.messages import Role
from tina.domain.search import SearchHit, SearchOrder, SearchQuery, SearchResult
from tina.wiring import App, open_for

BOLD = "\x1b[1m"
NOT_BOLD = "\x1b[22m"

_DATE_CHARS = len("2026-01-31")
_WHITE_SPACE = re.compile(r"\s+")


async def search(
    words: str, narrowing: Narrowing, *, best: bool, count: int, as_json: bool
) -> int:
    """Print the messages that contain all the words."""
    async with open_for() as app:
        query = await _query(app, words, narrowing, best=best, count=count)
        result = await app.search(query)
        environment = app.environment
    if as_json:
        write_out([to_json(search_shape(result)), "\n"])
        return Exit.OK
    is_marked = sys.stdout.isatty() and environment.get("TERM", "dumb") != "dumb"
    write_out(_entry(hit, is_marked=is_marked) for hit in result.hits)
    sys.stderr.write(_remark(result, query))
    return Exit.OK


async def _query(
    app: App, words: str, narrowing: Narrowing, *, best: bool, count: int
) -> SearchQuery:
    within = None
    if narrowing.conversation is not None:
        within = (await chosen_conversation(app, narrowing.conversation)).id
    return SearchQuery(
        words=words,
        order=SearchOrder.BEST if best else SearchOrder.NEWEST,
        conversation_id=within,
        role=None if narrowing.role is None else Role(narrowing.role),
        model=narrowing.model,
        since=None if narrowing.since is None else parse_since(narrowing.since),
        until=None if narrowing.until is None else parse_until(narrowing.until),
        limit=count,
    )


def parse_since(text: str) -> datetime:
    """The moment, or the beginning of the day, here.

    Raises:
        InvalidInputFailure: it is neither.
    """
    return _moment(text, days=0)


def parse_until(text: str) -> datetime:
    """The moment, or the end of the day: whoever says a day means it with its evening.

    Raises:
        InvalidInputFailure: it is neither.
    """
    return _moment(text, days=1 if len(text.strip()) <= _DATE_CHARS else 0)


def _moment(text: str, *, days: int) -> datetime:
    try:
        # Without an offset it is the time of this machine.
        return (
            datetime.fromisoformat(text.strip()) + timedelta(days=days)
        ).astimezone()
    except (ValueError, OverflowError):
        raise InvalidInputFailure(
            f"{text!r} is no date. Write it as 2026-01-31, or 2026-01-31T18:30."
        ) from None


def _entry(hit: SearchHit, *, is_marked: bool) -> str:
    when = hit.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    title = " ".join(safe_text(hit.title).split()) or "(no title)"
    snippet = "".join(_pieces(hit, is_marked=is_marked)).strip()
    return (
        f"{hit.conversation_id[:SHORT_ID_CHARS]}  {when}  {hit.role:<9}  {title}\n"
        f"    {snippet}\n"
    )


def _pieces(hit: SearchHit, *, is_marked: bool) -> Iterator[str]:
    """The snippet on one line, its matches bold."""
    at = 0
    for match in hit.matches:
        yield _on_one_line(hit.snippet[at : match.start])
        found = _on_one_line(hit.snippet[match.start : match.end])
        yield f"{BOLD}{found}{NOT_BOLD}" if is_marked else found
        at = match.end
    yield _on_one_line(hit.snippet[at:])


def _on_one_line(text: str) -> str:
    return _WHITE_SPACE.sub(" ", safe_text(text))


def _remark(result: SearchResult, query: SearchQuery) -> str:
    """What a person should know of it: a line for standard error."""
    if result.failure is not None:
        return (
            "tina: What was said last could not be searched, because it could not be "
            f"indexed. {result.failure.message}\n"
        )
    if not result.is_whole:
        if query.order is SearchOrder.BEST and result.hits:
            return "tina: These are the best of the newest; older ones were left out.\n"
        return (
            "tina: Not everything was looked at. "
            "Search again, or for rarer words or in one conversation (--cid).\n"
        )
    if not result.hits:
        return (
            "tina: Nothing found. All words must stand in one message, as whole words; "
            "try fewer.\n"
        )
    return ""
