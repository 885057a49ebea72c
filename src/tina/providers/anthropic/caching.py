"""Where a prompt's beginning is worth remembering.

At most four marks are allowed; each remembers all that stands up to it, and finds what
was remembered up to 20 blocks before it. One is put on the tools and one on the system
text, which change the least. One is put on the last prompt, for the next request, and
one on the prompt before, which is where this request's predecessor had put its last: so
what that one remembered is found, however many blocks the answer between them has.

Pure.

Source: Anthropic documentation, "Prompt caching".
"""

from collections.abc import Sequence

from tina.providers.lenient import Wire, is_list

_PROMPTS = 2
_MARK = {"type": "ephemeral"}


def place_breakpoints(
    tools: Sequence[Wire], system: Sequence[Wire], messages: Sequence[Wire]
) -> None:
    """Mark blocks of a request; they are changed."""
    prompts = [wire["content"] for wire in messages if wire["role"] == "user"]
    for blocks in (tools, system, *prompts[-_PROMPTS:]):
        last = blocks[-1] if is_list(blocks) and blocks else None
        if isinstance(last, dict):
            last["cache_control"] = _MARK
