"""The counts of tokens of one answer, which arrive in two halves.

`message_start` has the side of the prompt, each `message_delta` the totals so far; what
one leaves out keeps its value. The vendor counts what came out of its cache, and what
went in, beside the rest of the prompt; Tina counts the prompt as a whole.

Pure.

Source: Anthropic API reference, "Messages", usage; "Prompt caching", tracking.
"""

import msgspec

from tina.domain.chat import Usage
from tina.providers.lenient import count_of, is_mapping, read_json

_FRESH, _READ = "input_tokens", "cache_read_input_tokens"
_WRITTEN, _SAID = "cache_creation_input_tokens", "output_tokens"
_THOUGHT = "thinking_tokens"


class Counts:
    """Gathers them; `usage` is None as long as there are none."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def read(self, raw: msgspec.Raw) -> None:
        """Take what a `usage` object says."""
        value = read_json(raw)
        if not is_mapping(value):
            return
        details = value.get("output_tokens_details")
        found = {name: count_of(value, name) for name in (_FRESH, _READ, _SAID)}
        found[_WRITTEN] = _written_in(value)
        found[_THOUGHT] = count_of(details, _THOUGHT)
        said = {name: count for name, count in found.items() if count is not None}
        self._counts |= said

    @property
    def usage(self) -> Usage | None:
        counts = self._counts
        if not counts:
            return None
        prompt = [counts[name] for name in (_FRESH, _READ, _WRITTEN) if name in counts]
        return Usage(
            input_tokens=sum(prompt) if prompt else None,
            output_tokens=counts.get(_SAID),
            cached_tokens=counts.get(_READ),
            cache_write_tokens=counts.get(_WRITTEN),
            reasoning_tokens=counts.get(_THOUGHT),
        ).believable()


def _written_in(value: object) -> int | None:
    written = count_of(value, _WRITTEN)
    by_age = value.get("cache_creation") if is_mapping(value) else None
    if written is not None or not is_mapping(by_age):
        return written
    ages = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    counts = [count for age in ages if (count := count_of(by_age, age)) is not None]
    return sum(counts) if counts else None
