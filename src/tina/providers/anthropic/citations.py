"""Where an answer has something from, of the kinds that Messages knows.

Pure.

Source: Anthropic API reference, "Citations" and "Web search tool".
"""

import msgspec

from tina.domain.events import Citation
from tina.providers.lenient import count_of, is_mapping, read_json, text_of

_WEB = ("http://", "https://")


def read_citation(raw: msgspec.Raw, *, key: str) -> Citation | None:
    """The source that a citation names; None if it names none."""
    value = read_json(raw)
    if not is_mapping(value):
        return None
    url = text_of(value, "url") or text_of(value, "source")
    url = url if url.startswith(_WEB) else ""
    names = ("title", "document_title", "source")
    title = next((text for name in names if (text := text_of(value, name))), url)
    number = count_of(value, "document_index")
    if not title and number is not None:
        title = f"Document {number + 1}"
    return Citation(key, title, url) if title else None
