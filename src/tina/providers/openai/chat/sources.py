"""Where an answer has something from, in the shapes that servers tell it in.

Source: OpenAI API reference, "Create chat completion", annotations; the documentation
of OpenRouter, Perplexity and xAI.
"""

from collections.abc import Iterator

import msgspec

from tina.domain.events import Citation
from tina.providers.lenient import is_list, is_mapping, read_json, text_of

MOST_SOURCES = 256


class Sources:
    """Tells each source once: some servers repeat all of them with each chunk."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._told: set[str] = set()

    def read(self, *found: msgspec.Raw) -> list[Citation]:
        """What is new in `annotations`, `search_results` or `citations`."""
        citations: list[Citation] = []
        for raw in found:
            entries = read_json(raw)
            for title, url in _read_entries(entries):
                if url not in self._told and len(self._told) < MOST_SOURCES:
                    self._told.add(url)
                    citations.append(Citation(self._key, title, url))
        return citations


def _read_entries(entries: object) -> Iterator[tuple[str, str]]:
    """Titles and addresses; an address without a title is its own."""
    for entry in entries if is_list(entries) else ():
        if isinstance(entry, str):
            entry = {"url": entry}
        elif is_mapping(entry):
            inner = entry.get("url_citation")
            entry = inner if is_mapping(inner) else entry
        url = text_of(entry, "url")
        if url:
            yield text_of(entry, "title") or url, url
